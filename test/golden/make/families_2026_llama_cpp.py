"""Writes what llama.cpp makes of the checkpoints of families.py and families_2026.py that a folder has: <name>.gguf (F32) and
<name>.llama-cpp.json beside them.

usage: families_2026_llama_cpp.py <llama.cpp> <its programs> <folder> [name ...]

The GGUF is written by llama.cpp's own converter, without layers for multi-token prediction. It is told the
pre-tokenizer that it knows published files by, reads config.json with what an entry's `published` says (fields that
publishers write and save_pretrained does not), and where its reader of vocabularies wants special tokens that the small
one has not, falls back to the plain reader of the kind (`vocabulary` says which). The json holds
  keys         of the GGUF but the arrays of the tokenizer: type and value
  tensors      name, shape (outermost dimension first), type, sha256 of the data
  perplexity   by llama-perplexity, of text.txt at the context of reference.json, and ln(it / transformers')
or `failed`: at which step, with what message.
"""

import contextlib
import hashlib
import io
import json
import logging
import math
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

SOURCE, PROGRAMS, FOLDER = (Path(path).resolve() for path in sys.argv[1:4])
sys.path[:0] = [str(SOURCE), str(SOURCE / "gguf-py")]

import gguf  # noqa: E402
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # noqa: E402
from conversion.base import TextModel  # noqa: E402

from families_2026 import FAMILIES as CLASSES_2026  # noqa: E402
from families_table import FAMILIES as OLDER  # noqa: E402

FAMILIES = OLDER | CLASSES_2026

TEXT = Path(__file__).parent.parent / "families" / "text.txt"
PRE = {"gpt-2": "gpt-2", "gpt-neox": "olmo", "llama-3": "llama-bpe", "dbrx": "dbrx", "qwen2": "qwen2",
       "falcon": "falcon", "starcoder": "starcoder"}
LOAD = ModelBase.load_hparams
NAME = "tiny"  # llama.cpp wants tokens of models whose name has "phi-3" or "jina" in it
LISTS = {"tokens", "scores", "token_type", "merges"}


class Failed(Exception):
    pass


def run(step, *command):
    for _ in range(8):
        result = subprocess.run([str(part) for part in command], capture_output=True)
        said = (result.stdout + result.stderr).decode(errors="replace")
        if result.returncode == 0:
            return said
        lines = [line for line in said.splitlines() if re.search("error load|assert|throw|unknown", line, re.I)]
        if lines:
            break
    message = " | ".join(dict.fromkeys(re.sub(r"^[\d.]+ E ", "", line) for line in lines))
    raise Failed(step, message or f"exit {result.returncode}: {said[-300:]}")


def overlay(config, entry):
    """What the converter wants to read in a config, None for what must not stand there."""
    part = config.get("text_config", config)
    for key, value in entry.get("published", {}).items():
        part.pop(key, None) if value is None else part.update({key: value})
    return config


def copied(name, entry, scratch):
    """A copy with that config and `names` as publishers write them, whose tokenizer.json is read as it is."""
    copy = Path(scratch) / name
    shutil.copytree(FOLDER / name, copy)
    config = overlay(json.loads((copy / "config.json").read_text()), entry)
    (copy / "config.json").write_text(json.dumps(config))
    if "names" in entry or "transposed" in entry:
        tensors = load_file(copy / "model.safetensors")
        for old, new in entry.get("names", {}).items():
            tensors = {name.replace(old, new): tensor for name, tensor in tensors.items()}
        for name in tensors:
            if entry.get("transposed", "-") in name:
                tensors[name] = tensors[name].transpose(1, 2).contiguous()
        save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    if not entry["tokenizer"].startswith("spm"):
        tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
        (copy / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    return copy


def convert(entry, folder, path):
    """Returns how the vocabulary was read."""
    kind = entry["tokenizer"]
    TextModel.get_vocab_base_pre = lambda self, tokenizer: PRE[kind]
    ModelBase.load_hparams = staticmethod(lambda *options, **named: overlay(LOAD(*options, **named), entry))
    hparams = ModelBase.load_hparams(folder, False)
    try:
        model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    except NotImplementedError as failure:
        raise Failed("convert", str(failure)) from failure
    model_class.no_mtp = model_class.supports_mtp_export

    def plain(self):
        if kind.startswith("spm"):
            self._set_vocab_sentencepiece()
            self.gguf_writer.add_add_space_prefix(kind != "spm gemma")
        else:
            self._set_vocab_gpt2()

    problem = None
    members = {"set_vocab": plain, "model_arch": model_class.model_arch}
    for vocabulary, own in (("its own", model_class), ("plain", type(model_class.__name__, (model_class,), members))):
        try:
            with torch.inference_mode(), contextlib.redirect_stderr(io.StringIO()):
                own(folder, gguf.LlamaFileType.ALL_F32, path, model_name=NAME).write()
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
        keys[field.name] = {"type": " ".join(part.name.lower() for part in field.types), "value": finite(value)}
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
    """Of the first chunks. Its last lines are lost at times, so it is given the text twice, and a chunk at a time."""
    golden = ["-b", context, "-fa", "off", "-ctk", "f32", "-ctv", "f32", "-t", 1]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write(TEXT.read_text() * 2)
        text.flush()
        command = [PROGRAMS / "llama-perplexity", "-m", path, "-f", text.name, "-c", context, *golden]
        for _ in range(8):
            said = run("perplexity", *command)
            found = re.search(rf"\[{chunks}\]([\d.]+|-?nan|inf),", said)
            if found:
                return float(found[1])
    raise Failed("perplexity", "no estimate")


def finite(value):
    """JSON has no infinity."""
    if isinstance(value, list):
        return [finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def make(name, entry):
    reference = json.loads((FOLDER / name / "reference.json").read_text())
    path = FOLDER / f"{name}.gguf"
    path.unlink(missing_ok=True)
    result = {"llama.cpp": "0c1e57098", "transformers": reference.get("perplexity")}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            result["vocabulary"] = convert(entry, copied(name, entry, scratch), path)
        if "published" in entry:
            result["published"] = entry["published"]
        result["keys"], result["tensors"] = read(path)
        context = reference["context"]
        ppl = perplexity(path, context, len(reference["tokens"]) // context)
        result["perplexity"] = finite(ppl)
        if "perplexity" in reference:
            result["difference"] = finite(math.log(ppl / reference["perplexity"])) if ppl > 0 else "nan"
    except Failed as failure:
        result["failed"] = dict(zip(("step", "message"), failure.args))
    (FOLDER / f"{name}.llama-cpp.json").write_text(json.dumps(result, indent=1) + "\n")
    print(name, result["transformers"], result.get("perplexity"), result.get("difference"), result.get("failed", ""), flush=True)


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
