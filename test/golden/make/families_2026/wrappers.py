"""Models that see, their text alone: …ForConditionalGeneration around families that stand elsewhere."""

from .common import LLAMA, model, rope
from .dense import LLAMA3, WIDE, WINDOWS, YARN
from .experts import LLAMA4
from .mamba import LFM2
from .mla import EXPERTS, MLA, ONE_GROUP

PIXTRAL = {"model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
           "num_attention_heads": 2, "image_size": 16, "patch_size": 4, "head_dim": 8}
TOKENS = {"image_token_id": "unused 0", "video_token_id": "unused 1", "vision_start_token_id": "unused 2",
          "vision_end_token_id": "unused 3"}
QWEN_VISION = {"depth": 1, "num_heads": 2, "patch_size": 2, "spatial_merge_size": 1, "temporal_patch_size": 1}
TEXT = {**LLAMA, "rms_norm_eps": 1e-6}
SIGLIP = {"hidden_size": 16, "image_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1,
          "patch_size": 4}
SCALED = {"rope_theta": 1000000.0, **YARN, "type": "yarn", "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1}
DEEPSTACK = {**QWEN_VISION, "hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 32, "num_position_embeddings": 16,
             "deepstack_visual_indexes": [0]}


def mrope(theta, *section, **more):
    return rope(theta, mrope_section=list(section), **more)


FAMILIES = {
    "mistral3": model(
        "Mistral3ForConditionalGeneration", "mistral3", "spm", True, vision_config=PIXTRAL, image_token_index="unused 0",
        text_config={"model_type": "mistral", **LLAMA, **WIDE, "sliding_window": None, "tie_word_embeddings": False, **rope(1000000000.0)},
        spatial_merge_size=1, tie_word_embeddings=False,
    ),
    "mistral3-ministral": model(
        "Mistral3ForConditionalGeneration", "mistral3", "llama-3", True, vision_config=PIXTRAL, image_token_index="unused 0",
        text_config={"model_type": "ministral3", **LLAMA, **WIDE, "tie_word_embeddings": True, "rope_parameters": SCALED},
        spatial_merge_size=1, tie_word_embeddings=True,
    ),
    "mistral3-mistral4": model(
        "Mistral3ForConditionalGeneration", "mistral3", "llama-3", True, vision_config=PIXTRAL, image_token_index="unused 0",
        text_config={"model_type": "mistral4", **MLA, **EXPERTS, **ONE_GROUP, "first_k_dense_replace": 0, "norm_topk_prob": True,
                     "rope_parameters": SCALED | {"rope_theta": 10000.0, "max_position_embeddings": 512}},
        spatial_merge_size=1, tie_word_embeddings=False,
    ),
    "mistral3-mistral4-unscaled": model(
        "Mistral3ForConditionalGeneration", "mistral3", "llama-3", True, vision_config=PIXTRAL, image_token_index="unused 0",
        text_config={"model_type": "mistral4", **MLA, **EXPERTS, **ONE_GROUP, "first_k_dense_replace": 0, "norm_topk_prob": True,
                     "rope_parameters": SCALED | {"rope_theta": 10000.0, "max_position_embeddings": 512, "llama_4_scaling_beta": 0.0}},
        spatial_merge_size=1, tie_word_embeddings=False,
    ),
    "qwen2-vl": model(
        "Qwen2VLForConditionalGeneration", "qwen2_vl", vision_config=QWEN_VISION | {"embed_dim": 16, "hidden_size": 32, "mlp_ratio": 1},
        text_config={**TEXT, **mrope(1000000.0, 2, 1, 1), "use_sliding_window": False}, **TOKENS, tie_word_embeddings=False,
    ),
    "qwen2.5-vl": model(
        "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", **TOKENS, tie_word_embeddings=True,
        vision_config=QWEN_VISION | {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 32, "window_size": 8,
                                     "fullatt_block_indexes": [0]},
        text_config={**TEXT, **mrope(1000000.0, 2, 1, 1), "use_sliding_window": False, "tie_word_embeddings": True},
    ),
    "qwen3-vl": model(
        "Qwen3VLForConditionalGeneration", "qwen3_vl", **TOKENS, tie_word_embeddings=True, vision_config=DEEPSTACK,
        text_config={**TEXT, **WIDE, **mrope(5000000.0, 4, 2, 2, mrope_interleaved=True), "tie_word_embeddings": True},
    ),
    "qwen3-vl-moe": model(
        "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe", **TOKENS, tie_word_embeddings=False, vision_config=DEEPSTACK,
        text_config={**TEXT, **WIDE, **mrope(5000000.0, 4, 2, 2, mrope_interleaved=True), "num_experts": 4, "num_experts_per_tok": 2,
                     "moe_intermediate_size": 32, "tie_word_embeddings": False},
        more={"transposed": "mlp.experts."},
    ),
    "llava": model(
        "LlavaForConditionalGeneration", "llava", "spm", True, image_token_index="unused 0",
        vision_config={"model_type": "clip_vision_model", **SIGLIP, "projection_dim": 16},
        text_config={"model_type": "llama", **LLAMA, "tie_word_embeddings": False, **rope(10000.0)}, tie_word_embeddings=False,
        vision_feature_layer=-1,
    ),
    "llava-mistral": model(
        "LlavaForConditionalGeneration", "llava", "spm", True, image_token_index="unused 0", vision_feature_layer=-1,
        vision_config=PIXTRAL, tie_word_embeddings=False,
        text_config={"model_type": "mistral", **LLAMA, **WIDE, "sliding_window": None, "tie_word_embeddings": False, **rope(1000000.0)},
    ),
    "smolvlm": model(
        "SmolVLMForConditionalGeneration", "smolvlm", "starcoder", image_token_id="unused 0", vision_config=SIGLIP, scale_factor=1,
        text_config={"model_type": "llama", **LLAMA, "tie_word_embeddings": False, **rope(100000.0)}, tie_word_embeddings=False,
        more={"published": {"architectures": ["VLlama3ForCausalLM"]}},
    ),
    "idefics3": model(
        "Idefics3ForConditionalGeneration", "idefics3", "llama-3", True, image_token_id="unused 0", vision_config=SIGLIP, scale_factor=1,
        text_config={"model_type": "llama", **LLAMA, "tie_word_embeddings": False, **rope(500000.0, **LLAMA3)}, tie_word_embeddings=False,
        more={"published": {"architectures": ["VLlama3ForCausalLM"]}},
    ),
    "internvl": model(
        "InternVLForConditionalGeneration", "internvl", image_token_id="unused 0", tie_word_embeddings=False,
        vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "image_size": [8, 8], "patch_size": [4, 4]},
        text_config={"model_type": "qwen2", **TEXT, "tie_word_embeddings": False, **rope(1000000.0)},
        more={"published": {"architectures": ["Qwen2ForCausalLM"]}},
    ),
    "llama-4-vision": model(
        "Llama4ForConditionalGeneration", "llama4", "llama-3", True, tie_word_embeddings=False,
        text_config=LLAMA4 | {"num_hidden_layers": 4, "head_dim": 8, "intermediate_size_mlp": 32, "attention_chunk_size": 8192,
                              "floor_scale": 8192, "use_qk_norm": True, "no_rope_layers": [1, 1, 1, 0]},
        vision_config={"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8,
                       "patch_size": 4, "vision_output_dim": 16, "projector_input_dim": 16, "projector_output_dim": 16},
        boi_token_index="unused 0", eoi_token_index="unused 1", image_token_index="unused 2",
        more={"text_part": True},
    ),
    "llava-onevision": model(
        "LlavaOnevisionForConditionalGeneration", "llava_onevision", image_token_index="unused 0", video_token_index="unused 1",
        vision_config={"model_type": "siglip_vision_model", **SIGLIP, "vision_use_head": False}, tie_word_embeddings=False,
        text_config={"model_type": "qwen2", **TEXT, "tie_word_embeddings": False, **rope(1000000.0)}, vision_feature_layer=-1,
        more={"published": {"architectures": ["Qwen2ForCausalLM"]}},
    ),
    "qwen2-audio": model(
        "Qwen2AudioForConditionalGeneration", "qwen2_audio", audio_token_index="unused 0",
        audio_config={"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "num_mel_bins": 8,
                      "max_source_positions": 8},
        text_config={"model_type": "qwen2", **TEXT, "tie_word_embeddings": False, **rope(1000000.0)},
    ),
    "voxtral": model(
        "VoxtralForConditionalGeneration", "voxtral", "llama-3", True, audio_token_id="unused 0",
        audio_config={"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_mel_bins": 8,
                      "max_source_positions": 8},
        text_config={"model_type": "llama", **LLAMA, **WIDE, "tie_word_embeddings": False, **rope(100000000.0)},
    ),
    "lfm2-vl": model(
        "Lfm2VlForConditionalGeneration", "lfm2_vl", "llama-3", True, image_token_id="unused 0", downsample_factor=1,
        vision_config={"model_type": "siglip2_vision_model", "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2,
                       "num_hidden_layers": 1, "num_patches": 16, "patch_size": 4},
        text_config={"model_type": "lfm2", **LFM2, "intermediate_size": 64, "block_auto_adjust_ff_dim": False}, projector_hidden_size=16,
    ),
    "exaone-4.5": model(
        "Exaone4_5_ForConditionalGeneration", "exaone4_5", "gpt-2", image_token_id="unused 0", video_token_id="unused 1",
        vision_config=QWEN_VISION | {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 32, "window_size": 8,
                                     "fullatt_block_indexes": [0], "num_key_value_heads": 2},
        text_config={"model_type": "exaone4", **LLAMA | WINDOWS, "tie_word_embeddings": False, "sliding_window_pattern": "LLLG",
                     **rope(1000000.0, **LLAMA3)},
    ),
}
