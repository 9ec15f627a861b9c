"""Qwen3.5, Qwen3.6 and Qwen3-Next: gated delta nets."""

from .common import HEADS, SIZES, model, rope

LAYERS = ["linear_attention", "linear_attention", "linear_attention", "full_attention"]
QWEN35 = {
    **SIZES, **HEADS, "num_hidden_layers": 4, "intermediate_size": 32, "rms_norm_eps": 1e-6, "head_dim": 16,
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2,
    "linear_num_value_heads": 4, "layer_types": LAYERS, "tie_word_embeddings": True,
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 10000000.0, "partial_rotary_factor": 0.25, "mrope_interleaved": True,
        "mrope_section": [1, 1, 0],
    },
}
FEW = {"num_hidden_layers": 2, "layer_types": LAYERS[2:]}
MOE = {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
QWEN35_MOE = {key: value for key, value in QWEN35.items() if key != "intermediate_size"} | MOE | FEW
NEXT = {key: value for key, value in QWEN35.items() if key != "rope_parameters"} | {
    **rope(10000000.0, partial_rotary_factor=0.25), **MOE, "decoder_sparse_step": 1, "norm_topk_prob": True, **FEW,
}
VISION = {
    "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "patch_size": 2, "spatial_merge_size": 1,
    "temporal_patch_size": 1, "out_hidden_size": 32, "num_position_embeddings": 16,
}
SEES = {"vision_config": VISION, "image_token_id": 316, "video_token_id": 317, "vision_start_token_id": 318,
        "vision_end_token_id": 319}

FAMILIES = {
    "qwen3.5": model("Qwen3_5ForCausalLM", "qwen3_5_text", **QWEN35),
    "qwen3.5-vision": model(
        "Qwen3_5ForConditionalGeneration", "qwen3_5", text_config=QWEN35 | {"num_hidden_layers": 3, "layer_types": LAYERS[1:]}, **SEES, tie_word_embeddings=True,
    ),
    # As many key heads as value heads: nothing is reordered. Heads as wide in keys as not in values. Biases.
    "qwen3.5-equal-heads": model(
        "Qwen3_5ForCausalLM", "qwen3_5_text",
        **QWEN35 | FEW | {"linear_num_value_heads": 2, "tie_word_embeddings": False, "attention_bias": True},
    ),
    "qwen3.5-widths": model(
        "Qwen3_5ForCausalLM", "qwen3_5_text",
        **QWEN35 | {"linear_value_head_dim": 16, "linear_num_value_heads": 6} | FEW,
    ),
    "qwen3.5-moe": model("Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", **QWEN35_MOE),
    "qwen3.5-moe-vision": model(
        "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe", text_config=QWEN35_MOE, **SEES, tie_word_embeddings=True,
    ),
    "qwen3-next": model("Qwen3NextForCausalLM", "qwen3_next", **NEXT),
    "qwen3-next-dense": model(
        "Qwen3NextForCausalLM", "qwen3_next",
        **NEXT | {"mlp_only_layers": [1], "norm_topk_prob": False, "intermediate_size": 64, "num_hidden_layers": 3,
                "layer_types": ["linear_attention", "full_attention", "linear_attention"]},
        more={"seed": 1},
    ),
}
