"""Writes test/golden/families: a tiny random checkpoint of every family, and what its reference makes of a text.

usage: families.py [--code <folder>] [family ...]

The reference is transformers, or for a family with `code` in families_table.py the publisher's modelling file: --code
names a folder with a folder for each (`chatglm2-6b/modeling_chatglm.py` and what it imports). Those were written for
older transformers, so families with and without code are made in separate runs.

Of each checkpoint: config.json, model.safetensors (BF16), the files of a tokenizer, and
  reference.json   the tokens of text.txt (512); perplexity over its two chunks of 256, second halves scored, as
                   llama-perplexity does; who computed it
  logits.f32.gz    [POSITIONS, vocabulary] of the first tokens, little-endian, the last 8 bits of each cut
  prefixed.f32.gz  for ChatGLM-6B: the same of a chunk with a prefix of 31 tokens, `prefixed` in reference.json
The weights are rounded to BF16 first and then computed with in f64, except where the reference asks for f32.
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
from safetensors.torch import load_file, save_file

from families_table import FAMILIES
from families_tokenizers import make_tokenizer

OUT = Path(__file__).parent.parent / "families"
CONTEXT, CHUNKS, POSITIONS = 256, 2, 48


def load_transformers(config, folder):
    (folder / "config.json").write_text(json.dumps(config))
    loaded = transformers.AutoConfig.from_pretrained(folder)
    plain = {"attn_implementation": "eager", "experts_implementation": "eager"}
    return transformers.AutoModelForCausalLM.from_config(loaded, **plain).eval()


def spread(name, shape, model_type):
    """Mean and standard deviation of a parameter, such that every part of the model shows in the logits."""
    if name.endswith("A_log"):
        return 0.5, 0.7
    if name.endswith("conv1d.weight"):
        return 0, 0.5
    if "dt_proj" in name:
        return (-1, 0.7) if name.endswith("bias") else (0, 0.5)
    if len(shape) == 1:
        is_scale = name.endswith("weight") or name.endswith(".D")
        return (1 if is_scale and not model_type.startswith("gemma") else 0), 0.3
    if "embed" in name or ".wte." in name or ".wpe." in name:  # serves as output, too, where the model is tied
        return 0, 0.25
    if name.startswith("lm_head") or "output" in name.split(".")[0]:
        return 0, 1.5 * shape[-1] ** -0.5
    return 0, 1.2 * shape[-1] ** -0.5


def set_weights(model, seed, model_type):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        mean, deviation = spread(name, parameter.shape, model_type)
        values = mean + deviation * torch.randn(parameter.shape, generator=generator)
        parameter.data = values.to(torch.bfloat16).to(torch.float32)


def checkpoint(model, family, scratch):
    """The tensors by the names that the publisher gives them."""
    if "code" in family:
        tensors = {name: tensor for name, tensor in model.state_dict().items()}
    else:
        model.save_pretrained(scratch, max_shard_size="1GB")
        tensors = load_file(scratch / "model.safetensors")
    if "join" in family:
        pattern, parts, joined = family["join"]
        for i in range(model.config.num_hidden_layers):
            for kind in ("weight", "bias"):
                pieces = [tensors.pop(pattern.format(i=i, part=part) + kind) for part in parts]
                tensors[joined.format(i=i) + kind] = torch.cat(pieces)
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in family.get("rename", {}).items():
            name = name.replace(old, new)
        renamed[name] = tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
    return {name: tensor.clone().contiguous() for name, tensor in renamed.items()}


def chunks_of(tokens, start):
    """Each begins as the text does, in place of its own first tokens."""
    for i in range(CHUNKS):
        yield start + tokens[i * CONTEXT + len(start) : (i + 1) * CONTEXT]


def logits_of(model, chunk):
    return model(torch.tensor([chunk]), return_dict=True).logits[0]


def evaluate(model, chunks):
    """The first chunk's logits, and the mean of -ln p over the second halves."""
    losses, first = [], None
    for chunk in chunks:
        with torch.no_grad():
            logits = logits_of(model, chunk).double()
        first = logits if first is None else first
        logs = torch.log_softmax(logits, dim=-1)
        scored = range(CONTEXT // 2, CONTEXT - 1)
        losses += [-logs[i, chunk[i + 1]].item() for i in scored]
    return first, sum(losses) / len(losses)


def write_logits(path, logits):
    bits = logits[:POSITIONS].to(torch.float32).numpy().view(np.uint32)
    rounded = (bits + 0x80) & np.uint32(0xFFFFFF00)
    path.write_bytes(gzip.compress(rounded.astype("<u4").tobytes(), 9, mtime=0))


def make(name, family, text, code):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    config = family["config"]
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokens, start = make_tokenizer(family["tokenizer"], text, folder, family["bos"])
    tokens = tokens[: CONTEXT * CHUNKS]
    assert len(tokens) == CONTEXT * CHUNKS, (name, len(tokens))
    with tempfile.TemporaryDirectory() as scratch:
        if "code" in family:
            import families_publishers

            model = families_publishers.load(code, name, family["code"], config)
            oracle = f"the publisher's {family['code']}, transformers {transformers.__version__}"
        else:
            loaded = config | family.get("load", {})
            model = load_transformers(loaded, Path(scratch))
            oracle = f"transformers {transformers.__version__} {type(model).__name__}"
        set_weights(model, zlib.crc32(name.encode()), config["model_type"])
        save_file(checkpoint(model, family, Path(scratch)), folder / "model.safetensors", {"format": "pt"})
        first, nll = evaluate(model.double(), list(chunks_of(tokens, start)))
        prefixed = tokens[len(start) :][:30] + start + tokens[len(start) :][30:46]
        if family["tokenizer"] == "ice":
            with torch.no_grad():
                write_logits(folder / "prefixed.f32.gz", logits_of(model, prefixed))
    write_logits(folder / "logits.f32.gz", first)
    reference = {
        "madeBy": f"{oracle}, torch {torch.__version__.split('+')[0]}",
        "context": CONTEXT,
        "positions": POSITIONS,
        "nll": nll,
        "perplexity": float(np.exp(nll)),
        "tokens": tokens,
    }
    if family["tokenizer"] == "ice":
        reference["prefixed"] = prefixed
    (folder / "reference.json").write_text(json.dumps(reference) + "\n")
    size = (folder / "model.safetensors").stat().st_size
    print(f"{name}: perplexity {np.exp(nll):.4f}, logits {first[:POSITIONS].min():.2f} to {first[:POSITIONS].max():.2f}, {size} bytes", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--code")
    parser.add_argument("families", nargs="*")
    arguments = parser.parse_args()
    text = (OUT / "text.txt").read_text()
    for name, family in FAMILIES.items():
        wanted = not arguments.families or name in arguments.families
        if wanted and ("code" in family) == (arguments.code is not None):
            make(name, family, text, arguments.code)


if __name__ == "__main__":
    main()
