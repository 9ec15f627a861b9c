"""What the classes of families.py allow besides what stands there: windows, biases, RoPE of every kind."""

from .common import HEADS, LLAMA, SIZES, WINDOW, model, rope
from .dense import LLAMA3, WIDE, YARN

QWEN2 = {**LLAMA, "rms_norm_eps": 1e-6, "tie_word_embeddings": True}
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "tie_word_embeddings": True}
QWEN2_MOE = {**QWEN2, **MOE, "shared_expert_intermediate_size": 32, **rope(1000000.0)}
QWEN3_MOE = {**QWEN2, **MOE, **WIDE, **rope(1000000.0)}
FALCON = {**SIZES, "num_attention_heads": 4, "layer_norm_epsilon": 1e-5, **rope(10000.0)}
MAMBA = {**SIZES, "state_size": 16, "conv_kernel": 4, "time_step_rank": 3, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}

FAMILIES = {
    "qwen2-window": model(
        "Qwen2ForCausalLM", "qwen2", **QWEN2 | {"num_hidden_layers": 3}, use_sliding_window=True, sliding_window=WINDOW,
        max_window_layers=1, **rope(1000000.0),
    ),
    "qwen2-layer-types": model(
        "Qwen2ForCausalLM", "qwen2", **QWEN2, use_sliding_window=True, sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"], **rope(1000000.0),
    ),
    "qwen3-biases": model("Qwen3ForCausalLM", "qwen3", **QWEN2, **WIDE, attention_bias=True, **rope(1000000.0)),
    "qwen3-window": model(
        "Qwen3ForCausalLM", "qwen3", **QWEN2, **WIDE, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1,
        **rope(1000000.0),
    ),
    "qwen2-moe-normalized": model("Qwen2MoeForCausalLM", "qwen2_moe", **QWEN2_MOE | {"tie_word_embeddings": False}, norm_topk_prob=True),
    "qwen2-moe-dense-layers": model(
        "Qwen2MoeForCausalLM", "qwen2_moe", **QWEN2_MOE | {"num_hidden_layers": 3}, norm_topk_prob=False, mlp_only_layers=[0],
        qkv_bias=False,
    ),
    "qwen2-moe-window": model(
        "Qwen2MoeForCausalLM", "qwen2_moe", **QWEN2_MOE, norm_topk_prob=False, use_sliding_window=True, sliding_window=WINDOW,
        max_window_layers=1, decoder_sparse_step=2,
    ),
    "qwen3-moe-plain": model("Qwen3MoeForCausalLM", "qwen3_moe", **QWEN3_MOE, norm_topk_prob=False),
    "qwen3-moe-dense-layers": model(
        "Qwen3MoeForCausalLM", "qwen3_moe", **QWEN3_MOE | {"num_hidden_layers": 3}, norm_topk_prob=True, mlp_only_layers=[1],
        attention_bias=True,
    ),
    "qwen3-moe-step": model(
        "Qwen3MoeForCausalLM", "qwen3_moe", **QWEN3_MOE | {"num_hidden_layers": 2}, norm_topk_prob=True, decoder_sparse_step=2,
    ),
    "falcon-rw": model(
        "FalconForCausalLM", "falcon", "falcon", **FALCON, alibi=True, bias=True, multi_query=False, parallel_attn=False,
        new_decoder_architecture=False, num_kv_heads=4,
    ),
    "falcon-sequential": model(
        "FalconForCausalLM", "falcon", "falcon", **FALCON, alibi=False, bias=True, multi_query=True, parallel_attn=False,
        new_decoder_architecture=False,
    ),
    "falcon-heads": model(
        "FalconForCausalLM", "falcon", "falcon", **FALCON, alibi=False, bias=False, multi_query=False, parallel_attn=True,
        new_decoder_architecture=False, num_kv_heads=4,
    ),
    "falcon-11b": model(
        "FalconForCausalLM", "falcon", "falcon", **FALCON, alibi=False, bias=False, multi_query=True, parallel_attn=True,
        new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1, ffn_hidden_size=128,
    ),
    "mamba-no-conv-bias": model("MambaForCausalLM", "mamba", "gpt-neox", **MAMBA, use_conv_bias=False),
    "mamba-biases": model("MambaForCausalLM", "mamba", "gpt-neox", **MAMBA | {"tie_word_embeddings": False}, use_bias=True),
    "starcoder2-no-biases": model(
        "Starcoder2ForCausalLM", "starcoder2", "starcoder", **{**SIZES, **HEADS}, intermediate_size=96, use_bias=False,
        norm_epsilon=1e-5, sliding_window=WINDOW, tie_word_embeddings=True, **rope(100000.0),
    ),
}

ROPES = {
    "llama3": LLAMA3,
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "yarn-usual": YARN,
    "yarn": {**YARN, "beta_fast": 8.0, "beta_slow": 2.0},
    "yarn-factor": {**YARN, "attention_factor": 0.9},
    "yarn-mscale": {**YARN, "mscale": 0.8, "mscale_all_dim": 0.5},
    "yarn-mscale-one": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0},
    "yarn-exact": {**YARN, "truncate": False},
    "longrope-long": {"rope_type": "longrope", "original_max_position_embeddings": 64, "factor": 8.0},
    "longrope-short": {"rope_type": "longrope", "original_max_position_embeddings": 512, "factor": 2.0},
}
# Heads of 8 but for Qwen3's of 16.
KINDS = {
    "llama": ("LlamaForCausalLM", "spm", True, {}, 4),
    "qwen2": ("Qwen2ForCausalLM", "qwen2", False, {"rms_norm_eps": 1e-6}, 4),
    "qwen3": ("Qwen3ForCausalLM", "qwen2", False, {"rms_norm_eps": 1e-6, **WIDE}, 8),
    "olmo2": ("Olmo2ForCausalLM", "dbrx", False, {"rms_norm_eps": 1e-6}, 4),
    "mistral": ("MistralForCausalLM", "spm", True, {"sliding_window": None}, 4),
}
for kind, (name, tokenizer, bos, others, half) in KINDS.items():
    for way, values in ROPES.items():
        if "longrope" in way:
            factors = [[start + step * i for i in range(half)] for start, step in ((1.0, 0.125), (1.5, 2.0))]
            values = {**values, "short_factor": factors[0], "long_factor": factors[1]}
        size = 1024 if way == "longrope-short" else 512
        tied = kind != "olmo2"
        config = {**LLAMA, "tie_word_embeddings": tied, "intermediate_size": 32, **others, "max_position_embeddings": size}
        FAMILIES[f"{kind}-{way}"] = model(name, kind, tokenizer, bos, **config, **rope(10000.0, **values))
