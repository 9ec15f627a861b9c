"""Writes ../fit/gemma.json: parameters of Gemma 3n and 4 as transformers makes them on torch's meta device.

usage: fit_gemma.py      (transformers 5.24.0)

The configurations are those of transformers' scripts convert_gemma3n_weights.py and convert_gemma4_weights.py; fields that
these leave out are transformers' defaults. Of the language model alone; the tied output is not counted.
"""

import json
from pathlib import Path

import torch
from transformers import Gemma3nForCausalLM, Gemma3nTextConfig, Gemma4ForCausalLM, Gemma4TextConfig

FIVE, SIX = (["sliding_attention"] * n + ["full_attention"] for n in (4, 5))
ROPE = {"full_attention": {"rope_theta": 1e6, "rope_type": "proportional", "partial_rotary_factor": 0.25},
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}}
LARGE = {"hidden_size_per_layer_input": 0, "attention_k_eq_v": True, "sliding_window": 1024, "max_position_embeddings": 262144}


def gemma4(hidden, layers, types, heads, kv, width, **others):
    return Gemma4ForCausalLM, Gemma4TextConfig(
        hidden_size=hidden, num_hidden_layers=layers, layer_types=types * (layers // len(types)), num_attention_heads=heads,
        num_key_value_heads=kv, intermediate_size=width, rope_parameters=ROPE, final_logit_softcapping=30.0, **others)


MODELS = {
    "gemma-3n-e2b": (Gemma3nForCausalLM, Gemma3nTextConfig(intermediate_size=8192, num_hidden_layers=30, num_kv_shared_layers=10,
                                                          activation_sparsity_pattern=[0.95] * 10 + [0.0] * 20)),
    "gemma-3n-e4b": (Gemma3nForCausalLM, Gemma3nTextConfig()),
    "gemma-4-e2b": gemma4(1536, 35, FIVE, 8, 1, 6144, num_kv_shared_layers=20, use_double_wide_mlp=True),
    "gemma-4-e4b": gemma4(2560, 42, SIX, 8, 2, 10240, num_kv_shared_layers=18),
    "gemma-4-31b": gemma4(5376, 60, SIX, 32, 16, 21504, num_global_key_value_heads=4, **LARGE),
    "gemma-4-26b-a4b": gemma4(2816, 30, SIX, 16, 8, 2112, num_global_key_value_heads=2, enable_moe_block=True, num_experts=128,
                              moe_intermediate_size=704, top_k_experts=8, **LARGE),
}

counts = {}
for name, (model_class, config) in MODELS.items():
    with torch.device("meta"):
        model = model_class(config)
    model.tie_weights()
    tensors = dict(model.named_parameters()) | {n: b for n, b in model.named_buffers() if n.endswith("layer_scalar")}
    counts[name] = sum(tensor.numel() for tensor in {id(t): t for t in tensors.values()}.values())
    print(name, counts[name], flush=True)
(Path(__file__).parent.parent / "fit" / "gemma.json").write_text(json.dumps(counts, indent=1) + "\n")
