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
the activations. descent.bin: the rows of each type once more, without that target, when each column in the same order has been
gone through DESCENTS times again: of e = w - v, column j is rounded anew from v_j + (e H)_j / H_jj.

books.bin: the same two of the types whose columns have an entry of a codebook together, by the same algorithm a group at a
time: eight columns, or four, those of the eights with the largest sums first and of two fours the second. S is the inverse of
the group's block of the inverse of what is left of H; signs are those of what is wanted, t; where the format wants an even number of minuses
in eight, the sign of the column with the least S_ii t_i^2 changes (of the last four, where the first ones' signs stand); the entry is the
one of all with the least (t - v) S (t - v)^T. Once more: with H's own block for S and v + (e H) for t, where it is better.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants
from gguf.quants import dequantize

ROWS, COLUMNS, TOKENS = 5, 512, 80
SEED = 15
# Not with a moved target: of two scales of a block that are as good as each other, ggml chooses one by the last bit of the
# target, which float32 does not have.
NOT_MOVED = [Type.Q4_0]
SHRINK, DAMP = 0.25, 0.0625
DESCENTS = 2
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
# Bytes, columns of a scale, columns of an entry, an even number of minuses in eight columns.
BOOKS = {
    Type.IQ2_XXS: (66, 32, 8, True),
    Type.IQ2_XS: (74, 16, 8, True),
    Type.IQ2_S: (82, 16, 8, False),
    Type.IQ3_XXS: (98, 32, 4, True),
    Type.IQ3_S: (110, 32, 4, False),
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
    rows, again = [], []
    for kind in [*LEGACY, *SUPER]:
        for target in [weights, *([] if kind in NOT_MOVED else [wanted])]:
            raw = quantize(ggml, kind, target.astype(np.float32), importances)
            scale, offset = grid(kind, raw)
            codes, values = gptq(target.astype(np.float64), damped, order, scale, offset, kind)
            packed = pack(kind, raw, codes)
            assert np.abs(dequantize(packed, kind) - values).max() < 1e-6, kind
            rows.append(packed.tobytes())
        first = quantize(ggml, kind, weights, importances)
        scale, offset = grid(kind, first)
        codes, values = gptq(weights.astype(np.float64), damped, order, scale, offset, kind)
        again.append(pack(kind, first, descend(weights, codes, values, damped, order, scale, offset, kind)).tobytes())
    (out / "rows.bin").write_bytes(b"".join(rows))
    books = []
    for kind in BOOKS:
        raw = quantize(ggml, kind, weights, importances)
        for packed in by_book(kind, raw, weights.astype(np.float64), damped, np.diag(moments)):
            books.append(packed.tobytes())
    (out / "books.bin").write_bytes(b"".join(books))
    (out / "descent.bin").write_bytes(b"".join(again))


def quantize(ggml, kind, rows, importances):
    size = LEGACY[kind][0] * COLUMNS // 32 if kind in LEGACY else {**SUPER, **BOOKS}[kind][0] * COLUMNS // 256
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


def descend(weights, codes, values, moments, order, scale, offset, kind):
    codes, values = codes.copy(), values.copy()
    error = lambda: np.einsum("ri,ij,rj->r", weights - values, moments, weights - values)
    for _ in range(DESCENTS):
        before = error()
        for column in order:
            pull = (weights - values) @ moments[:, column] / moments[column, column]
            codes[:, column], values[:, column] = nearest(
                values[:, column] + pull, scale[:, column], offset[:, column], kind
            )
        assert (error() <= before).all() and (error() < before).any(), kind
    return codes


def nearest(w, scale, offset, kind):
    if kind in (Type.IQ4_NL, Type.IQ4_XS):
        ratio = np.divide(w, scale, out=np.zeros_like(w), where=scale != 0)
        code = np.abs(ratio[:, None] - LEVELS).argmin(axis=1)
        return code, scale * LEVELS[code]
    lo, hi = LEGACY[kind][1:3] if kind in LEGACY else SUPER[kind][2:]
    ratio = np.divide(w + offset, scale, out=np.zeros_like(w), where=scale != 0)
    code = np.clip(np.rint(ratio), lo, hi)
    return code.astype(int), scale * code - offset


def by_book(kind, raw, weights, moments, diagonal):
    """The rows with feedback, and gone through again."""
    size, each, columns, is_even = BOOKS[kind]
    book = getattr(quants, kind.name)
    book.init_grid()
    levels = book.grid.reshape(-1, columns).astype(np.float64)
    scale = book_scales(kind, raw.reshape(ROWS, -1, size))
    eights = np.argsort(-diagonal.reshape(-1, 8).sum(axis=1), kind="stable")
    groups = [np.arange(i * 8 + j, i * 8 + j + columns) for i in eights for j in range(8 - columns, -1, -columns)]
    order = np.concatenate(groups)
    upper = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    entries, minus = np.zeros((ROWS, COLUMNS // columns), int), np.zeros((ROWS, COLUMNS), bool)
    values, left = np.zeros(weights.shape), weights[:, order].copy()
    for i, group in enumerate(groups):
        at = slice(i * columns, (i + 1) * columns)
        own = np.linalg.inv(upper[at, at].T @ upper[at, at])
        for row in range(ROWS):
            t = left[row, at]
            first = minus[row, group[0] + 4 : group[0] + 8].sum() if columns == 4 and group[0] % 8 == 0 else 0
            isFixed = is_even and (columns == 8 or group[0] % 8 == 0)
            signs = signs_of(t, own, first % 2 if isFixed else None)
            made = scale[row, group] * levels * np.where(signs, -1, 1)
            entry = np.einsum("ei,ij,ej->e", t - made, own, t - made).argmin()
            entries[row, group[0] // columns], minus[row, group], values[row, group] = entry, signs, made[entry]
        lost = left[:, at] - values[:, group]
        left[:, i * columns :] -= lost @ np.linalg.inv(upper[at, at]) @ upper[at, i * columns :]
    yield book_pack(kind, raw, entries, minus, values)
    for _ in range(DESCENTS):
        for group in groups:
            own = moments[np.ix_(group, group)]
            for row in range(ROWS):
                old = values[row, group]
                pull = (weights[row] - values[row]) @ moments[:, group]
                t = old + np.linalg.solve(own, pull)
                parity = minus[row, group].sum() % 2 if is_even else None
                signs = signs_of(old + pull / np.diag(own), own, parity)
                made = scale[row, group] * levels * np.where(signs, -1, 1)
                error = np.einsum("ei,ij,ej->e", t - made, own, t - made)
                if error.min() < (t - old) @ own @ (t - old):
                    entry = error.argmin()
                    entries[row, group[0] // columns], minus[row, group] = entry, signs
                    values[row, group] = made[entry]
    yield book_pack(kind, raw, entries, minus, values)


def signs_of(t, moments, parity):
    signs = t < 0
    if parity is not None and signs.sum() % 2 != parity:
        at = (np.diag(moments) * t * t).argmin()
        signs[at] = not signs[at]
    return signs


def book_scales(kind, blocks):
    d, each = halves(blocks[..., 0:2]), BOOKS[kind][1]
    if kind in (Type.IQ2_XXS, Type.IQ3_XXS):
        bits = blocks[..., 2:].reshape(ROWS, -1, 8, 8)[..., 4:] if kind == Type.IQ2_XXS else blocks[..., 66:]
        scales = np.ascontiguousarray(bits).view("<u4").reshape(*blocks.shape[:2], 8) >> 28
        scale = d * (0.5 + scales) * (0.25 if kind == Type.IQ2_XXS else 0.5)
    else:
        packed = blocks[..., {Type.IQ2_XS: 66, Type.IQ2_S: 74, Type.IQ3_S: 106}[kind] :]
        scales = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*blocks.shape[:2], -1)
        scale = d * (2 * scales + 1.0) if kind == Type.IQ3_S else d * (0.5 + scales) * 0.25
    return np.repeat(scale, each, axis=-1).reshape(ROWS, -1)


def book_pack(kind, raw, entries, minus, values):
    """The rows with other entries and signs; gguf's own dequantization checks that they are the values."""
    size, _, columns, is_even = BOOKS[kind]
    blocks = raw.reshape(ROWS, -1, size).copy()
    e = entries.reshape(ROWS, -1, 256 // columns)
    signs = np.packbits(minus.reshape(ROWS, -1, 32, 8), axis=-1, bitorder="little")[..., 0]
    if is_even:
        seven = (signs & 127).reshape(ROWS, -1, 8, 4).astype(np.uint32)
        sevens = sum(seven[..., j] << np.uint32(7 * j) for j in range(4))
    if kind == Type.IQ2_XXS:
        own = blocks[..., 2:].reshape(ROWS, -1, 8, 8).copy()
        high = np.ascontiguousarray(own[..., 4:]).view("<u4")[..., 0] & np.uint32(0xF0000000)
        own[..., :4] = e.reshape(ROWS, -1, 8, 4)
        own[..., 4:] = np.ascontiguousarray((high | sevens)[..., None].astype("<u4")).view(np.uint8)
        blocks[..., 2:] = own.reshape(ROWS, -1, 64)
    elif kind == Type.IQ2_XS:
        words = (e | (signs.astype(int) & 127) << 9).astype("<u2")
        blocks[..., 2:66] = np.ascontiguousarray(words).view(np.uint8)
    elif kind == Type.IQ2_S:
        blocks[..., 2:34], blocks[..., 34:66] = e & 255, signs
        blocks[..., 66:74] = sum((e >> 8).reshape(ROWS, -1, 8, 4)[..., j] << (2 * j) for j in range(4))
    elif kind == Type.IQ3_XXS:
        high = np.ascontiguousarray(blocks[..., 66:]).view("<u4") & np.uint32(0xF0000000)
        blocks[..., 2:66] = e
        blocks[..., 66:] = np.ascontiguousarray((high | sevens).astype("<u4")).view(np.uint8)
    else:
        blocks[..., 2:66] = e & 255
        blocks[..., 66:74] = sum((e >> 8).reshape(ROWS, -1, 8, 8)[..., j] << j for j in range(8))
        blocks[..., 74:106] = signs
    packed = blocks.reshape(ROWS, -1)
    assert np.abs(dequantize(packed, kind) - values).max() < 1e-6, kind
    return packed


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
