"""Writes test/golden/kld/: what llama-perplexity says of samples/tiny-llama on samples/text.txt.

usage: kld.py <llama-perplexity> <llama-quantize> <version> <tiny-llama.gguf> <text> <output folder>

The model is samples/tiny-llama as convert_hf_to_gguf.py --outtype f32 writes it. The other model has its weights in
Q4_0 and is turned back to F32, so that both are computed with activations in f32.

    tiny-llama.json         kld: runs of --kl-divergence, the statistics as printed; stride: runs of --ppl-stride
    tiny-llama.logits.bin   the base of the run with the smallest context, as --kl-divergence-base writes it
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

KLD_RUNS = [(256, 8), (64, 30), (16, 4)]  # context, chunks
# Context, stride, chunks. llama.cpp rounds context + stride / 2 up to a multiple of 32; these are one already.
STRIDES = [(128, 64, 12), (64, 64, 20)]


def run(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{command}: {result.stderr[-2000:]}")
    return result.stdout + result.stderr


def statistics(output):
    """`name: value ± error %` lines, and the lines of each chunk."""
    named = {}
    for name, rest in re.findall(r"^ *([^:\n]*(?:PPL|KLD|Δp|top p)[^:\n]*): +(.*)$", output, re.M):
        named[" ".join(name.split())] = [float(n) for n in re.findall(r"-?\d+\.\d+", rest)]
    rows = re.findall(r"^ *\d+ +(-?\d+\.\d+ ±.*)$", output, re.M)
    return {"statistics": named, "chunks": [[float(n) for n in re.findall(r"-?\d+\.\d+", row)] for row in rows]}


def main():
    perplexity, quantize, version, model, text, folder = sys.argv[1:7]
    common = ["-f", text, "-ctk", "f32", "-ctv", "f32", "-t", 1]
    found = {"llama.cpp": version, "kld": [], "stride": []}
    with tempfile.TemporaryDirectory() as scratch:
        q4, other, base = (Path(scratch) / name for name in ("q4.gguf", "other.gguf", "base.bin"))
        run(quantize, model, q4, "Q4_0", 1)
        run(quantize, "--allow-requantize", q4, other, "F32", 1)
        for context, chunks in KLD_RUNS:
            size = ["-c", context, "-b", context, "--chunks", chunks]
            run(perplexity, "-m", model, *common, *size, "--kl-divergence-base", base)
            output = run(perplexity, "-m", other, *common, *size, "--kl-divergence-base", base, "--kl-divergence")
            found["kld"].append({"context": context, **statistics(output)})
        (Path(folder) / "tiny-llama.logits.bin").write_bytes(base.read_bytes())
        for context, stride, chunks in STRIDES:
            # With a larger batch than this, several chunks become one.
            size = ["-c", context, "-b", context + stride // 2, "--ppl-stride", stride, "--chunks", chunks]
            output = run(perplexity, "-m", model, *common, *size)
            running = [float(n) for n in re.findall(r"\[\d+\](\d+\.\d+)", output)]
            found["stride"].append({"context": context, "stride": stride, "running": running})
    (Path(folder) / "tiny-llama.json").write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


main()
