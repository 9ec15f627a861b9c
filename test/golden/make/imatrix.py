"""Writes test/golden/imatrix: what llama-imatrix computes on samples/tiny-llama, and what it makes of two files.

usage: imatrix.py <llama-imatrix> <tiny-llama.gguf>

The model is samples/tiny-llama as F32. Keys and values are kept in f32, not in f16 as llama-imatrix does otherwise:
the sums then differ from exact ones by its f32 additions only. The two files that are added are those of
test/golden/quantize; of the sum only the hash is kept. Made with llama.cpp 0c1e57098.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

program, model = (str(Path(path).resolve()) for path in sys.argv[1:3])
here = Path(__file__).resolve().parent
samples = here.parents[2] / "samples"
golden = here.parent / "imatrix"
golden.mkdir(exist_ok=True)


def run(folder, *options):
    subprocess.run([program, "-m", model, "-c", "256", *options], cwd=folder, check=True, capture_output=True)


cache = ["-ctk", "f32", "-ctv", "f32", "-fa", "off"]
output = str(golden / "tiny-llama.gguf")
run(samples, "-f", "text.txt", "--chunks", "4", "-t", "1", "--no-ppl", *cache, "-o", output)

files = ["tiny-llama.imatrix.gguf", "tiny-llama.imatrix.dat"]
with tempfile.TemporaryDirectory() as scratch:
    run(here.parent / "quantize", "--in-file", ",".join(files), "-o", f"{scratch}/sum.gguf")
    digest = hashlib.sha256(Path(f"{scratch}/sum.gguf").read_bytes()).hexdigest()
(golden / "sum.json").write_text(json.dumps({"files": files, "sha256": digest}, indent=1) + "\n")
