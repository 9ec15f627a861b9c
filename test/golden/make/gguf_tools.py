"""Writes test/golden/gguf-tools/: a GGUF of many types, and what llama.cpp's tools make of it.

usage: gguf_tools.py <llama-gguf-split> <gguf-py>     (llama.cpp 0c1e57098, numpy)

mixed.gguf has rows of random bytes, NaNs among them: nothing that only moves tensors may look at them. tools.json holds, of
every run, the SHA-256 of each file (for a merge, of its tensors' bytes, as its metadata keeps `split.*`), and what
gguf_hash.py prints.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

split, gguf_py = sys.argv[1:]
sys.path.insert(0, gguf_py)

import gguf  # noqa: E402
import numpy as np  # noqa: E402

TARGET = Path(__file__).parent.parent / "gguf-tools"
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q5_1", "Q8_0", "Q2_K", "Q4_K", "Q6_K", "IQ4_XS", "IQ2_XXS", "TQ2_0", "MXFP4"]


def write_mixed(path):
    rng = np.random.default_rng(7)
    w = gguf.GGUFWriter(path, "made-up")
    w.add_name("Mixed")
    w.add_uint32("made-up.context_length", 2048)
    w.add_float32("made-up.epsilon", 1e-5)
    w.add_uint8("made-up.u8", 200)
    w.add_int8("made-up.i8", -100)
    w.add_uint16("made-up.u16", 60000)
    w.add_int16("made-up.i16", -30000)
    w.add_int32("made-up.i32", -(2**31))
    w.add_uint64("made-up.u64", 2**64 - 1)
    w.add_int64("made-up.i64", -(2**63))
    w.add_float64("made-up.f64", 0.1)
    w.add_bool("made-up.flag", True)
    w.add_array("made-up.numbers", [1, 2, 3])
    w.add_array("made-up.floats", [0.5, 1e-6])
    w.add_tokenizer_model("llama")
    w.add_token_list(["<unk>", "<s>", "</s>", "a", "b", "<|im_end|>"])
    w.add_token_scores([0.0] * 6)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_chat_template("{{ messages[0].content }}")
    for i, name in enumerate(TYPES):
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        columns = 256 if i % 2 else 512
        data = rng.integers(0, 256, size=(3 + i % 3, columns // block * size), dtype=np.uint8)
        w.add_tensor(f"blk.{i}.{name.lower()}.weight", data, raw_dtype=kind)
    w.add_tensor("one.bias", np.arange(5, dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def sha(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def data_sha(path):
    digest = hashlib.sha256()
    for tensor in gguf.GGUFReader(path).tensors:
        digest.update(tensor.data.tobytes())
    return digest.hexdigest()


def run(*command, cwd=None):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, cwd=cwd).stdout


SPLITS = {
    "--split-max-tensors 4": [],
    "--split-max-tensors 4 --no-tensor-first-split": [],
    "--split-max-tensors 100": [],
    "--split-max-size 1M": [],
}

NEW = {
    "name": ["--general-name", "Other"],
    "remove": ["--remove-metadata", "made-up.flag"],
    "tokens": ["--special-token", "eos", "<|im_end|>", "--special-token-by-id", "padding", "0"],
    "template": ["--chat-template", "{{ 1 }}\n{{ 2 }}"],
}

SET = {"made-up.context_length": "8192", "made-up.epsilon": "1e-06", "made-up.i64": "5", "tokenizer.ggml.bos_token_id": "3"}


def main():
    mixed = TARGET / "mixed.gguf"
    write_mixed(mixed)
    scripts = Path(gguf_py) / "gguf" / "scripts"
    result = {"split": {}, "new": {}, "set": {}}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        for i, options in enumerate(SPLITS):
            out = scratch / str(i)
            out.mkdir()
            run(split, "--split", *options.split(), mixed, out / "part")
            parts = sorted(out.iterdir())
            run(split, "--merge", parts[0], out / "merged.gguf")
            result["split"][options] = {
                "parts": {part.name: sha(part) for part in parts},
                "merged": data_sha(out / "merged.gguf"),
            }
        for name, options in NEW.items():
            out = scratch / f"{name}.gguf"
            run(sys.executable, scripts / "gguf_new_metadata.py", mixed, out, *options, "--force")
            result["new"][name] = {"options": options, "sha256": sha(out)}
        for key, value in SET.items():
            out = scratch / "set.gguf"
            out.write_bytes(mixed.read_bytes())
            run(sys.executable, scripts / "gguf_set_metadata.py", out, key, value, "--force")
            result["set"][key] = {"value": value, "sha256": sha(out)}
        result["hash"] = run(sys.executable, scripts / "gguf_hash.py", mixed.name, cwd=TARGET).splitlines()
    (TARGET / "tools.json").write_text(json.dumps(result, indent=1) + "\n")


main()
