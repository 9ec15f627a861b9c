"""Writes test/golden/ggml/any.bin and any.json: 64 KiB of random bytes, and what ggml reads in them as each type.

usage: any_blocks.py <libggml-base.so>      (needs the Python package numpy)

By type: the SHA-256 of the floats, every NaN as 0x7fc00000, of as many whole blocks as there are. ggml has no function
that reads Q8_1; its blocks are read as Q8_0, which is the same without the sum.
"""

import ctypes
import hashlib
import json
import random
import sys
from pathlib import Path

import numpy as np

# Weights and bytes of a block.
SIZES = {
    "q4_0": (32, 18),
    "q4_1": (32, 20),
    "q5_0": (32, 22),
    "q5_1": (32, 24),
    "q8_0": (32, 34),
    "q8_1": (32, 36),
    "q1_0": (128, 18),
    "q2_0": (64, 18),
    "mxfp4": (32, 17),
    "nvfp4": (64, 36),
    "q2_K": (256, 84),
    "q3_K": (256, 110),
    "q4_K": (256, 144),
    "q5_K": (256, 176),
    "q6_K": (256, 210),
    "tq1_0": (256, 54),
    "tq2_0": (256, 66),
    "iq1_s": (256, 50),
    "iq1_m": (256, 56),
    "iq2_xxs": (256, 66),
    "iq2_xs": (256, 74),
    "iq2_s": (256, 82),
    "iq3_xxs": (256, 98),
    "iq3_s": (256, 110),
    "iq4_nl": (32, 18),
    "iq4_xs": (256, 136),
}


def dequantize(ggml, kind, blocks):
    """The floats of whole blocks, one block a row."""
    if kind == "q8_1":
        return dequantize(ggml, "q8_0", np.ascontiguousarray(np.delete(blocks, [2, 3], axis=1)))
    out = np.empty((len(blocks), SIZES[kind][0]), np.float32)
    getattr(ggml, f"dequantize_row_{kind}")(blocks.ctypes, out.ctypes, ctypes.c_int64(out.size))
    return out


def main():
    ggml = ctypes.CDLL(sys.argv[1])
    data = random.Random(20260821).randbytes(65536)
    hashes = {}
    for kind, (_, size) in SIZES.items():
        blocks = np.frombuffer(data[: len(data) // size * size], np.uint8).reshape(-1, size)
        floats = dequantize(ggml, kind, blocks)
        bits = np.where(np.isnan(floats), np.uint32(0x7FC00000), floats.view(np.uint32))
        hashes[kind.lower()] = hashlib.sha256(bits.tobytes()).hexdigest()
    folder = Path(__file__).parent.parent / "ggml"
    (folder / "any.bin").write_bytes(data)
    (folder / "any.json").write_text(json.dumps(hashes, indent=1) + "\n")


main()
