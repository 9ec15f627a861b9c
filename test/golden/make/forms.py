"""Writes ../forms.json: perplexities that transformers has for checkpoints of ../families with something changed.

    python forms.py      # transformers 5.24.0, torch 2.15.0, safetensors 0.8.0

`linear-rope`: llama with RoPE stretched by 4. `yarn-betas`: with YaRN's numbers all told. In f64, the texts of families.py.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

OUT = Path(__file__).parent.parent
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 32, "beta_fast": 16.0, "beta_slow": 2.0, "attention_factor": 1.5}
FORMS = {
    "linear-rope": ("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    "yarn-betas": ("llama", {"rope_parameters": YARN}),
}


def perplexity(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    reference = json.loads((folder / "reference.json").read_text())
    tokens, context = reference["tokens"], reference["context"]
    losses = []
    for first in range(0, len(tokens), context):
        chunk = tokens[:1] + tokens[first + 1 : first + context]
        with torch.no_grad():
            logs = torch.log_softmax(model.eval()(torch.tensor([chunk])).logits[0], dim=-1)
        losses += [-logs[i, chunk[i + 1]].item() for i in range(context // 2, context - 1)]
    return float(np.exp(np.mean(losses)))


def main():
    result = {}
    for form, (family, changes) in FORMS.items():
        source = OUT / "families" / family
        assert abs(perplexity(source) / json.loads((source / "reference.json").read_text())["perplexity"] - 1) < 1e-6
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for file in source.glob("*"):
                (folder / file.name).write_bytes(file.read_bytes())
            config = json.loads((folder / "config.json").read_text()) | changes
            (folder / "config.json").write_text(json.dumps(config))
            result[form] = perplexity(folder)
    (OUT / "forms.json").write_text(json.dumps(result, indent=1) + "\n")
    print(result)


main()
