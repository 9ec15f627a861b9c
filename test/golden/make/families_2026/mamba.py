"""Mamba-1 with norms, Mamba-2, and hybrids of either with attention."""

from .common import HEADS, LLAMA, SIZES, model, rope

M, A = "linear_attention", "full_attention"
MAMBA, ATTENTION = "mamba", "attention"  # what publishers write
MAMBA2 = {
    **SIZES, "num_heads": 8, "head_dim": 8, "state_size": 16, "expand": 2, "n_groups": 2, "conv_kernel": 4,
    "use_bias": False, "use_conv_bias": True, "chunk_size": 32, "tie_word_embeddings": True, "layer_norm_epsilon": 1e-5,
}
INNER = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 2, "mamba_d_state": 16, "mamba_d_conv": 4,
         "mamba_expand": 2, "mamba_chunk_size": 32}
GRANITE = {
    **LLAMA, **INNER, "num_hidden_layers": 3, "layer_types": [M, A, M], "shared_intermediate_size": 32,
    "embedding_multiplier": 3.0, "logits_scaling": 1.7, "residual_multiplier": 0.7, "attention_multiplier": 0.2,
    "tie_word_embeddings": True, "intermediate_size": 32,
}
NEMOTRON = {
    **SIZES, **HEADS, "head_dim": 16, "intermediate_size": 96, "ssm_state_size": 16, "mamba_num_heads": 8,
    "mamba_head_dim": 8, "n_groups": 2, "conv_kernel": 4, "expand": 2, "chunk_size": 32, "layer_norm_epsilon": 1e-5,
}
EXPERTS = {
    "n_routed_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 32, "n_shared_experts": 1,
    "moe_shared_expert_intermediate_size": 64, "routed_scaling_factor": 2.5, "n_group": 1, "topk_group": 1,
    "norm_topk_prob": True,
}
LFM2 = {
    **SIZES, **HEADS, "num_hidden_layers": 3, "norm_eps": 1e-5, "conv_bias": False, "conv_L_cache": 3,
    "layer_types": ["conv", "full_attention", "conv"], "tie_word_embeddings": True, **rope(1000000.0),
}
FALCON_H1 = {
    **LLAMA, **INNER, "mamba_d_ssm": 64, "head_dim": 16, "tie_word_embeddings": False, **rope(1e11),
    "embedding_multiplier": 5.0, "lm_head_multiplier": 0.5, "mlp_multipliers": [0.9, 0.7], "key_multiplier": 0.4,
    "attention_out_multiplier": 0.9, "attention_in_multiplier": 1.1, "ssm_multipliers": [0.7, 1.2, 0.8, 0.6, 0.9],
    "ssm_in_multiplier": 1.25, "ssm_out_multiplier": 0.8,
}
JAMBA = {
    **LLAMA, "num_hidden_layers": 3, "intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2,
    "expert_layer_period": 2, "expert_layer_offset": 1, "attn_layer_period": 3, "attn_layer_offset": 1,
    "use_mamba_kernels": False, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 3,
    "rms_norm_eps": 1e-6,
}

