"""Writes what llama.cpp makes of the checkpoints of families_2026.py: <name>.gguf (F32) and <name>.llama-cpp.json beside them.

usage: families_2026_llama_cpp.py <llama.cpp> <its programs> <folder of families_2026.py> [name ...]

The GGUF is written by llama.cpp's own converter, which is told the pre-tokenizer that it knows published files by, and
where its reader of vocabularies wants special tokens that the small one has not, falls back to the plain reader of the
kind (`vocabulary` says which). The json holds
  keys         of the GGUF but the arrays of the tokenizer: type and value
  tensors      name, shape (outermost dimension first), type, sha256 of the data
  perplexity   by llama-perplexity, of text.txt at the context of reference.json, and ln(it / transformers')
  quantized    for each recipe the type and the sha256 of every tensor by llama-quantize
or `failed`: at which step, with what message.
"""

import contextlib
import hashlib
import io
import json
import logging
import math
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import torch

SOURCE, PROGRAMS, FOLDER = (Path(path).resolve() for path in sys.argv[1:4])
sys.path[:0] = [str(SOURCE), str(SOURCE / "gguf-py")]

import gguf  # noqa: E402
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # noqa: E402
from conversion.base import TextModel  # noqa: E402

from families_2026 import FAMILIES  # noqa: E402

TEXT = Path(__file__).parent.parent / "families" / "text.txt"
PRE = {"gpt-2": "gpt-2", "gpt-neox": "olmo", "llama-3": "llama-bpe", "dbrx": "dbrx", "qwen2": "qwen2",
       "falcon": "falcon", "starcoder": "starcoder"}
RECIPES = ["Q8_0", "Q4_K_M", "Q2_K"]
LISTS = {"tokens", "scores", "token_type", "merges"}


class Failed(Exception):
    pass


def run(step, *command):
    result = subprocess.run([str(part) for part in command], capture_output=True)
    said = (result.stdout + result.stderr).decode(errors="replace")
    if result.returncode != 0:
        lines = [line for line in said.splitlines() if re.search("error|assert|fail|missing|wrong|unknown|throw", line, re.I)]
        raise Failed(step, " | ".join(lines[:6]) or f"exit {result.returncode}: {said[-300:]}")
    return said


def convert(name, entry, path):
    """Returns how the vocabulary was read."""
    kind = entry["tokenizer"]
    TextModel.get_vocab_base_pre = lambda self, tokenizer: PRE[kind]
    folder = FOLDER / name
    hparams = ModelBase.load_hparams(folder, False)
    model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))

    def plain(self):
        if kind.startswith("spm"):
            self._set_vocab_sentencepiece()
        else:
            self._set_vocab_gpt2()

    problem = None
    members = {"set_vocab": plain, "model_arch": model_class.model_arch}
    for vocabulary, own in (("its own", model_class), ("plain", type(model_class.__name__, (model_class,), members))):
        try:
            with torch.inference_mode(), contextlib.redirect_stderr(io.StringIO()):
                own(folder, gguf.LlamaFileType.ALL_F32, path, model_name=name).write()
            return vocabulary if problem is None else f"{vocabulary}: {problem}"
        except SystemExit as failure:
            problem = f"exit {failure}"
        except Exception as failure:
            where = traceback.extract_tb(failure.__traceback__)[-1]
            problem = f"{type(failure).__name__} {failure} ({Path(where.filename).name} {where.name})"
    raise Failed("convert", problem)


def read(path):
    reader = gguf.GGUFReader(path)
    keys = {}
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or (field.name.startswith("tokenizer.ggml.") and field.name.split(".")[-1] in LISTS):
            continue
        value = field.contents()
        keys[field.name] = {"type": " ".join(part.name.lower() for part in field.types), "value": value}
    tensors = [
        {
            "name": tensor.name,
            "shape": [int(n) for n in reversed(tensor.shape)],
            "type": tensor.tensor_type.name,
            "sha256": hashlib.sha256(tensor.data.tobytes()).hexdigest(),
        }
        for tensor in reader.tensors
    ]
    return keys, tensors


def perplexity(path, context, chunks):
    golden = ["-fa", "off", "-ctk", "f32", "-ctv", "f32", "-t", 1]
    said = run("perplexity", PROGRAMS / "llama-perplexity", "-m", path, "-f", TEXT, "-c", context, "--chunks", chunks, *golden)
    found = re.search(r"Final estimate: PPL = ([\d.]+|nan|inf|-nan)", said)
    if not found:
        raise Failed("perplexity", said[-300:])
    return float(found[1])


def quantized(path):
    for recipe in RECIPES:
        with tempfile.TemporaryDirectory() as scratch:
            result = Path(scratch) / "result.gguf"
            run(f"quantize {recipe}", PROGRAMS / "llama-quantize", path, result, recipe, 1)
            yield recipe, {tensor["name"]: [tensor["type"], tensor["sha256"]] for tensor in read(result)[1]}


def finite(value):
    return value if math.isfinite(value) else str(value)


def make(name, entry):
    reference = json.loads((FOLDER / name / "reference.json").read_text())
    path = FOLDER / f"{name}.gguf"
    path.unlink(missing_ok=True)
    result = {"llama.cpp": "0c1e57098", "transformers": reference["perplexity"]}
    try:
        result["vocabulary"] = convert(name, entry, path)
        result["keys"], result["tensors"] = read(path)
        context = reference["context"]
        ppl = perplexity(path, context, len(reference["tokens"]) // context)
        result["perplexity"] = finite(ppl)
        result["difference"] = finite(math.log(ppl / reference["perplexity"])) if ppl > 0 else "nan"
    except Failed as failure:
        result["failed"] = dict(zip(("step", "message"), failure.args))
    try:
        if "tensors" in result:
            result["quantized"] = dict(quantized(path))
    except Failed as failure:
        result.setdefault("failed", dict(zip(("step", "message"), failure.args)))
    (FOLDER / f"{name}.llama-cpp.json").write_text(json.dumps(result, indent=1) + "\n")
    print(name, f"{result['transformers']:.6g}", result.get("perplexity"), result.get("difference"), result.get("failed", ""), flush=True)


def main():
    logging.disable(logging.WARNING)
    wanted = sys.argv[4:]
    for name, entry in FAMILIES.items():
        reference, known = FOLDER / name / "reference.json", FOLDER / f"{name}.llama-cpp.json"
        if not reference.exists() or (wanted and name not in wanted):
            continue
        if wanted or not known.exists() or known.stat().st_mtime < reference.stat().st_mtime:
            make(name, entry)


if __name__ == "__main__":
    main()
