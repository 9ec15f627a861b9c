"""Kimi Linear: delta attention with a decay of its own for each channel, and MLA without RoPE."""

from .common import SIZES, model

M, A = "linear_attention", "full_attention"
KIMI = {
    **SIZES, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "q_lora_rank": None, "kv_lora_rank": 32,
    "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 8, "intermediate_size": 32, "moe_intermediate_size": 16,
    "num_local_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "routed_scaling_factor": 2.446,
    "norm_topk_prob": True, "n_group": 1, "topk_group": 1, "rms_norm_eps": 1e-5, "linear_head_dim": 8, "linear_num_heads": 4,
    "linear_conv_kernel_dim": 4, "tie_word_embeddings": False,
}
PUBLISHED = {
    "linear_attn_config": {"head_dim": 8, "num_heads": 4, "short_conv_kernel_size": 4, "full_attn_layers": [2], "kda_layers": [1, 3]},
    "num_experts": 4, "num_shared_experts": 1, "first_k_dense_replace": 1, "moe_router_activation_func": "sigmoid",
    "num_experts_per_token": 2, "moe_renormalize": True, "mla_use_nope": True,
}

FAMILIES = {
    "kimi-linear": model(
        "KimiLinearForCausalLM", "kimi_linear", "llama-3", **KIMI, layer_types=[M, A, M],
        mlp_layer_types=["dense", "sparse", "sparse"],
        more={"published": PUBLISHED, "names": {"layers.0.block_sparse_moe.": "layers.0.mlp."}},
    ),
}
