"""Writes test/golden/imatrix: what llama-imatrix computes on samples/tiny-llama, and what it makes of two files.

usage: imatrix.py <llama-imatrix> <llama-quantize> <tiny-llama.gguf> <qwen3-moe.gguf>     (needs the Python package gguf)

The model is samples/tiny-llama as F32. Keys and values are kept in f32, not in f16 as llama-imatrix does otherwise:
the sums then differ from exact ones by its f32 additions only. The two files that are added are those of
test/golden/quantize; of the sum only the hash is kept. tiny-llama-q4_0.gguf is of the same model in Q4_0, whose weights
meet activations in int8. Made with llama.cpp 0c1e57098.

options.json has what options change: of samples/tiny-llama with all of them, and of families/qwen3-moe (converted to F32),
some of whose experts see no token; each with the sums of some entries, the file that `--output-format dat` makes of it (its
hash) and the table of `--show-statistics`, which it prints into its log.
moe.gguf is the latter's matrix, and special.txt a text with control tokens.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from gguf import GGUFReader

program, quantize, model = (str(Path(path).resolve()) for path in sys.argv[1:4])
moe = str(Path(sys.argv[4]).resolve())
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


def table(file, context):
    """The rows of --show-statistics: of matrices, then of layers. The program often ends before its log is written."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        log = f"{scratch}/log"
        for _ in range(300):
            run(golden, "--in-file", file, "--show-statistics", "--log-file", log, "-c", context)
            lines = max(lines, Path(log).read_text().splitlines(), key=len)
    rows = [re.sub(r"^[\d.]+ I ", "", line).split("\t") for line in lines]
    rows = [[cell.strip() for cell in row] for row in rows if re.match(r"\s*(\d+|-)$", row[0])]
    return {"matrices": [row for row in rows if len(row) == 13], "layers": [row for row in rows if len(row) == 4]}


def dat(file, context):
    with tempfile.TemporaryDirectory() as scratch:
        run(golden, "--in-file", file, "--output-format", "dat", "-o", f"{scratch}/x.dat", "-c", context)
        return hashlib.sha256(Path(f"{scratch}/x.dat").read_bytes()).hexdigest()


def sums(path, names):
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(path).tensors}
    of = lambda name: {key: [float(x) for x in tensors[name + end].flatten()] for key, end in (("sums", ".in_sum2"), ("counts", ".counts"))}
    return {"names": sorted({name.rsplit(".", 1)[0] for name in tensors}), "entries": {name: of(name) for name in names}}


lines = [line for line in (samples / "text.txt").read_text().split("\n") if line]
(golden / "special.txt").write_text("</s><s>".join(lines[:12]) + "\n")
every = ["--process-output", "--parse-special", "--from-chunk", "3", "-c", "64", "--chunks", "3"]
with tempfile.TemporaryDirectory() as scratch:
    run(golden, "-f", "special.txt", *options[4:], *every, "-o", f"{scratch}/all.gguf")
    all_options = sums(f"{scratch}/all.gguf", ["output.weight", "blk.0.attn_q.weight"])
text = ["-f", "../families/text.txt", "--chunks", "1", *options[4:], "--process-output", "-c", "16"]
run(golden, *text, "-o", "moe.gguf", model=moe)
files = {"tiny-llama.gguf": "256", "moe.gguf": "16"}
result = {
    "special.txt": all_options,
    "dat": {file: dat(file, context) for file, context in files.items()},
    "statistics": {file: table(file, context) for file, context in files.items()},
}
(golden / "options.json").write_text(re.sub(r"\n {4,}", " ", json.dumps(result, indent=1)) + "\n")
