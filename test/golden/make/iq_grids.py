"""Writes assembly/blocks/iq/iq_grids.ts: the codebooks of the IQ types, as ggml's dequantization of one block per entry shows them.

usage: iq_grids.py <libggml-base.so>
"""

import ctypes
import struct
import sys
from pathlib import Path

HEADER = """\
// The codebooks of the IQ types. Written by test/golden/make/iq_grids.py; do not edit.
// An entry is 16 bits, the first weight lowest: in IQ1 and IQ2 eight weights of two bits, in IQ3 four of four bits.
// What is stored is which of a grid's levels a weight has:
//   IQ1    -1 0 1
//   IQ2    8 25 43
//   IQ3_XXS    4 12 20 28 36 44 52 62
//   IQ3_S    1 3 5 7 9 11 13 15
"""

# By grid: the type to read it through, entries, weights of an entry, levels, and the block whose first weights are
# entry i, all its scales being 1.
GRIDS = {
    "IQ1S_GRID": ("iq1_s", 2048, 8, [-1, 0, 1], lambda i: half(1) + low(i, 32) + bytes([i >> 8])),
    "IQ2XXS_GRID": ("iq2_xxs", 256, 8, [8, 25, 43], lambda i: half(8) + bytes([i])),
    "IQ2XS_GRID": ("iq2_xs", 512, 8, [8, 25, 43], lambda i: half(8) + struct.pack("<H", i)),
    "IQ2S_GRID": ("iq2_s", 1024, 8, [8, 25, 43], lambda i: half(8) + low(i, 64) + bytes([i >> 8])),
    "IQ3XXS_GRID": ("iq3_xxs", 256, 4, [4, 12, 20, 28, 36, 44, 52, 62], lambda i: half(4) + bytes([i])),
    "IQ3S_GRID": ("iq3_s", 512, 4, [1, 3, 5, 7, 9, 11, 13, 15], lambda i: half(1) + low(i, 64) + bytes([i >> 8])),
}


def half(d):
    return struct.pack("<e", d)


def low(i, length):
    """The lower bits of entry numbers, of which the first is i."""
    return bytes([i & 255]).ljust(length, b"\0")


def read_entry(dequantize, block, count):
    """The first weights of the block as integers; IQ1 adds an eighth to each."""
    out = (ctypes.c_float * 256)()
    dequantize(block.ljust(256, b"\0"), out, ctypes.c_int64(256))
    return [round(weight) for weight in out[:count]]


def main():
    ggml = ctypes.CDLL(sys.argv[1])
    parts = [HEADER]
    for name, (kind, entries, count, levels, block) in GRIDS.items():
        dequantize = getattr(ggml, f"dequantize_row_{kind}")
        width = 16 // count
        bits = 0
        for i in range(entries):
            for j, weight in enumerate(read_entry(dequantize, block(i), count)):
                bits |= levels.index(weight) << (16 * i + width * j)
        words = struct.unpack(f"<{entries // 2}I", bits.to_bytes(2 * entries, "little"))
        lines = [", ".join(f"0x{word:08x}" for word in words[i : i + 8]) for i in range(0, len(words), 8)]
        body = "".join(f"  {line},\n" for line in lines)
        parts.append(f"// biome-ignore format: eight a line\nexport const {name}: usize = memory.data<u32>([\n{body}]);\n")
    path = Path(__file__).parents[3] / "assembly" / "iq_grids.ts"
    path.write_text("\n".join(parts))


main()
