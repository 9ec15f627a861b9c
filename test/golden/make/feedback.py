"""Writes test/golden/feedback/: rows quantized with error feedback, in float64 and by the textbook.

usage: feedback.py <libggml-base.so> [folder]      (needs numpy, and gguf of llama.cpp)

Weights and activations are drawn anew; both are whole numbers over powers of two, so that any program has them exactly.
Scales are those that ggml's own quantization with an importance matrix (the mean squares of the activations) chooses for
whole rows; codes are those of GPTQ (arXiv:2210.17323, Algorithm 1 with the columns by falling diagonal): with H the second
moments, what is beside its diagonal taken down by SHRINK and DAMP of the mean added to the diagonal, U the upper Cholesky
factor of the inverse of H; columns are rounded one by one, and the rest of the row gets -(w - v) / U[j, j] * U[j, j:]. Then
they are packed, and gguf's own dequantization checks that the packed rows are the values.

weights.f32 [ROWS][COLUMNS], activations.i8 [2][TOKENS][COLUMNS] in sixteenths: those that the rows meet, and those that
they met before. rows.bin: for each type, in the order below, the rows as they are quantized, and then those of weights
that are first moved to the best that makes up for the difference: W + W C H^-1 with C the moments of the difference with
the activations.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize

ROWS, COLUMNS, TOKENS = 5, 512, 80
SEED = 15
# Not with a moved target: of two scales of a block that are as good as each other, ggml chooses one by the last bit of the
# target, which float32 does not have.
NOT_MOVED = [Type.Q4_0]
SHRINK, DAMP = 0.25, 0.0625
LEVELS = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float64)
LEGACY = {
    Type.Q4_0: (18, -8, 7, False, 2),
    Type.Q4_1: (20, 0, 15, True, 4),
    Type.Q5_0: (22, -16, 15, False, 6),
    Type.Q5_1: (24, 0, 31, True, 8),
    Type.Q8_0: (34, -127, 127, False, 2),
    Type.IQ4_NL: (18, 0, 15, False, 2),
}
SUPER = {
    Type.Q2_K: (84, 16, 0, 3),
    Type.Q3_K: (110, 16, -4, 3),
    Type.Q4_K: (144, 32, 0, 15),
    Type.Q5_K: (176, 32, 0, 31),
    Type.Q6_K: (210, 16, -32, 31),
    Type.IQ4_XS: (136, 32, 0, 15),
}


def main(library: str, folder: str) -> None:
    ggml = ctypes.CDLL(library, mode=ctypes.RTLD_LOCAL | 1)
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(SEED)
    mixing = random.normal(size=(24, COLUMNS)) * np.exp(random.normal(size=COLUMNS) * 0.7)
    other = np.rint((random.normal(size=(TOKENS, 24)) @ mixing + random.normal(size=(TOKENS, COLUMNS)) * 0.5) * 4)
    other = np.clip(other, -120, 120)
    own = np.clip(other + np.rint(random.normal(size=other.shape) * 1.5), -127, 127)
    weights = np.rint(random.standard_t(5, size=(ROWS, COLUMNS)) * 256).astype(np.float32) / 4096
    (out / "weights.f32").write_bytes(weights.tobytes())
    (out / "activations.i8").write_bytes(np.stack([own, other]).astype(np.int8).tobytes())
    x, y = own / 16, other / 16
    moments = x.T @ x
    importances = (np.diag(moments) / TOKENS).astype(np.float32)
    damped = moments * (1 - SHRINK) + np.diag(np.diag(moments)) * SHRINK
    damped += DAMP * np.diag(moments).mean() * np.eye(COLUMNS)
    order = np.argsort(-np.diag(moments), kind="stable")
    wanted = weights + (weights @ ((y - x).T @ x)) @ np.linalg.inv(damped)
    rows = []
    for kind in [*LEGACY, *SUPER]:
        for target in [weights, *([] if kind in NOT_MOVED else [wanted])]:
            raw = quantize(ggml, kind, target.astype(np.float32), importances)
            scale, offset = grid(kind, raw)
            codes, values = gptq(target.astype(np.float64), damped, order, scale, offset, kind)
            packed = pack(kind, raw, codes)
            assert np.abs(dequantize(packed, kind) - values).max() < 1e-6, kind
            rows.append(packed.tobytes())
    (out / "rows.bin").write_bytes(b"".join(rows))


def quantize(ggml, kind, rows, importances):
    size = LEGACY[kind][0] * COLUMNS // 32 if kind in LEGACY else SUPER[kind][0] * COLUMNS // 256
    raw = np.zeros((ROWS, size), np.uint8)
    rows = np.ascontiguousarray(rows)
    ggml.ggml_quantize_init(int(kind))
    ggml.ggml_quantize_chunk(
        int(kind), rows.ctypes.data, raw.ctypes.data, 0, ROWS, COLUMNS, importances.ctypes.data
    )
    return raw


def gptq(weights, moments, order, scale, offset, kind):
    inverse = np.linalg.inv(moments[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    left = weights[:, order].copy()
    codes, values = np.zeros(left.shape, int), np.zeros(left.shape)
    for j, column in enumerate(order):
        codes[:, column], value = nearest(left[:, j], scale[:, column], offset[:, column], kind)
        values[:, column] = value
        left[:, j:] -= np.outer((left[:, j] - value) / upper[j, j], upper[j, j:])
    return codes, values


def nearest(w, scale, offset, kind):
    if kind in (Type.IQ4_NL, Type.IQ4_XS):
        ratio = np.divide(w, scale, out=np.zeros_like(w), where=scale != 0)
        code = np.abs(ratio[:, None] - LEVELS).argmin(axis=1)
        return code, scale * LEVELS[code]
    lo, hi = LEGACY[kind][1:3] if kind in LEGACY else SUPER[kind][2:]
    ratio = np.divide(w + offset, scale, out=np.zeros_like(w), where=scale != 0)
    code = np.clip(np.rint(ratio), lo, hi)
    return code.astype(int), scale * code - offset


def halves(raw):
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float64)


def grid(kind, raw):
    """Scale and offset of each column: weight = scale * code - offset."""
    if kind in LEGACY:
        size, _, _, has_min, _ = LEGACY[kind]
        blocks = raw.reshape(ROWS, -1, size)
        scale = halves(blocks[..., 0:2])
        offset = -halves(blocks[..., 2:4]) if has_min else np.zeros_like(scale)
        return np.repeat(scale[..., 0], 32, axis=-1), np.repeat(offset[..., 0], 32, axis=-1)
    size, each, _, _ = SUPER[kind]
    blocks = raw.reshape(ROWS, -1, size).astype(int)
    bytes_ = raw.reshape(ROWS, -1, size)
    zeros = np.zeros((*blocks.shape[:2], 256 // each))
    if kind == Type.Q2_K:
        d, m = halves(bytes_[..., 80:82]), halves(bytes_[..., 82:84])
        scale, offset = d * (blocks[..., :16] & 15), m * (blocks[..., :16] >> 4)
    elif kind == Type.Q3_K:
        packed, codes = blocks[..., 96:108], zeros.copy()
        for j in range(16):
            low = packed[..., j] & 15 if j < 8 else packed[..., j - 8] >> 4
            codes[..., j] = (low | ((packed[..., 8 + j % 4] >> (2 * (j // 4))) & 3) << 4) - 32
        scale, offset = halves(bytes_[..., 108:110]) * codes, zeros
    elif kind in (Type.Q4_K, Type.Q5_K):
        s, m = zeros.copy(), zeros.copy()
        packed = blocks[..., 4:16]
        for j in range(4):
            s[..., j], m[..., j] = packed[..., j] & 63, packed[..., j + 4] & 63
            s[..., j + 4] = (packed[..., j + 8] & 15) | (packed[..., j] >> 6) << 4
            m[..., j + 4] = (packed[..., j + 8] >> 4) | (packed[..., j + 4] >> 6) << 4
        scale, offset = halves(bytes_[..., 0:2]) * s, halves(bytes_[..., 2:4]) * m
    elif kind == Type.Q6_K:
        scale = halves(bytes_[..., 208:210]) * np.ascontiguousarray(bytes_[..., 192:208]).view(np.int8)
        offset = zeros
    else:
        high = np.ascontiguousarray(bytes_[..., 2:4]).view(np.uint16).astype(int)
        codes = zeros.copy()
        for k in range(8):
            low = (blocks[..., 4 + k // 2] >> (4 * (k % 2))) & 15
            codes[..., k] = (low | ((high[..., 0] >> (2 * k)) & 3) << 4) - 32
        scale, offset = halves(bytes_[..., 0:2]) * codes, zeros
    flat = lambda values: np.repeat(values, each, axis=-1).reshape(ROWS, -1)
    return flat(scale), flat(offset)


def pack(kind, raw, codes):
    """The rows with other codes."""
    if kind in LEGACY:
        size, low, _, _, start = LEGACY[kind]
        blocks = raw.reshape(ROWS, -1, size).copy()
        q = codes.reshape(ROWS, -1, 32)
        if kind == Type.Q8_0:
            blocks[..., 2:] = q.astype(np.int8).view(np.uint8)
            return blocks.reshape(ROWS, -1)
        q = q - low
        blocks[..., start:] = (q[..., :16] & 15) | (q[..., 16:] & 15) << 4
        if size in (22, 24):
            fifth = ((q >> 4) << np.arange(32)).sum(axis=-1).astype(np.uint32)
            blocks[..., start - 4 : start] = np.ascontiguousarray(fifth[..., None]).view(np.uint8)
        return blocks.reshape(ROWS, -1)
    size, _, low, _ = SUPER[kind]
    blocks = raw.reshape(ROWS, -1, size).copy()
    q = codes.reshape(ROWS, -1, 256) - low
    if kind in (Type.Q2_K, Type.Q3_K):
        twos = (q & 3).reshape(ROWS, -1, 2, 4, 32)
        start = 16 if kind == Type.Q2_K else 32
        joined = sum(twos[..., k, :] << (2 * k) for k in range(4))
        blocks[..., start : start + 64] = joined.reshape(ROWS, -1, 64)
        if kind == Type.Q3_K:
            third = (q >> 2).reshape(ROWS, -1, 8, 32)
            blocks[..., :32] = sum(third[..., k, :] << k for k in range(8))
    elif kind in (Type.Q4_K, Type.Q5_K):
        pairs = (q & 15).reshape(ROWS, -1, 4, 2, 32)
        blocks[..., size - 128 :] = (pairs[..., 0, :] | pairs[..., 1, :] << 4).reshape(ROWS, -1, 128)
        if kind == Type.Q5_K:
            fifth = (q >> 4).reshape(ROWS, -1, 8, 32)
            blocks[..., 16:48] = sum(fifth[..., k, :] << k for k in range(8))
    elif kind == Type.Q6_K:
        parts = q.reshape(ROWS, -1, 2, 4, 32)
        low_bits = np.stack([parts[..., k, :] & 15 | (parts[..., k + 2, :] & 15) << 4 for k in range(2)], axis=-2)
        blocks[..., :128] = low_bits.reshape(ROWS, -1, 128)
        blocks[..., 128:192] = sum(parts[..., k, :] >> 4 << (2 * k) for k in range(4)).reshape(ROWS, -1, 64)
    else:
        pairs = q.reshape(ROWS, -1, 8, 2, 16)
        blocks[..., 8:] = (pairs[..., 0, :] | pairs[..., 1, :] << 4).reshape(ROWS, -1, 128)
    return blocks.reshape(ROWS, -1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else str(Path(__file__).parent.parent / "feedback"))
