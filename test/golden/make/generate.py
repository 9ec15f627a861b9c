"""Writes generate.json beside the reference.json of every family: how its reference goes on from a few tokens, greedily.

usage: generate.py [--code <folder>] [family ...]         (in two runs, as families.py)

The weights are those of families.py, made again from their seeds and compared with model.safetensors, and the logits
compared with logits.f32.gz. The prompt is the first 16 tokens of reference.json, with whatever begins every text there;
for ChatGLM-6B its `prefixed`, and for phi3-long 40, since transformers has other factors for the first 32 positions
while there are no more. transformers' own classes run in generate() in f32 with their cache; the publishers' files in
f64, every token from all before it, without cache. No token ends the text. What is written:
  prompt, tokens   ids, 64 of them new
  logprobs         ln p of every new token
  minMargin        the least difference of the best and the second logit: nobody who computes otherwise need agree on
                   a token below the error of their logits
  window           the attention window of some layers, where the text outgrows one
Both ways are compared with one pass over the whole text.
"""

import argparse
import gzip
import json
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file

from families import OUT, POSITIONS, checkpoint, load_transformers, logits_of, set_weights
from families_table import FAMILIES

NEW, PROMPT, LONG_PROMPT = 64, 16, 40


def load(name, family, code):
    config = family["config"]
    with tempfile.TemporaryDirectory() as scratch:
        if "code" in family:
            import families_publishers

            model = families_publishers.load(code, name, family["code"], config)
        else:
            model = load_transformers(config | family.get("load", {}), Path(scratch))
        set_weights(model, zlib.crc32(name.encode()), config["model_type"])
        stored = load_file(OUT / name / "model.safetensors")
        made = checkpoint(model, family, Path(scratch))
    assert made.keys() == stored.keys() and all(torch.equal(made[key], stored[key]) for key in stored), name
    return model.double() if "code" in family else model


def off_reference(model, name, tokens):
    """The largest difference from logits.f32.gz: whether this is the program that made it."""
    stored = np.frombuffer(gzip.decompress((OUT / name / "logits.f32.gz").read_bytes()), "<f4")
    logits = logits_of(model, tokens[:POSITIONS]).float().numpy()
    return np.abs(stored.reshape(logits.shape) - logits).max()


def with_cache(model, prompt):
    """Tokens, and the logits that each was chosen by."""
    model.generation_config = transformers.GenerationConfig()
    ids = torch.tensor([prompt])
    arguments = {"do_sample": False, "max_new_tokens": NEW, "return_dict_in_generate": True, "output_logits": True}
    out = model.generate(ids, attention_mask=torch.ones_like(ids), **arguments)
    return out.sequences[0, len(prompt) :].tolist(), torch.cat(out.logits).float()


def without_cache(model, prompt):
    tokens, rows = [], []
    for _ in range(NEW):
        rows.append(logits_of(model, prompt + tokens)[-1].float())
        tokens.append(rows[-1].argmax().item())
    return tokens, torch.stack(rows)


def make(name, family, code):
    reference = json.loads((OUT / name / "reference.json").read_text())
    length = LONG_PROMPT if name == "phi3-long" else PROMPT
    prompt = reference.get("prefixed") or reference["tokens"][:length]
    model = load(name, family, code)
    with torch.no_grad():
        assert off_reference(model, name, reference["tokens"]) < 1e-3, name
        tokens, logits = (without_cache if "code" in family else with_cache)(model, prompt)
        whole = logits_of(model, prompt + tokens)[len(prompt) - 1 : -1].float()
    assert len(tokens) == NEW and tokens == whole.argmax(-1).tolist(), name
    difference = (logits - whole).abs().max().item()
    assert difference < 1e-3, (name, difference)
    best = logits.topk(2).values
    margin = (best[:, 0] - best[:, 1]).min().item()
    chosen = torch.log_softmax(logits.double(), -1)[range(NEW), tokens]
    config = family["config"].get("text_config", family["config"])
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    who = f"the publisher's {family['code']}" if "code" in family else type(model).__name__
    result = {
        "by": f"{who}, transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "prompt": prompt,
        "tokens": tokens,
        "logprobs": [round(value, 6) for value in chosen.tolist()],
        "minMargin": float(f"{margin:.3g}"),
    }
    if window is not None and window < len(prompt) + NEW:
        result["window"] = window
    (OUT / name / "generate.json").write_text(json.dumps(result) + "\n")
    distinct = len(set(tokens))
    print(f"{name}: margin {margin:.3g}, off one pass {difference:.1e}, {distinct} distinct, window {window}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--code")
    parser.add_argument("families", nargs="*")
    arguments = parser.parse_args()
    for name, family in FAMILIES.items():
        wanted = not arguments.families or name in arguments.families
        if wanted and ("code" in family) == (arguments.code is not None):
            make(name, family, arguments.code)


if __name__ == "__main__":
    main()
