"""Mixtures of experts with attention as dense models have it."""

from .common import LLAMA, SIZES, WINDOW, HEADS, model, rope
from .dense import GRANITE, LLAMA3, WIDE, YARN

S, F = "sliding_attention", "full_attention"
SIGMOID = {"published": {"scoring_func": "sigmoid"}}
ROUTED = {"moe_intermediate_size": 32, "num_experts_per_tok": 2, "n_routed_experts": 4, "n_shared_experts": 1}
GROUPS = {"n_routed_experts": 8, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 3, "moe_intermediate_size": 16,
          "n_shared_experts": 2}
GLM = {**LLAMA, **ROUTED, "first_k_dense_replace": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5, "n_group": 1,
       "topk_group": 1}
GPT_OSS = {
    **SIZES, **HEADS, "head_dim": 16, "intermediate_size": 32, "num_local_experts": 4, "num_experts_per_tok": 2,
    "sliding_window": WINDOW, "layer_types": [S, F], "rms_norm_eps": 1e-5, "attention_bias": True,
    "tie_word_embeddings": False, "swiglu_limit": 1.5,
}
LLAMA4 = {
    **LLAMA, **WIDE, "intermediate_size": 32, "intermediate_size_mlp": 64, "num_local_experts": 4, "num_experts_per_tok": 1,
    "num_hidden_layers": 2, "interleave_moe_layer_step": 2, "tie_word_embeddings": False, **rope(500000.0, **LLAMA3),
    "attn_temperature_tuning": True, "attn_scale": 0.1,
}

