"""What transformers computes for samples/tiny-llama, and for its weights under other configurations.

For one chunk of tokens: -ln p of every token after the first; for its last position also the four likeliest tokens.
Stored weights (BF16), arithmetic in f64 except where transformers asks for f32 (RoPE's angles, the norm's mean).

usage: python tiny_llama_nll.py samples/tiny-llama samples/text.txt > test/golden/tiny-llama-nll.json
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
import transformers

CONTEXT = 192

# Changes to config.json: what scales RoPE and what limits attention shows within the chunk.
VARIANTS = {
    "as it is": {},
    "linear": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}},
    "llama3": {
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }
    },
    "biases": {"attention_bias": True, "mlp_bias": True},  # the weights have none: set_biases makes some
    "window": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 37},
}


def set_biases(model):
    """Element i of every bias of layer l is sin(i + l) / 4."""
    for layer, block in enumerate(model.model.layers):
        for name, parameter in block.named_parameters():
            if name.endswith("bias"):
                parameter.data = torch.sin(torch.arange(len(parameter), dtype=torch.float64) + layer) / 4


def log_probs(folder, changes, tokens):
    """[CONTEXT][vocabulary]"""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(folder / "model.safetensors", scratch)
        config = json.loads((folder / "config.json").read_text())
        (Path(scratch) / "config.json").write_text(json.dumps(config | changes))
        model = transformers.AutoModelForCausalLM.from_pretrained(
            scratch, dtype=torch.float64, attn_implementation="eager"
        )
        if "attention_bias" in changes:
            set_biases(model)
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0]
    return torch.log_softmax(logits.double(), dim=-1)


def main(folder, text):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(text)["input_ids"][:CONTEXT]
    variants = []
    for name, changes in VARIANTS.items():
        logs = log_probs(folder, changes, tokens)
        nll = [-logs[i, token].item() for i, token in enumerate(tokens[1:])]
        top = torch.topk(logs[CONTEXT - 1], 4)
        variants.append(
            {
                "name": name,
                "config": changes,
                "nll": [round(value, 7) for value in nll],
                "likeliest": [[t, round(-v, 7)] for t, v in zip(top.indices.tolist(), top.values.tolist())],
            }
        )
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    print(json.dumps({"versions": versions, "tokens": tokens, "variants": variants}))


main(Path(sys.argv[1]), Path(sys.argv[2]).read_text())
