"""Writes ../containers/packed-mlx.safetensors, weights as MLX packs and saves them, and packed-mlx.json, what a config.json
says of them and the SHA-256 of each (f32, rows in order) as MLX dequantizes it.

    pip install mlx==0.32.4 mlx-cpu==0.32.4
    python packed_mlx.py

mx.quantize of float32, bfloat16 and float16; mx.dequantize with scales and biases as float32, since in 16 bits it rounds
twice (asserted: to what 16 bits hold, it is the same). Its modes of small floats have no biases.
"""

import hashlib
import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np

out = Path(__file__).parent.parent / "containers"
rng = np.random.default_rng(20261130)
tensors, hashes = {}, {}
quantization = {"group_size": 64, "bits": 4, "mode": "affine"}


def pack(name, shape, bits=4, size=64, dtype=mx.float32, layer=nn.QuantizedLinear):
    weight = mx.array(rng.standard_normal(shape).astype(np.float32)).astype(dtype)
    if len(shape) > 2:
        q, scales, biases = mx.quantize(weight, group_size=size, bits=bits)
    else:
        rows, columns = shape
        plain = nn.Embedding(rows, columns) if layer is nn.QuantizedEmbedding else nn.Linear(columns, rows, bias=False)
        plain.weight = weight
        packed = plain.to_quantized(size, bits)
        q, scales, biases = packed.weight, packed.scales, packed.biases
    wide = [each.astype(mx.float32) for each in (scales, biases)]
    unpacked = np.array(mx.dequantize(q, *wide, group_size=size, bits=bits))
    own = np.array(mx.dequantize(q, scales, biases, group_size=size, bits=bits).astype(mx.float32))
    assert np.abs(own - unpacked).max() <= np.abs(unpacked).max() * {mx.float32: 0, mx.float16: 2**-9}.get(dtype, 2**-6)
    assert np.abs(unpacked - np.array(weight.astype(mx.float32))).max() < 8 / 2**bits
    hashes[name] = [list(shape), hashlib.sha256(unpacked.tobytes()).hexdigest()]
    tensors.update({f"{name}.weight": q, f"{name}.scales": scales, f"{name}.biases": biases})
    if (bits, size) != (4, 64):
        quantization[name] = {"group_size": size, "bits": bits}


for bits in (2, 3, 4, 5, 6, 8):
    pack(f"bits{bits}", (6, 128), bits)
    pack(f"bits{bits}-32", (3, 96), bits, 32, mx.bfloat16)
pack("embedding", (5, 128), 4, 64, mx.float16, nn.QuantizedEmbedding)
pack("experts", (3, 4, 64), 4, 32)
pack("bits1", (3, 128), 1)


def pack_floats(name, shape, mode, size, bits, dtype=mx.bfloat16):
    weight = mx.array(rng.standard_normal(shape).astype(np.float32)).astype(dtype)
    q, scales = mx.quantize(weight, mode=mode)
    unpacked = np.array(mx.dequantize(q, scales, mode=mode, dtype=mx.float32))
    assert np.abs(unpacked - np.array(weight.astype(mx.float32))).max() < 1
    hashes[name] = [list(shape), hashlib.sha256(unpacked.tobytes()).hexdigest()]
    tensors.update({f"{name}.weight": q, f"{name}.scales": scales})
    quantization[name] = {"group_size": size, "bits": bits, "mode": mode}


pack_floats("mxfp4", (6, 96), "mxfp4", 32, 4)
pack_floats("nvfp4", (6, 80), "nvfp4", 16, 4, mx.float32)
pack_floats("mxfp8", (5, 96), "mxfp8", 32, 8)
pack_floats("experts-mxfp4", (3, 4, 64), "mxfp4", 32, 4)
pack_floats("experts-mxfp8", (3, 4, 64), "mxfp8", 32, 8)


def pack_with_largest(name, shape):
    """nvfp4 beside the largest number of each matrix, as mlx_lm's experts keep it."""
    weight = mx.array((0.02 * rng.standard_normal(shape)).astype(np.float32))
    stacked = len(shape) > 2
    largest = mx.max(mx.abs(weight), axis=(-2, -1)).astype(mx.float32)
    each = [weight[e] for e in range(shape[0])] if stacked else [weight]
    of = [largest[e] for e in range(shape[0])] if stacked else [largest]
    packed = [mx.quantize(w, 16, 4, mode="nvfp4", global_scale=g) for w, g in zip(each, of)]
    unpacked = [np.array(mx.dequantize(q, s, None, 16, 4, "nvfp4", global_scale=g, dtype=mx.float32)) for (q, s), g in zip(packed, of)]
    q, s = ([p[i] for p in packed] for i in range(2))
    values = np.stack(unpacked) if stacked else unpacked[0]
    assert np.abs(values - np.array(weight)).max() < 0.02
    hashes[name] = [list(shape), hashlib.sha256(values.tobytes()).hexdigest()]
    tensors.update({f"{name}.weight": mx.stack(q) if stacked else q[0], f"{name}.scales": mx.stack(s) if stacked else s[0], f"{name}.global_scale": largest})
    quantization[name] = {"group_size": 16, "bits": 4, "mode": "nvfp4"}


pack_with_largest("largest", (5, 64))
pack_with_largest("experts-largest", (3, 4, 64))
mx.save_safetensors(str(out / "packed-mlx.safetensors"), tensors, {"format": "mlx"})
(out / "packed-mlx.json").write_text(json.dumps({"quantization": quantization, "sha256": hashes}, indent=1) + "\n")