FAMILIES = {
    "gpt-oss": model(
        "GptOssForCausalLM", "gpt_oss", "llama-3", **GPT_OSS | {"swiglu_limit": 7.0},
        **rope(150000.0, rope_type="yarn", factor=8.0, original_max_position_embeddings=64, beta_fast=32.0,
               beta_slow=1.0, truncate=False),
    ),
    "gpt-oss-truncated": model(
        "GptOssForCausalLM", "gpt_oss", "llama-3", **GPT_OSS | {"swiglu_limit": 7.0}, **rope(150000.0, **YARN),
    ),
    # Clamps that are reached.
    "gpt-oss-limit": model("GptOssForCausalLM", "gpt_oss", "llama-3", **GPT_OSS, swiglu_alpha=1.3, **rope(150000.0)),
    "llama-4": model(
        "Llama4ForCausalLM", "llama4_text", "llama-3", True,
        **LLAMA4 | {"num_hidden_layers": 4, "head_dim": 8, "intermediate_size_mlp": 32}, attention_chunk_size=48, floor_scale=24, use_qk_norm=True,
        no_rope_layers=[1, 1, 1, 0],
    ),
    "llama-4-published-scales": model(
        "Llama4ForCausalLM", "llama4_text", "llama-3", True,
        **LLAMA4 | {"num_hidden_layers": 4, "head_dim": 8, "intermediate_size_mlp": 32}, attention_chunk_size=8192,
        floor_scale=8192, use_qk_norm=True, no_rope_layers=[1, 1, 1, 0],
    ),
    "llama-4-plain-keys": model(
        "Llama4ForCausalLM", "llama4_text", "llama-3", True,
        **LLAMA4 | {"interleave_moe_layer_step": 1}, attention_chunk_size=48, floor_scale=8192, use_qk_norm=False,
        no_rope_layers=[0, 1],
    ),
    "glm-4.5": model(
        "Glm4MoeForCausalLM", "glm4_moe", "dbrx", **GLM, **WIDE, use_qk_norm=True, attention_bias=True,
        tie_word_embeddings=False, **rope(1000000.0, partial_rotary_factor=0.5), more=SIGMOID,
    ),
    "glm-4.5-air": model(
        "Glm4MoeForCausalLM", "glm4_moe", "dbrx", **GLM | GROUPS, **WIDE, use_qk_norm=False, attention_bias=True,
        tie_word_embeddings=True, **rope(1000000.0, partial_rotary_factor=0.5), more=SIGMOID,
    ),
    "dots1": model(
        "Dots1ForCausalLM", "dots1", "qwen2", **GLM | {"num_key_value_heads": 4, "n_shared_experts": 2}, **WIDE,
        tie_word_embeddings=False, sliding_window=None, **rope(10000000.0), more=SIGMOID,
    ),
    "minimax-m2": model(
        "MiniMaxM2ForCausalLM", "minimax_m2", "gpt-2", **LLAMA | {"intermediate_size": 32}, **WIDE, num_local_experts=4,
        num_experts_per_tok=2, tie_word_embeddings=False, **rope(5000000.0, partial_rotary_factor=0.5),
        more={"published": {"scoring_func": "sigmoid", "rotary_dim": 8}},
    ),
    "ernie-4.5-moe": model(
        "Ernie4_5_MoeForCausalLM", "ernie4_5_moe", "spm", True, **LLAMA, moe_intermediate_size=16, moe_k=2,
        moe_num_experts=4, moe_num_shared_experts=2, moe_layer_start_index=1, moe_layer_end_index=1, moe_layer_interval=1,
        tie_word_embeddings=True, **rope(500000.0),
    ),
    "ernie-4.5-moe-biases": model(
        "Ernie4_5_MoeForCausalLM", "ernie4_5_moe", "spm", True, **LLAMA | {"num_hidden_layers": 3, "intermediate_size": 32},
        moe_intermediate_size=32, moe_k=2, moe_num_experts=4, moe_num_shared_experts=1, moe_layer_start_index=1,
        moe_layer_end_index=2, moe_layer_interval=1, use_bias=True, tie_word_embeddings=True, **rope(500000.0),
    ),
    "hunyuan-a13b": model(
        "HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe", "llama-3", **LLAMA | {"intermediate_size": 32}, **WIDE, num_experts=4, moe_topk=[2, 2],
        tie_word_embeddings=True, **rope(10000.0, rope_type="dynamic", alpha=1000.0, factor=1.0, mscale=1.0, mscale_all_dim=1.0),
        more={"published": {"moe_topk": [2, 2], "num_shared_expert": [1, 1], "moe_intermediate_size": [32, 32]}},
    ),
    "hunyuan-a13b-plain": model(
        "HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe", "llama-3", **LLAMA | {"intermediate_size": 32}, head_dim=8, num_experts=4,
        moe_topk=[2, 2], tie_word_embeddings=False, **rope(10000.0),
        more={"published": {"moe_topk": [2, 2], "num_shared_expert": [1, 1], "moe_intermediate_size": [32, 32]}},
    ),
    "olmoe": model(
        "OlmoeForCausalLM", "olmoe", "gpt-neox", **LLAMA | {"intermediate_size": 32, "num_key_value_heads": 4}, num_experts=4,
        num_experts_per_tok=2, norm_topk_prob=False, tie_word_embeddings=False, **rope(10000.0),
    ),
    "olmoe-clipped": model(
        "OlmoeForCausalLM", "olmoe", "gpt-neox", **LLAMA | {"intermediate_size": 32, "num_hidden_layers": 1}, num_experts=4,
        num_experts_per_tok=2, norm_topk_prob=True, clip_qkv=0.7, tie_word_embeddings=False, **rope(10000.0),
    ),
    "granite-moe": model(
        "GraniteMoeForCausalLM", "granitemoe", "starcoder", **LLAMA | {"intermediate_size": 32}, **GRANITE, num_local_experts=4,
        num_experts_per_tok=2, tie_word_embeddings=True, **rope(10000.0),
    ),
    "granite-moe-shared": model(
        "GraniteMoeSharedForCausalLM", "granitemoeshared", "starcoder", **LLAMA | {"intermediate_size": 32}, **GRANITE,
        num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=64, tie_word_embeddings=True, **rope(10000.0),
    ),
    "phi-moe": model(
        "PhimoeForCausalLM", "phimoe", "spm", True, **LLAMA | {"intermediate_size": 32}, num_local_experts=4,
        num_experts_per_tok=2, sliding_window=None, attention_bias=True, lm_head_bias=True, tie_word_embeddings=False,
        **rope(10000.0, rope_type="longrope", short_factor=[1.0, 1.1, 1.3, 1.7], long_factor=[1.0, 2.0, 4.0, 8.0],
               short_mscale=1.1, long_mscale=1.2, original_max_position_embeddings=64),
        more={"published": {"architectures": ["PhiMoEForCausalLM"]}},
    ),
    "phi-moe-plain": model(
        "PhimoeForCausalLM", "phimoe", "spm", True, **LLAMA | {"intermediate_size": 32}, num_local_experts=4,
        num_experts_per_tok=2, sliding_window=WINDOW, attention_bias=False, lm_head_bias=False, tie_word_embeddings=False,
        **rope(10000.0), more={"published": {"architectures": ["PhiMoEForCausalLM"]}},
    ),
    "afmoe": model(
        "AfmoeForCausalLM", "afmoe", "llama-3", **LLAMA | {"num_hidden_layers": 4, "intermediate_size": 32}, **WIDE, moe_intermediate_size=16,
        num_experts=4, num_experts_per_tok=2, num_shared_experts=1, num_dense_layers=2, route_scale=2.5,
        sliding_window=WINDOW, layer_types=[S, S, S, F], mup_enabled=True, tie_word_embeddings=True, **rope(10000.0),
        more={"published": {"score_func": "sigmoid", "route_norm": True, "global_attn_every_n_layers": 4, "n_group": 1, "topk_group": 1}},
    ),
    "solar-open": model(
        "SolarOpenForCausalLM", "solar_open", "llama-3", **GLM | {"first_k_dense_replace": 0}, **WIDE, tie_word_embeddings=False,
        **rope(1000000.0, **YARN), more={"published": {"scoring_func": "sigmoid", "partial_rotary_factor": 1.0}},
    ),
    "exaone-moe": model(
        "ExaoneMoeForCausalLM", "exaone_moe", "gpt-2",
        **LLAMA | {"num_hidden_layers": 4, "intermediate_size": 32}, moe_intermediate_size=16, num_experts=4,
        num_experts_per_tok=2, num_shared_experts=1, first_k_dense_replace=1, sliding_window=WINDOW, n_group=1, topk_group=1,
        sliding_window_pattern="LLLG", layer_types=[S, S, S, F], routed_scaling_factor=2.5, norm_topk_prob=True,
        tie_word_embeddings=False, **rope(1000000.0), more=SIGMOID,
    ),
}
