"""Writes test/golden/imatrix: what llama-imatrix computes on samples/tiny-llama, and what it makes of two files.

usage: imatrix.py <llama-imatrix> <llama-quantize> <tiny-llama.gguf>

The model is samples/tiny-llama as F32. Keys and values are kept in f32, not in f16 as llama-imatrix does otherwise:
the sums then differ from exact ones by its f32 additions only. The two files that are added are those of
test/golden/quantize; of the sum only the hash is kept. tiny-llama-q4_0.gguf is of the same model in Q4_0, whose weights
meet activations in int8. Made with llama.cpp 0c1e57098.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

program, quantize, model = (str(Path(path).resolve()) for path in sys.argv[1:4])
here = Path(__file__).resolve().parent
samples = here.parents[2] / "samples"
golden = here.parent / "imatrix"
golden.mkdir(exist_ok=True)


def run(folder, *options, model=model):
    subprocess.run([program, "-m", model, "-c", "256", *options], cwd=folder, check=True, capture_output=True)


cache = ["-ctk", "f32", "-ctv", "f32", "-fa", "off"]
options = ["-f", "text.txt", "--chunks", "4", "-t", "1", "--no-ppl", *cache]
run(samples, *options, "-o", str(golden / "tiny-llama.gguf"))
with tempfile.TemporaryDirectory() as scratch:
    q4 = f"{scratch}/q4.gguf"
    subprocess.run([quantize, model, q4, "Q4_0"], check=True, capture_output=True)
    run(samples, *options, "-o", str(golden / "tiny-llama-q4_0.gguf"), model=q4)

files = ["tiny-llama.imatrix.gguf", "tiny-llama.imatrix.dat"]
with tempfile.TemporaryDirectory() as scratch:
    run(here.parent / "quantize", "--in-file", ",".join(files), "-o", f"{scratch}/sum.gguf")
    digest = hashlib.sha256(Path(f"{scratch}/sum.gguf").read_bytes()).hexdigest()
(golden / "sum.json").write_text(json.dumps({"files": files, "sha256": digest}, indent=1) + "\n")
