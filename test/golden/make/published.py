"""Writes test/golden/families/published: tensors of published models, from shapes alone.

usage: published.py shapes [--code <folder>]     names and shapes of the checkpoint, by its reference on torch's meta
                                                 device; with and without code as families.py
       published.py gguf <llama.cpp> [model ...] what llama.cpp's converter makes of them with --outtype f16, from a
                                                 checkpoint whose weights are a hole in the file

Names with {i} stand for every layer, with {e} for every expert. Totals are compared with published_table.py's.
"""

import argparse
import json
import re
import struct
import sys
import tempfile
from math import prod
from pathlib import Path

from published_table import LOAD, MIXED, published

OUT = Path(__file__).parent.parent / "families" / "published"
LAYER = re.compile(r"(?<=\.)\d+(?=\.)")


def compact(tensors):
    """Rows [pattern, shape, ...] and the counts of layers and experts, from (name, shape, ...) of every tensor."""
    rows, counts = {}, {}
    for name, *rest in tensors:
        numbers = LAYER.findall(name)
        pattern = name
        for key in ("i", "e")[: len(numbers)]:
            pattern = LAYER.sub("{" + key + "}", pattern, count=1)
        for key, number in zip(("i", "e"), numbers):
            counts[key] = max(counts.get(key, 0), int(number) + 1)
        assert rows.setdefault(pattern, rest) == rest, name
    return [[pattern, *rest] for pattern, rest in rows.items()], counts


def expand(rows, counts):
    for pattern, *rest in rows:
        layers = range(counts["i"]) if "{i}" in pattern else [0]
        experts = range(counts["e"]) if "{e}" in pattern else [0]
        for layer in layers:
            for expert in experts:
                yield pattern.replace("{i}", str(layer)).replace("{e}", str(expert)), *rest


def unfused(name, shape):
    """An expert tensor of transformers 5 as checkpoints have it (Qwen3-MoE)."""
    if ".experts." not in name or len(shape) != 3 or "feed_forward" in name:  # Llama 4's are as they are
        return [(name, shape)]
    count, rows, columns = shape
    prefix, kind = name.rsplit(".", 1)
    parts = {"gate_up_proj": [("gate_proj", rows // 2), ("up_proj", rows // 2)], "down_proj": [("down_proj", rows)]}
    return [(f"{prefix}.{e}.{part}.weight", [n, columns]) for part, n in parts[kind] for e in range(count)]


def meta_model(config, code, folder):
    import torch
    import transformers

    with torch.device("meta"):
        if code:
            import families_publishers

            model = families_publishers.load(folder, None, code, config)
            if "position_encoding_2d" in config:
                model.lm_head.weight = model.transformer.word_embeddings.weight
            return model, "the publisher's code"
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "config.json").write_text(json.dumps(config | LOAD.get(config["architectures"][0], {})))
            parsed = transformers.AutoConfig.from_pretrained(scratch)
        return transformers.AutoModelForCausalLM.from_config(parsed), f"transformers {transformers.__version__}"


def checkpoint(name, parameters, config, code=None, folder=None):
    """(name, shape) of every tensor, how many numbers they are, and who says so."""
    model, made_by = meta_model(config, code, folder)
    own = {key: list(value.shape) for key, value in model.named_parameters()}
    total = sum(map(prod, own.values()))
    assert parameters in (total, None), (name, total, parameters)
    buffers = {
        key: list(value.shape)
        for key, value in model.state_dict().items()
        if "inv_freq" in key or "e_score_correction_bias" in key
    }
    return [each for key, shape in (own | buffers).items() for each in unfused(key, shape)], total, made_by


def write_shapes(arguments):
    OUT.mkdir(parents=True, exist_ok=True)
    for name, parameters, config, code in published():
        if (code is not None) != (arguments.code is not None) or name in MIXED:
            continue
        flat, total, made_by = checkpoint(name, parameters, config, code, arguments.code)
        rows, counts = compact(flat)
        value = {"parameters": total, "madeBy": made_by, "config": config, "counts": counts, "checkpoint": rows}
        save(name, value)
        print(name, total, len(rows), counts, flush=True)


def save(name, value):
    """One row a line."""
    text = json.dumps(value)
    lines = re.sub(r'(?<=[\]\}\[]),? ?(?=\["|"[a-zA-Z]+":)', lambda match: match[0].rstrip() + "\n", text)
    (OUT / f"{name}.json").write_text(lines + "\n")


def write_hole(folder, tensors):
    """A safetensors file without data."""
    header, at = {}, 0
    for name, shape in tensors:
        size = 2 * prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def mend_baichuan(model_class):
    """The converter of October 2026 calls itself without end for all tensors of Baichuan but the fused ones."""
    unpack = model_class.modify_tensors

    def modify_tensors(self, data, name, layer):
        return unpack(self, data, name, layer) if "W_pack" in name else [(self.map_tensor_name(name), data)]

    model_class.modify_tensors = modify_tensors


def converted(config, tensors):
    """(name, shape, type) of every tensor that the converter writes."""
    import gguf
    from conversion import get_model_class
    from conversion.base import ModelBase

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_hole(folder, tensors)
        (folder / "config.json").write_text(json.dumps(config))
        # the converter of Gemma 3 counts tokens
        tokens = {str(i): i for i in range(config.get("vocab_size", 0))}
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}, "added_tokens": []}))
        hparams = ModelBase.load_hparams(folder, False)
        model_class = get_model_class(config["architectures"][0])
        model_class.set_vocab = lambda self: None
        if config["model_type"] == "baichuan":
            mend_baichuan(model_class)
        model = model_class(folder, gguf.LlamaFileType.MOSTLY_F16, folder / "out.gguf", hparams=hparams)
        model.prepare_tensors()
        written = model.gguf_writer.tensors[0]
        return [(name, list(info.shape), info.dtype.name) for name, info in written.items()]


def write_gguf(arguments):
    sys.path.insert(0, arguments.llama_cpp)
    sys.path.insert(0, f"{arguments.llama_cpp}/gguf-py")
    for path in sorted(OUT.glob("*.json")):
        if arguments.models and path.stem not in arguments.models:
            continue
        value = json.loads(path.read_text())
        config = {key: field for key, field in value["config"].items() if field is not None}
        if "position_encoding_2d" in config:
            continue  # ChatGLM-6B, which llama.cpp does not know
        if config["architectures"] == ["InternLMForCausalLM"]:
            config |= {"architectures": ["LlamaForCausalLM"], "num_key_value_heads": config["num_attention_heads"]}
        if path.stem == "Falcon-7B":
            config["num_kv_heads"] = 1  # multi_query says so; the converter believes the published file's 71
        if "num_layers" in config:
            config["num_hidden_layers"] = config["num_layers"]
        rows = converted(config, list(expand(value["checkpoint"], value["counts"])))
        value["gguf"] = compact(rows)[0]
        save(path.stem, value)
        print(path.stem, len(rows), sum(prod(shape) for _, shape, _ in rows), flush=True)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("shapes").add_argument("--code")
    gguf = commands.add_parser("gguf")
    gguf.add_argument("llama_cpp")
    gguf.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    {"shapes": write_shapes, "gguf": write_gguf}[arguments.command](arguments)


if __name__ == "__main__":
    main()