FAMILIES = {
    "mamba2": model("Mamba2ForCausalLM", "mamba2", "gpt-neox", **MAMBA2),
    "mamba2-biases": model(
        "Mamba2ForCausalLM", "mamba2", "gpt-neox",
        **MAMBA2 | {"use_bias": True, "n_groups": 1, "tie_word_embeddings": False, "time_step_limit": [0.05, 0.9]},
    ),
    "falcon-mamba": model(
        "FalconMambaForCausalLM", "falcon_mamba", "falcon", **SIZES, state_size=16, expand=2, conv_kernel=4,
        time_step_rank=3, layer_norm_epsilon=1e-5, tie_word_embeddings=False, mixer_rms_eps=1e-6,
    ),
    "granite-4-hybrid": model(
        "GraniteMoeHybridForCausalLM", "granitemoehybrid", "dbrx", **GRANITE | {"num_hidden_layers": 2, "layer_types": [M, A]}, position_embedding_type="nope",
        num_local_experts=4, num_experts_per_tok=2,
        more={"published": {"layer_types": [MAMBA, ATTENTION]}},
    ),
    "granite-4-hybrid-dense": model(
        "GraniteMoeHybridForCausalLM", "granitemoehybrid", "dbrx", **GRANITE, position_embedding_type="nope",
        num_local_experts=0, num_experts_per_tok=0,
        more={"published": {"layer_types": [MAMBA, ATTENTION, MAMBA]}},
    ),
    "granite-4-attention": model(
        "GraniteMoeHybridForCausalLM", "granitemoehybrid", "dbrx",
        **GRANITE | {"layer_types": [A, A], "num_hidden_layers": 2}, position_embedding_type="rope",
        num_local_experts=0, num_experts_per_tok=0, **rope(10000.0),
        more={"published": {"layer_types": [ATTENTION, ATTENTION]}},
    ),
    "bamba": model(
        "BambaForCausalLM", "bamba", "llama-3", **LLAMA | INNER, attn_layer_indices=[1], tie_word_embeddings=False,
        attention_bias=True, mlp_bias=True, **rope(10000.0, partial_rotary_factor=0.5),
    ),
    "nemotron-h": model(
        "NemotronHForCausalLM", "nemotron_h", "llama-3",
        **NEMOTRON | {"num_hidden_layers": 4}, hybrid_override_pattern="M-*-", tie_word_embeddings=False,
        more={"published": {"hybrid_override_pattern": "M-*-", "n_routed_experts": None, "num_experts_per_tok": None,
                            "n_group": None, "topk_group": None}},
    ),
    "nemotron-h-moe": model(
        "NemotronHForCausalLM", "nemotron_h", "llama-3",
        **NEMOTRON | {"num_hidden_layers": 4} | EXPERTS, hybrid_override_pattern="ME*E", tie_word_embeddings=False,
        more={"published": {"hybrid_override_pattern": "ME*E"}},
    ),
    "nemotron-h-latent": model(
        "NemotronHForCausalLM", "nemotron_h", "llama-3",
        **NEMOTRON | {"num_hidden_layers": 3} | EXPERTS, hybrid_override_pattern="ME*", moe_latent_size=16,
        tie_word_embeddings=False,
        more={"published": {"hybrid_override_pattern": "ME*"}},
    ),
    "falcon-h1": model("FalconH1ForCausalLM", "falcon_h1", "falcon", **FALCON_H1, mamba_rms_norm=False),
    "falcon-h1-norm": model(
        "FalconH1ForCausalLM", "falcon_h1", "falcon",
        **FALCON_H1, mamba_rms_norm=True, mamba_norm_before_gate=False,
    ),
    "falcon-h1-tied": model(
        "FalconH1ForCausalLM", "falcon_h1", "falcon",
        **FALCON_H1 | {"tie_word_embeddings": True, "mamba_n_groups": 1}, mamba_rms_norm=True, attention_bias=True, mlp_bias=True,
    ),
    "jamba": model("JambaForCausalLM", "jamba", "spm", True, **JAMBA, tie_word_embeddings=True),
    "jamba-dense": model(
        "JambaForCausalLM", "jamba", "spm", True,
        **JAMBA | {"num_hidden_layers": 2, "attn_layer_period": 2, "attn_layer_offset": 0, "num_experts": 1, "num_experts_per_tok": 1},
        tie_word_embeddings=False,
    ),
    "lfm2": model(
        "Lfm2ForCausalLM", "lfm2", "llama-3", True, **LFM2, intermediate_size=96, block_auto_adjust_ff_dim=True,
        block_multiple_of=32, block_ffn_dim_multiplier=1.0,
    ),
    "lfm2-moe": model(
        "Lfm2MoeForCausalLM", "lfm2_moe", "llama-3", True, **LFM2, intermediate_size=64, moe_intermediate_size=32,
        num_dense_layers=1, num_experts=4, num_experts_per_tok=2, use_expert_bias=True, norm_topk_prob=True,
        routed_scaling_factor=1.0,
    ),
    "lfm2-moe-scaled": model(
        "Lfm2MoeForCausalLM", "lfm2_moe", "llama-3", True, **LFM2, intermediate_size=64, moe_intermediate_size=32,
        num_dense_layers=1, num_experts=4, num_experts_per_tok=2, use_expert_bias=False, norm_topk_prob=False,
        routed_scaling_factor=1.5,
    ),
}
