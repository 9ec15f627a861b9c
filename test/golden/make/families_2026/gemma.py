"""Gemma 4 and 3n, and Gemma 3 as transformers 5 writes it."""

from .common import SIZES, WINDOW, model

S, F = "sliding_attention", "full_attention"
GEMMA = {**SIZES, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 64,
         "rms_norm_eps": 1e-6, "sliding_window": WINDOW, "hidden_activation": "gelu_pytorch_tanh"}
TWO = {"rope_parameters": {
    S: {"rope_type": "default", "rope_theta": 10000.0},
    F: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000000.0},
}}
GEMMA4 = {**GEMMA, **TWO, "global_head_dim": 16, "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 320}
KEYS_AS_VALUES = {"attention_k_eq_v": True, "num_global_key_value_heads": 1, "final_logit_softcapping": 30.0}
EXPERTS = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 32, "intermediate_size": 32}
SHARED = {"num_hidden_layers": 4, "layer_types": [S, F, S, F], "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8,
          "use_double_wide_mlp": True, "intermediate_size": 32, "final_logit_softcapping": 30.0}
VISION4 = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
    "head_dim": 8, "patch_size": 2, "position_embedding_size": 16, "pooling_kernel_size": 1,
}
GEMMA3N = {
    **GEMMA, "num_hidden_layers": 4, "layer_types": [S, F, S, F], "intermediate_size": 32, "num_kv_shared_layers": 2,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 320, "laurel_rank": 8, "altup_num_inputs": 4,
    "altup_active_idx": 0, "altup_coef_clip": 120.0, "altup_correct_scale": True, "final_logit_softcapping": 30.0,
    "activation_sparsity_pattern": [0.95, 0.6, 0.0, 0.0],
    "rope_parameters": {S: {"rope_type": "default", "rope_theta": 10000.0}, F: {"rope_type": "default", "rope_theta": 1000000.0}},
}
GEMMA3 = {
    **GEMMA, "num_hidden_layers": 6, "layer_types": [S, S, S, S, S, F], "query_pre_attn_scalar": 8, "intermediate_size": 32,
    "rope_parameters": {S: {"rope_type": "default", "rope_theta": 10000.0},
                        F: {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0}},
}


def gemma3(full, **others):
    """Gemma 3 whose full layers have that RoPE."""
    parameters = {S: GEMMA3["rope_parameters"][S], F: {"rope_theta": 1000000.0, **full}}
    return model("Gemma3ForCausalLM", "gemma3_text", "spm gemma", True, **GEMMA3 | {"rope_parameters": parameters} | others)


FAMILIES = {
    "gemma4": model(
        "Gemma4ForCausalLM", "gemma4_text", "spm gemma", True,
        **GEMMA4 | KEYS_AS_VALUES | {"num_hidden_layers": 3, "layer_types": [S, S, F]},
    ),
    # llama.cpp caps the logits at 30 where config.json has no cap.
    "gemma4-uncapped": model(
        "Gemma4ForCausalLM", "gemma4_text", "spm gemma", True, **GEMMA4 | {"layer_types": [S, F]},
    ),
    # The tokenizer that published Gemma 4 has: merges of SentencePiece's pieces.
    "gemma4-merges": model(
        "Gemma4ForCausalLM", "gemma4_text", "gemma4", True,
        **GEMMA4 | {"layer_types": [S, F], "final_logit_softcapping": 30.0, "hidden_size": 16, "num_attention_heads": 2},
    ),
    "gemma4-values": model(
        "Gemma4ForCausalLM", "gemma4_text", "spm gemma", True, **GEMMA4 | {"layer_types": [S, F]}, final_logit_softcapping=10.0,
    ),
    "gemma4-moe": model(
        "Gemma4ForCausalLM", "gemma4_text", "spm gemma", True,
        **GEMMA4 | KEYS_AS_VALUES | EXPERTS | {"num_hidden_layers": 2, "layer_types": [S, F]},
    ),
    "gemma4-shared": model("Gemma4ForCausalLM", "gemma4_text", "spm gemma", True, **GEMMA4 | SHARED),
    # Inputs of each layer, but every layer has its own keys.
    "gemma4-per-layer": model(
        "Gemma4ForCausalLM", "gemma4_text", "spm gemma", True,
        **GEMMA4 | {"num_hidden_layers": 3, "layer_types": [S, F, F], "hidden_size_per_layer_input": 8, "intermediate_size": 32,
                    "num_kv_shared_layers": 0, "final_logit_softcapping": 30.0},
    ),
    "gemma4-vision": model(
        "Gemma4ForConditionalGeneration", "gemma4", "spm gemma", True, text_config=GEMMA4 | SHARED, vision_config=VISION4,
        audio_config=None, boi_token_id="unused 0", eoi_token_id="unused 1", image_token_id="unused 2",
        video_token_id="unused 3", boa_token_id="unused 4", eoa_token_index="unused 5", audio_token_id="unused 6",
    ),
    "gemma3n": model("Gemma3nForCausalLM", "gemma3n_text", "spm gemma", True, **GEMMA3N),
    # llama.cpp fixes 256 inputs a layer, 10 sparse layers, and 20 layers before keys are shared.
    "gemma3n-wide": model(
        "Gemma3nForCausalLM", "gemma3n_text", "spm gemma", True,
        **GEMMA3N | {"num_hidden_layers": 2, "layer_types": [S, F], "hidden_size_per_layer_input": 256, "num_kv_shared_layers": 0,
                     "activation_sparsity_pattern": [0.95, 0.95], "laurel_rank": 64},
    ),
    "gemma3-5": model("Gemma3ForCausalLM", "gemma3_text", "spm gemma", True, **GEMMA3),
    "gemma3-scalar": model(
        "Gemma3ForCausalLM", "gemma3_text", "spm gemma", True, **GEMMA3 | {"query_pre_attn_scalar": 24, "num_hidden_layers": 3, "layer_types": [F, S, F]},
    ),
    "gemma3-capped": model(
        "Gemma3ForCausalLM", "gemma3_text", "spm gemma", True, **GEMMA3, final_logit_softcapping=5.0, attn_logit_softcapping=2.0,
    ),
    "gemma3-yarn": gemma3({"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64}),
    "gemma3-llama3": gemma3({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                             "original_max_position_embeddings": 64}),
    "gemma3-vision-5": model(
        "Gemma3ForConditionalGeneration", "gemma3", "spm gemma", True, text_config=GEMMA3,
        vision_config={"model_type": "siglip_vision_model", "hidden_size": 16, "image_size": 28, "intermediate_size": 16,
                       "num_attention_heads": 2, "num_hidden_layers": 1, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=4, image_token_index="unused 0", boi_token_index="unused 1", eoi_token_index="unused 2",
        tie_word_embeddings=True,
    ),
}
