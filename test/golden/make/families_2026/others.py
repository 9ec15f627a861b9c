"""More classes that transformers has and llama.cpp converts."""

from .common import LLAMA, WINDOW, model, rope
from .dense import GRANITE, NORM, WIDE, YARN

S, F = "sliding_attention", "full_attention"
ROUTED = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
SMALL = {**LLAMA, "intermediate_size": 32}
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}

FAMILIES = {
    "olmo": model(
        "OlmoForCausalLM", "olmo", "dbrx", **{key: value for key, value in LLAMA.items() if key != "rms_norm_eps"}, clip_qkv=None,
        tie_word_embeddings=False, **rope(10000.0),
    ),
    "olmo-clipped": model(
        "OlmoForCausalLM", "olmo", "dbrx", **{key: value for key, value in LLAMA.items() if key != "rms_norm_eps"}, clip_qkv=0.7,
        tie_word_embeddings=False, **rope(10000.0),
    ),
    "bloom": model(
        "BloomForCausalLM", "bloom", "gpt-2", vocab_size=320, hidden_size=32, n_layer=2, n_head=4, layer_norm_epsilon=1e-5,
        tie_word_embeddings=True,
    ),
    "starcoder": model(
        "GPTBigCodeForCausalLM", "gpt_bigcode", "starcoder", vocab_size=320, n_positions=512, n_embd=32, n_layer=2, n_head=4, n_inner=128,
        multi_query=True, tie_word_embeddings=True,
    ),
    "dbrx": model(
        "DbrxForCausalLM", "dbrx", "dbrx", d_model=32, n_heads=4, n_layers=2, max_seq_len=512, vocab_size=320,
        attn_config={"clip_qkv": 0.8, "kv_n_heads": 2, "rope_theta": 500000.0},
        ffn_config={"ffn_hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2, "moe_normalize_expert_weights": 1.0,
                    "ffn_act_fn": {"name": "silu"}, "hidden_size": 32},
        **rope(500000.0), tie_word_embeddings=False,
    ),
    "jais2": model("Jais2ForCausalLM", "jais2", "gpt-2", **NORM, tie_word_embeddings=False, **rope(500000.0)),
    "granite-swa": model(
        "GraniteSWAForCausalLM", "granite_swa", "starcoder", **LLAMA | {"intermediate_size": 32, "num_hidden_layers": 4}, **GRANITE,
        sliding_window=WINDOW, layer_types=[F, S, S, S], tie_word_embeddings=True, **rope(10000.0),
    ),
    "granite-moe-swa": model(
        "GraniteMoeSWAForCausalLM", "granitemoe_swa", "starcoder", **SMALL, **GRANITE, num_local_experts=4, num_experts_per_tok=2,
        shared_intermediate_size=32, sliding_window=WINDOW, layer_types=[F, S], tie_word_embeddings=True, **rope(10000.0),
    ),
    "hy3": model(
        "HYV3ForCausalLM", "hy_v3", "llama-3", **LLAMA, **WIDE, **ROUTED, num_shared_experts=1, router_scaling_factor=2.826,
        mlp_layer_types=["dense", "sparse"], tie_word_embeddings=False, **rope(10000.0),
        more={"published": {"first_k_dense_replace": 1, "moe_router_use_sigmoid": True, "expert_hidden_dim": 32, "route_norm": True,
                            "moe_router_enable_expert_bias": True, "use_grouped_mm": False}},
    ),
    "mellum": model(
        "MellumForCausalLM", "mellum", "qwen2", **LLAMA | {"intermediate_size": 32}, **WIDE, **ROUTED, norm_topk_prob=True,
        sliding_window=WINDOW, layer_types=[S, F], mlp_layer_types=["sparse", "sparse"], tie_word_embeddings=False,
        rope_parameters={F: {"rope_theta": 500000.0, **YARN}, S: PLAIN},
    ),
    "laguna": model(
        "LagunaForCausalLM", "laguna", "qwen2", **LLAMA | {"intermediate_size": 32}, **WIDE, **ROUTED, shared_expert_intermediate_size=32,
        sliding_window=WINDOW, layer_types=[F, S], mlp_layer_types=["dense", "sparse"], gating=True, tie_word_embeddings=False,
        num_attention_heads_per_layer=[4, 6], moe_routed_scaling_factor=2.5,
        rope_parameters={F: {"rope_theta": 500000.0, **YARN, "partial_rotary_factor": 0.5}, S: PLAIN | {"partial_rotary_factor": 1.0}},
        more={"published": {"moe_router_use_sigmoid": True}},
    ),
    "mimo-v2-flash": model(
        "MiMoV2FlashForCausalLM", "mimo_v2_flash", "qwen2", **LLAMA | {"intermediate_size": 32}, head_dim=24, v_head_dim=16,
        n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, n_group=1, topk_group=1, norm_topk_prob=True,
        sliding_window=WINDOW, layer_types=[F, S], mlp_layer_types=["dense", "sparse"], attention_value_scale=0.707,
        tie_word_embeddings=False,
        more={"published": {"hybrid_layer_pattern": [0, 1], "swa_head_dim": 24, "swa_v_head_dim": 16, "swa_num_attention_heads": 4,
                            "swa_num_key_value_heads": 4, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
                            "layernorm_epsilon": 1e-5, "moe_layer_freq": [0, 1], "partial_rotary_factor": 0.334,
                            "rope_parameters": None, "rope_theta": 5000000.0, "swa_rope_theta": 10000.0}},
    ),
    "cohere2-moe": model(
        "Cohere2MoeForCausalLM", "cohere2_moe", "llama-3", True, **NORM | {"num_hidden_layers": 3, "intermediate_size": 32}, head_dim=8,
        logit_scale=0.5, sliding_window=WINDOW, layer_types=[S, S, F], num_experts=4, num_experts_per_tok=2, num_shared_experts=1,
        norm_topk_prob=True, tie_word_embeddings=True, rope_theta=50000.0,
    ),
    "cwm": model(
        "CwmForCausalLM", "cwm", "llama-3", True, **LLAMA, **WIDE, tie_word_embeddings=False, sliding_window=WINDOW, layer_types=[F, S],
        **rope(1000000.0, rope_type="llama3", factor=16.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
    ),
    "ministral": model(
        "MinistralForCausalLM", "ministral", "spm", True, **LLAMA, **WIDE, tie_word_embeddings=False, sliding_window=WINDOW,
        layer_types=[F, S], **rope(1000000.0),
    ),
}
