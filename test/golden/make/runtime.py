"""Writes test/golden/runtime/<name>.json: what llama-perplexity says of a model in each type, as its CPU computes.

usage: runtime.py <folder of llama.cpp's programs> <version> <model.gguf in F32> <text> <context> <chunks> <output.json>

Every type is made of the F32 file by llama-quantize (llq quantize writes the same bytes), and evaluated with int8
activations and f32 keys and values. F32 is the base of the divergences; their file keeps logarithms of probabilities
in steps of about 2e-4.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TYPES = "F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_0 Q5_1 Q4_K_M Q4_0 Q4_1 IQ4_XS".split()


def run(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{command}: {result.stderr[-2000:]}")
    return result.stdout + result.stderr


def statistics(*command):
    """Its last lines are missing now and then: they are printed by a thread that the end of the program may cut off."""
    while True:
        output = run(*command)
        if "Same top p:" in output:
            return output


def pair(name, output):
    return [float(n) for n in re.search(rf"{name} *: *(\S+) ± +(\S+)", output).groups()]


def main():
    programs, version, model, text, context, chunks, target = sys.argv[1:8]
    perplexity = [Path(programs) / "llama-perplexity", "-f", text, "-c", context, "-b", context, "--chunks", chunks]
    perplexity += ["-ctk", "f32", "-ctv", "f32", "-t", 1]
    found = {"llama.cpp": version, "context": int(context), "chunks": int(chunks), "types": {}}
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base.bin"
        run(*perplexity, "-m", model, "--kl-divergence-base", base)
        for dtype in TYPES:
            file = Path(scratch) / "quantized.gguf"
            run(Path(programs) / "llama-quantize", model, file, dtype, 1)
            output = statistics(*perplexity, "-m", file, "--kl-divergence-base", base, "--kl-divergence")
            kld, same_top = pair("Mean +KLD", output), pair("Same top p", output)
            ppl = pair(r"Mean PPL\(Q\)", output)
            found["types"][dtype] = {"perplexity": ppl, "kld": kld, "sameTop": same_top}
            print(dtype, found["types"][dtype], flush=True)
    rows = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in found.pop("types").items()]
    head = json.dumps(found)[1:-1]
    Path(target).write_text("{" + head + ', "types": {\n' + ",\n".join(rows) + "\n}}\n")


if __name__ == "__main__":
    main()
