"""RoPE of every kind as transformers computes it: each pair's frequency and how long cosine and sine are.

usage: rope.py FOLDER, with transformers 5.24; writes FOLDER/rope.json
"""

import json
import sys
from pathlib import Path

import torch
import transformers

SHAPE = {
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 64,
    "vocab_size": 64,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
}
SIXTEEN = [1 + i / 3 for i in range(16)]
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}
LONG = {"rope_type": "longrope", "long_factor": SIXTEEN, "short_factor": [1 + i / 50 for i in range(16)]}
KINDS = {
    "default": {"rope_type": "default"},
    "linear": {"type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {**LLAMA3, "original_max_position_embeddings": 512},
    "llama3 of the whole context": LLAMA3,
    "yarn": YARN,
    "yarn of the whole context": {"rope_type": "yarn", "factor": 2.0},
    "yarn with an attention factor": {**YARN, "attention_factor": 1.3},
    "yarn with mscale": {**YARN, "mscale": 0.707, "mscale_all_dim": 1.0},
    "yarn with mscale alone": {**YARN, "mscale": 0.707},
    "yarn with equal mscales": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0},
    "yarn with bounds": {**YARN, "beta_fast": 16.0, "beta_slow": 2.0},
    "yarn not rounded": {**YARN, "truncate": False},
    "yarn that shrinks": {**YARN, "factor": 0.5},
    "longrope": {**LONG, "original_max_position_embeddings": 1024},
    "longrope with a factor": {**LONG, "factor": 32.0, "original_max_position_embeddings": 1024},
    "longrope with an attention factor": {**LONG, "attention_factor": 1.1, "original_max_position_embeddings": 1024},
}
# As Qwen2.5 says it for long texts, with its own width, base and context; and with all that YaRN takes.
PUBLISHED = {
    "Qwen2.5's yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    "Qwen2.5's yarn with everything told": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768,
        "attention_factor": 1.25, "beta_fast": 24.0, "beta_slow": 1.5,
    },
}
WIDE = {"head_dim": 128, "max_position_embeddings": 131072}
CLASSES = ["Llama", "Mistral", "Qwen2", "Qwen3", "Olmo2"]
CONTEXTS = [256, 6000]


def case(name: str, kind: str, scaling: dict, field: str, context: int, base=500000.0, more={}) -> dict:
    config = {**SHAPE, **more, field: dict(scaling)}
    if field == "rope_scaling":
        config["rope_theta"] = base
    else:
        config[field]["rope_theta"] = base
    loaded = getattr(transformers, f"{name}Config").from_dict(json.loads(json.dumps(config)))
    model = getattr(transformers, f"{name}ForCausalLM")(loaded)
    rotary = model.model.rotary_emb
    # What was chosen for the context stays in the module.
    rotary(torch.zeros(1, context, 64), torch.arange(context)[None])
    return {
        "class": f"{name}ForCausalLM",
        "kind": kind,
        "context": context,
        "config": {**config, "architectures": [f"{name}ForCausalLM"]},
        "frequencies": [float(each) for each in rotary.inv_freq],
        "magnitude": float(rotary.attention_scaling),
    }


def main(folder: str) -> None:
    cases = []
    for i, (kind, scaling) in enumerate(KINDS.items()):
        for name in CLASSES:
            # The tables are the same for all; each field and context occurs with each kind.
            turn = i + CLASSES.index(name)
            field = ["rope_scaling", "rope_parameters"][turn % 2]
            cases.append(case(name, kind, scaling, field, CONTEXTS[turn // 2 % 2]))
    for (kind, scaling), field in zip(PUBLISHED.items(), ["rope_scaling", "rope_parameters"]):
        cases.append(case("Qwen2", kind, scaling, field, 256, 1e6, WIDE))
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__}"
    text = ",\n".join(json.dumps(each) for each in cases)
    Path(folder, "rope.json").write_text(f'{{"madeBy": "{made_by}", "cases": [\n{text}\n]}}\n')


main(sys.argv[1])
