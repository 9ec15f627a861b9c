"""Writes ../tied.json: what transformers makes of checkpoints whose config.json ties the output to the embedding, and
which hold another output all the same.

    python tied.py      # transformers 5.24.0, torch 2.15.0, safetensors 0.8.0

Of each checkpoint of ../families that is tied, with `lm_head.weight` added: the embedding with its rows in reverse.
transformers 5 compares the two and ties only what is equal. The perplexities are of the texts of families.py, in f64.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

OUT = Path(__file__).parent.parent
FAMILIES = ["llama-3.2", "mamba", "phi3-short", "qwen2-tied", "qwen3-tied", "starcoder2", "gemma", "gemma2", "gemma3",
            "gpt2", "falcon-7b", "mpt"]
EMBEDDINGS = ["model.embed_tokens.weight", "backbone.embeddings.weight", "transformer.wte.weight", "wte.weight",
              "transformer.word_embeddings.weight"]


def perplexity(model, reference):
    tokens, context = reference["tokens"], reference["context"]
    losses = []
    for first in range(0, len(tokens), context):
        # every chunk begins as the text does
        start = tokens[:1] if reference["bos"] else []
        chunk = start + tokens[first + len(start) : first + context]
        with torch.no_grad():
            logs = torch.log_softmax(model(torch.tensor([chunk])).logits[0].double(), dim=-1)
        losses += [-logs[i, chunk[i + 1]].item() for i in range(context // 2, context - 1)]
    return float(np.exp(np.mean(losses)))


def load(folder):
    plain = {"attn_implementation": "eager"} if (folder / "config.json").read_text().find("mamba") < 0 else {}
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, **plain).eval()


def main():
    result = {}
    for name in FAMILIES:
        source = OUT / "families" / name
        reference = json.loads((source / "reference.json").read_text())
        tensors = load_file(source / "model.safetensors")
        embedding = next(tensors[each] for each in EMBEDDINGS if each in tensors)
        reference["bos"] = True
        if abs(perplexity(load(source), reference) / reference["perplexity"] - 1) > 1e-6:
            reference["bos"] = False
        same = perplexity(load(source), reference)
        assert abs(same / reference["perplexity"] - 1) < 1e-6, (name, same, reference["perplexity"])
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for file in source.glob("*.json"):
                (folder / file.name).write_bytes(file.read_bytes())
            head = {"lm_head.weight": embedding.flip(0).contiguous()}
            save_file(tensors | head, folder / "model.safetensors", {"format": "pt"})
            model = load(folder)
            assert model.config.tie_word_embeddings is not False
            result[name] = perplexity(model, reference)
        print(name, reference["perplexity"], result[name], flush=True)
    (OUT / "tied.json").write_text(json.dumps(result, indent=1) + "\n")


main()
