"""Writes test/golden/exaone.json: what llama.cpp's converter makes of EXAONE 3.5's names.

usage: exaone.py <llama.cpp>

transformers has no class of EXAONE 3; its layers are Llama's under other names (publisher's modeling_exaone.py). So the
checkpoints are families/llama and families/llama-3.2 with their tensors and fields renamed, and what transformers says of
those holds for these. The json has, by family, the keys of the architecture and the sha256 of every tensor, in F32.
Made with llama.cpp 0c1e57098.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

LLAMA = Path(sys.argv[1]).resolve()
sys.path[:0] = [str(LLAMA), str(LLAMA / "gguf-py")]

import gguf  # noqa: E402
from conversion import get_model_class  # noqa: E402

GOLDEN = Path(__file__).parent.parent
NAMES = json.loads((GOLDEN / "exaone-names.json").read_text())


def renamed(text, table):
    for ours, theirs in table.items():
        text = text.replace(ours, theirs)
    return text


found = {}
for family in ("llama", "llama-3.2"):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tensors = load_file(GOLDEN / "families" / family / "model.safetensors")
        save_file({renamed(name, NAMES["tensors"]): tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
        config = json.loads((GOLDEN / "families" / family / "config.json").read_text())
        config = {NAMES["fields"].get(key, key): value for key, value in config.items()} | NAMES["config"]
        (folder / "config.json").write_text(json.dumps(config))
        model_class = get_model_class("ExaoneForCausalLM")
        model_class.set_vocab = lambda self: None
        path = folder / "model.gguf"
        hparams = dict(config)
        model = model_class(folder, gguf.LlamaFileType.ALL_F32, path, hparams=hparams)
        model.write()
        reader = gguf.GGUFReader(path)
        keys = {field.name: field.contents() for field in reader.fields.values() if field.name.startswith("exaone.")}
        hashes = {each.name: hashlib.sha256(each.data.tobytes()).hexdigest() for each in reader.tensors}
        found[family] = {"keys": keys, "tensors": hashes}
(GOLDEN / "exaone.json").write_text(json.dumps(found, indent=1) + "\n")
