"""Writes ../quantize/overflow.json: which weights llama-quantize refuses to write, by type.

    python overflow.py <llama-quantize> <samples/tiny-llama in F32 GGUF>      # llama.cpp 0c1e570 (October 2026)

One weight of blk.1.ffn_up.weight (row 3, column 300) is given a value; `refused` has the smallest of them, each twice
the one before, at which llama-quantize stops ("quantized data validation failed"), null where it never does.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

TYPES = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "Q2_K", "Q3_K_S",
         "Q4_K_S", "Q5_K_S", "Q6_K"]
OUT = Path(__file__).parent.parent / "quantize" / "overflow.json"


def main():
    program, model = sys.argv[1:]
    reader = gguf.GGUFReader(model)
    tensor = next(each for each in reader.tensors if each.name == "blk.1.ffn_up.weight")
    rows = tensor.data.shape
    data = Path(model).read_bytes()
    result = {}
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "in.gguf", Path(scratch) / "out.gguf"
        for kind in TYPES:
            result[kind] = None
            for power in range(15, 128):
                at = tensor.data_offset + 4 * (3 * rows[1] + 100)
                source.write_bytes(data[:at] + np.float32(2.0**power).tobytes() + data[at + 4 :])
                run = subprocess.run([program, source, target, kind, "2"], capture_output=True, text=True)
                if run.returncode != 0:
                    assert "validation failed" in run.stdout + run.stderr, run.stderr[-500:]
                    result[kind] = power
                    break
            print(kind, result[kind], flush=True)
    OUT.write_text(json.dumps({"tensor": tensor.name, "row": 3, "column": 100, "refusedFrom": result}) + "\n")


main()
