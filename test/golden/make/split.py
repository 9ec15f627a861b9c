"""Writes test/golden/quantize/split.json: the parts that llama-gguf-split makes of samples/tiny-llama.

usage: split.py <llama-gguf-split> <model.gguf>...     (needs the Python package gguf)

The models are samples/tiny-llama as `llq convert --type f32` and `llq quantize --type Q4_0` write it. Form of the
result, by model and limit: tensors of each part, and the hash of each part but the first, which holds metadata
that changes with the version of llq.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf

LIMITS = ["3M", "4M", "1M"]


def main():
    program, *models = sys.argv[1:]
    result = {}
    for model in map(Path, models):
        for limit in LIMITS:
            with tempfile.TemporaryDirectory() as scratch:
                command = [program, "--split", "--split-max-size", limit, model, f"{scratch}/out"]
                if subprocess.run(command, capture_output=True).returncode != 0:
                    continue  # a tensor above the limit, which the program does not accept
                parts = sorted(Path(scratch).iterdir())
                result[f"{model.stem} {limit}"] = {
                    "files": [part.name for part in parts],
                    "tensors": [[t.name for t in gguf.GGUFReader(part).tensors] for part in parts],
                    "sha256": [hashlib.sha256(part.read_bytes()).hexdigest()[:16] for part in parts[1:]],
                }
    target = Path(__file__).parent.parent / "quantize" / "split.json"
    target.write_text(json.dumps(result, indent=1) + "\n")


main()
