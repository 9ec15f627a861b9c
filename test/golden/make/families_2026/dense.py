"""Dense decoders, whose layers differ or whose parts do."""

from .common import HEADS, LLAMA, SIZES, WINDOW, model, rope

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "beta_fast": 32.0, "beta_slow": 1.0}
WIDE = {"head_dim": 16}
S, F = "sliding_attention", "full_attention"
WINDOWS = {"num_hidden_layers": 4, "sliding_window": WINDOW, "layer_types": [S, S, S, F], "intermediate_size": 32}
TWO_PLAIN = {"rope_parameters": {kind: {"rope_theta": 500000.0, "rope_type": "default"} for kind in (F, S)}}
GRANITE = {"embedding_multiplier": 3.0, "logits_scaling": 1.7, "residual_multiplier": 0.7, "attention_multiplier": 0.2}
NORM = {**SIZES, **HEADS, "intermediate_size": 64, "layer_norm_eps": 1e-5}

FAMILIES = {
    "smollm3": model(
        "SmolLM3ForCausalLM", "smollm3", "llama-3", **LLAMA | {"num_hidden_layers": 4, "intermediate_size": 32},
        tie_word_embeddings=True, **rope(5000000.0), no_rope_layer_interval=4,
    ),
    "smollm3-layers": model(
        "SmolLM3ForCausalLM", "smollm3", "llama-3", **LLAMA, tie_word_embeddings=False, **rope(5000000.0),
        no_rope_layers=[0, 1],
    ),
    "smollm3-biases": model(
        "SmolLM3ForCausalLM", "smollm3", "llama-3", **LLAMA, tie_word_embeddings=False, **rope(5000000.0),
        attention_bias=True, mlp_bias=True,
    ),
    "smollm3-window": model(
        "SmolLM3ForCausalLM", "smollm3", "llama-3", **LLAMA | {"num_hidden_layers": 4, "intermediate_size": 32},
        tie_word_embeddings=True, **rope(5000000.0), use_sliding_window=True, sliding_window=WINDOW,
        no_rope_layer_interval=4,
    ),
    "olmo3": model(
        "Olmo3ForCausalLM", "olmo3", "dbrx", **LLAMA | WINDOWS, tie_word_embeddings=False,
        rope_parameters={F: {"rope_theta": 500000.0, **YARN, "attention_factor": 1.2079441541679836},
                         S: {"rope_theta": 500000.0, "rope_type": "default"}},
    ),
    "olmo3-plain": model(
        "Olmo3ForCausalLM", "olmo3", "dbrx", **LLAMA | {"num_hidden_layers": 4, "intermediate_size": 32}, sliding_window=WINDOW,
        tie_word_embeddings=False, **TWO_PLAIN,
    ),
    "olmo3-tied": model(
        "Olmo3ForCausalLM", "olmo3", "dbrx", **LLAMA | WINDOWS | {"num_hidden_layers": 2, "layer_types": [S, F]},
        tie_word_embeddings=True, attention_bias=True,
        rope_parameters={F: {"rope_theta": 500000.0, **YARN, "attention_factor": 1.1},
                         S: {"rope_theta": 500000.0, "rope_type": "default"}},
    ),
    "cohere": model(
        "CohereForCausalLM", "cohere", "llama-3", True,
        **NORM, logit_scale=0.5, tie_word_embeddings=True, use_qk_norm=False, **rope(8000000.0),
    ),
    "cohere-norms": model(
        "CohereForCausalLM", "cohere", "llama-3", True,
        **NORM | {"num_key_value_heads": 4}, logit_scale=0.8, tie_word_embeddings=True, use_qk_norm=True, **rope(75000000.0),
    ),
    "cohere2": model(
        "Cohere2ForCausalLM", "cohere2", "llama-3", True,
        **NORM | WINDOWS, logit_scale=0.5, tie_word_embeddings=True, **rope(50000.0),
        more={"published": {"rotary_pct": 1.0}},
    ),
    "cohere2-wide": model(
        "Cohere2ForCausalLM", "cohere2", "llama-3", True,
        **NORM | WINDOWS | {"layer_types": [F, S], "num_hidden_layers": 2}, **WIDE, logit_scale=0.5, tie_word_embeddings=True,
        **rope(50000.0), more={"published": {"rotary_pct": 1.0}},
    ),
    "exaone4": model(
        "Exaone4ForCausalLM", "exaone4", "gpt-2", **LLAMA, tie_word_embeddings=True, sliding_window=None,
        sliding_window_pattern=None, layer_types=[F, F], **rope(1000000.0, **LLAMA3),
    ),
    "exaone4-windows": model(
        "Exaone4ForCausalLM", "exaone4", "gpt-2", **LLAMA | WINDOWS, tie_word_embeddings=False,
        sliding_window_pattern="LLLG", **rope(1000000.0, **LLAMA3),
    ),
    "seed-oss": model(
        "SeedOssForCausalLM", "seed_oss", "llama-3", True, **LLAMA, **WIDE, attention_bias=True, attention_out_bias=False,
        tie_word_embeddings=False, **rope(10000000.0),
    ),
    "arcee": model(
        "ArceeForCausalLM", "arcee", "llama-3", True, **LLAMA, **WIDE, tie_word_embeddings=False, **rope(10000.0, **YARN),
    ),
    "apertus": model(
        "ApertusForCausalLM", "apertus", "llama-3", True, **LLAMA, tie_word_embeddings=False, **rope(12000000.0, **LLAMA3),
    ),
    "glm-4-0414": model(
        "Glm4ForCausalLM", "glm4", "dbrx", **LLAMA, **WIDE, attention_bias=True, tie_word_embeddings=False,
        **rope(10000.0, partial_rotary_factor=0.5),
    ),
    "granite": model("GraniteForCausalLM", "granite", "starcoder", **LLAMA, **GRANITE, tie_word_embeddings=True, **rope(10000000.0)),
    "granite-biases": model(
        "GraniteForCausalLM", "granite", "starcoder", **LLAMA, **GRANITE, tie_word_embeddings=False, **rope(10000.0),
        attention_bias=True, mlp_bias=True,
    ),
    "ministral-3": model(
        "Ministral3ForCausalLM", "ministral3", "llama-3", True, **LLAMA, **WIDE, tie_word_embeddings=True,
        rope_parameters={"rope_theta": 1000000.0, **YARN, "rope_type": "yarn", "type": "yarn", "mscale": 1.0, "mscale_all_dim": 1.0,
                         "llama_4_scaling_beta": 0.1},
    ),
    "hunyuan-dense": model(
        "HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense", "llama-3", **LLAMA | {"max_position_embeddings": 32768}, **WIDE, tie_word_embeddings=True,
        **rope(10000.0, rope_type="dynamic", alpha=1000.0, factor=1.0, mscale=1.0, mscale_all_dim=1.0),
    ),
    "hunyuan-dense-plain": model(
        "HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense", "llama-3", **LLAMA, **WIDE, tie_word_embeddings=False, **rope(10000.0),
    ),
    "ernie-4.5": model("Ernie4_5ForCausalLM", "ernie4_5", "spm", True, **LLAMA, **WIDE, tie_word_embeddings=True, **rope(500000.0)),
    "ernie-4.5-biases": model(
        "Ernie4_5ForCausalLM", "ernie4_5", "spm", True, **LLAMA, **WIDE, use_bias=True, tie_word_embeddings=False, **rope(500000.0),
    ),
    "phi-2": model(
        "PhiForCausalLM", "phi", "gpt-2", **NORM | {"num_key_value_heads": 4, "intermediate_size": 128}, hidden_act="gelu_new", tie_word_embeddings=False,
        **rope(10000.0, partial_rotary_factor=0.5),
    ),
    "phi-2-grouped": model(
        "PhiForCausalLM", "phi", "gpt-2", **NORM, hidden_act="gelu_new", tie_word_embeddings=True,
        **rope(10000.0, partial_rotary_factor=0.5),
    ),
    "phi-2-norms": model(
        "PhiForCausalLM", "phi", "gpt-2", **NORM, hidden_act="gelu_new", tie_word_embeddings=False, qk_layernorm=True,
        **rope(10000.0, partial_rotary_factor=0.5),
    ),
    "gpt-neox": model(
        "GPTNeoXForCausalLM", "gpt_neox", "gpt-neox",
        **{key: value for key, value in NORM.items() if key != "num_key_value_heads"}, use_parallel_residual=True,
        **rope(10000.0, partial_rotary_factor=0.5), tie_word_embeddings=False, more={"published": {"rotary_pct": 0.5}},
    ),
    "gpt-neox-sequential": model(
        "GPTNeoXForCausalLM", "gpt_neox", "gpt-neox",
        **{key: value for key, value in NORM.items() if key != "num_key_value_heads"}, use_parallel_residual=False,
        **rope(10000.0, partial_rotary_factor=1.0), tie_word_embeddings=False, hidden_act="gelu_fast",
        more={"published": {"rotary_pct": 1.0}},
    ),
    "stablelm": model(
        "StableLmForCausalLM", "stablelm", "gpt-neox", **NORM, use_qkv_bias=True, tie_word_embeddings=False,
        **rope(10000.0, partial_rotary_factor=0.25),
    ),
    "stablelm-parallel": model(
        "StableLmForCausalLM", "stablelm", "gpt-neox", **NORM, use_qkv_bias=False, qk_layernorm=True,
        use_parallel_residual=True, tie_word_embeddings=False, **rope(10000.0, partial_rotary_factor=0.5),
    ),
    "nemotron": model(
        "NemotronForCausalLM", "nemotron", "spm", True, **{**SIZES, **HEADS}, intermediate_size=96, norm_eps=1e-5,
        tie_word_embeddings=False, **rope(10000.0, partial_rotary_factor=0.5), more={"spread": {"norm.weight": (0, 0.3)}},
    ),
    "nemotron-wide": model(
        "NemotronForCausalLM", "nemotron", "spm", True, **{**SIZES, **HEADS}, intermediate_size=64, norm_eps=1e-5, head_dim=16,
        tie_word_embeddings=False, attention_bias=True, mlp_bias=True, **rope(10000.0, partial_rotary_factor=0.5),
        more={"spread": {"norm.weight": (0, 0.3)}},
    ),
    "bitnet": model("BitNetForCausalLM", "bitnet", "llama-3", True, **LLAMA, tie_word_embeddings=True, **rope(500000.0)),
    "llama-biases": model(
        "LlamaForCausalLM", "llama", "spm", True, **LLAMA, **WIDE, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=False, **rope(50000000.0),
    ),
}
