"""Multi-head latent attention: DeepSeek V2, V3, V3.2, GLM-5, GLM-4.7-Flash, Kimi K2, Mistral 4, MiniCPM3, Youtu."""

from .common import SIZES, model, rope

SIGMOID = {"published": {"scoring_func": "sigmoid"}}
MLA = {
    **SIZES, "num_attention_heads": 4, "num_key_value_heads": 4, "q_lora_rank": 64, "kv_lora_rank": 32,
    "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 24, "intermediate_size": 64, "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
}
EXPERTS = {"moe_intermediate_size": 32, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2}
GROUPS = {"n_group": 4, "topk_group": 2, "n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 16,
          "n_shared_experts": 2}
V2 = {**MLA, **EXPERTS, "first_k_dense_replace": 1, "norm_topk_prob": False, "attention_bias": False}
V3 = {**MLA, **EXPERTS, **GROUPS, "first_k_dense_replace": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5}
ONE_GROUP = {"n_group": 1, "topk_group": 1}
KINDS = {"mlp_layer_types": ["dense", "sparse"]}


def yarn(factor, mscale, all_dim, theta=10000.0):
    return rope(theta, rope_type="yarn", factor=factor, original_max_position_embeddings=64, beta_fast=32, beta_slow=1,
                mscale=mscale, mscale_all_dim=all_dim)


FAMILIES = {
    "deepseek-v2-lite": model(
        "DeepseekV2ForCausalLM", "deepseek_v2", "llama-3", True,
        **V2 | {"q_lora_rank": None, "n_shared_experts": 2, "topk_method": "greedy"}, **yarn(8.0, 0.707, 0.707),
    ),
    # llama.cpp knows a query without latent only by the number of layers.
    "deepseek-v2-lite-27": model(
        "DeepseekV2ForCausalLM", "deepseek_v2", "llama-3", True,
        **V2 | {"q_lora_rank": None, "n_shared_experts": 2, "topk_method": "greedy", "num_hidden_layers": 27,
                "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "qk_nope_head_dim": 8,
                "qk_rope_head_dim": 4, "v_head_dim": 8, "kv_lora_rank": 12, "intermediate_size": 16,
                "moe_intermediate_size": 4, "n_routed_experts": 3},
        **yarn(8.0, 0.707, 0.707),
    ),
    "deepseek-v2": model(
        "DeepseekV2ForCausalLM", "deepseek_v2", "llama-3", True,
        **V2 | GROUPS, topk_method="group_limited_greedy", routed_scaling_factor=16.0, **yarn(8.0, 0.707, 0.707),
    ),
    "deepseek-v2-one-group": model(
        "DeepseekV2ForCausalLM", "deepseek_v2", "llama-3", True,
        **V2 | {"first_k_dense_replace": 0, "num_hidden_layers": 1},
        topk_method="greedy", routed_scaling_factor=1.0, n_group=1, topk_group=1, **rope(10000.0),
    ),
    "deepseek-v3": model(
        "DeepseekV3ForCausalLM", "deepseek_v3", "llama-3", True, **V3, **yarn(8.0, 1.0, 1.0), more=SIGMOID,
    ),
    "deepseek-v3-mscale": model(
        "DeepseekV3ForCausalLM", "deepseek_v3", "llama-3", True, **V3, **yarn(8.0, 0.8, 0.5), more=SIGMOID,
        tie_word_embeddings=True,
    ),
    "deepseek-v3-lite": model(
        "DeepseekV3ForCausalLM", "deepseek_v3", "qwen2", False,
        **V3 | EXPERTS | {"q_lora_rank": None, "n_group": 1, "topk_group": 1, "rope_interleave": False},
        attention_bias=True, **rope(50000.0), more=SIGMOID,
    ),
    "kimi-k2": model(
        "DeepseekV3ForCausalLM", "deepseek_v3", "llama-3", False,
        **V3 | EXPERTS | {"n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.827}, **yarn(8.0, 1.0, 1.0, 50000.0),
        more=SIGMOID,
    ),
    "deepseek-v3.2": model(
        "DeepseekV32ForCausalLM", "deepseek_v32", "llama-3", True,
        **V3, index_topk=512, index_head_dim=64, index_n_heads=2, **yarn(8.0, 1.0, 1.0), **KINDS, head_dim=8,
        more=SIGMOID,
    ),
    "glm-5": model(
        "GlmMoeDsaForCausalLM", "glm_moe_dsa", "dbrx",
        **V3 | EXPERTS | ONE_GROUP, index_topk=512, index_head_dim=64, index_n_heads=2,
        **KINDS, **rope(1000000.0), head_dim=8, more=SIGMOID,
    ),
    "glm-4.7-flash": model(
        "Glm4MoeLiteForCausalLM", "glm4_moe_lite", "dbrx",
        **{key: value for key, value in V3.items() if key != "first_k_dense_replace"} | EXPERTS | ONE_GROUP,
        **KINDS, **rope(1000000.0), more={"published": {"scoring_func": "sigmoid", "first_k_dense_replace": 1}},
    ),
    "mistral-4": model(
        "Mistral4ForCausalLM", "mistral4", "llama-3", True,
        **MLA | EXPERTS, n_group=1, topk_group=1, first_k_dense_replace=0, norm_topk_prob=True,
        rope_parameters={
            "rope_type": "yarn", "type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 64,
            "max_position_embeddings": 512, "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": 0.1,
        },
    ),
    "minicpm3": model(
        "MiniCPM3ForCausalLM", "minicpm3", "spm", True,
        **MLA | {"v_head_dim": 24, "q_lora_rank": None, "attention_bias": True}, scale_emb=3, dim_model_base=16, scale_depth=0.9,
        tie_word_embeddings=False, **rope(50000.0),
    ),
    # llama.cpp's program has the scales of the published model; its converter leaves out what LongRoPE says but the factors.
    "minicpm3-published-scales": model(
        "MiniCPM3ForCausalLM", "minicpm3", "spm", True,
        **MLA | {"v_head_dim": 8}, scale_emb=12, dim_model_base=256, scale_depth=1.4, tie_word_embeddings=True,
        **rope(10000.0, rope_type="longrope", short_factor=[1.0, 1.1, 1.3, 1.7], long_factor=[1.0, 2.0, 4.0, 8.0],
               original_max_position_embeddings=24),
        more={"spread": {"embed_tokens": (0, 0.04)}},
    ),
    # transformers zeroes the row of a padding token when it loads the class; token 0 begins the text here.
    "youtu": model(
        "YoutuForCausalLM", "youtu", "llama-3", True, **MLA, tie_word_embeddings=True, **rope(1600000.0), pad_token_id=None,
    ),
}
