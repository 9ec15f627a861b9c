"""Writes ../containers/packed-hqq.safetensors, layers as hqq saves them, and packed-hqq.json, the SHA-256 of each weight (f32,
rows in order) as hqq dequantizes it.

    pip install hqq==0.2.8.post1 torch==2.15.0 safetensors==0.8.0
    python packed_hqq.py

HQQLinear's state_dict; Quantizer.dequantize with scales and zeros as float32, since in 16 bits it rounds twice (asserted: to
what 16 bits hold, it is the same).
"""

import hashlib
import json
from pathlib import Path

import torch
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer
from safetensors.torch import save_file

out = Path(__file__).parent.parent / "containers"
torch.manual_seed(20261130)
tensors, hashes = {}, {}


def pack(name, rows, columns, bits, size, axis, dtype=torch.float32, view_as_float=False, bias=False):
    linear = torch.nn.Linear(columns, rows, bias=bias)
    plain = linear.weight.data.clone()
    config = BaseQuantizeConfig(nbits=bits, group_size=size, axis=axis, view_as_float=view_as_float)
    layer = HQQLinear(linear, config, compute_dtype=dtype, device="cpu")
    wide = {k: v.float() if k in ("scale", "zero") else v for k, v in layer.meta.items()}
    # a view of floats is of the type that they had when they were packed
    unpacked = Quantizer.dequantize(layer.W_q.data, wide | {"compute_dtype": torch.float32})
    own = layer.dequantize().float()
    assert (own - unpacked).abs().max() <= unpacked.abs().max() * (0 if dtype == torch.float32 else 2**-6)
    assert (unpacked - plain).abs().max() < plain.abs().max() * 2.5 / (2**bits - 1)
    hashes[name] = [[rows, columns], hashlib.sha256(unpacked.contiguous().numpy().tobytes()).hexdigest()]
    for part, tensor in layer.state_dict().items():
        tensors[f"{name}.{part}"] = tensor.detach().clone()


for bits in (8, 6, 5, 4, 3, 2, 1):
    for axis in (0, 1):
        pack(f"bits{bits}-{axis}", 12, 128, bits, 64 if axis else 32, axis)
pack("bits1.58", 8, 64, 1.58, 32, 1)
pack("half", 8, 128, 4, 64, 1, torch.float16, bias=True)
pack("bfloat", 8, 128, 3, 64, 0, torch.bfloat16)
pack("viewed", 8, 128, 4, 64, 1, torch.float16, view_as_float=True)
save_file(tensors, out / "packed-hqq.safetensors")
(out / "packed-hqq.json").write_text(json.dumps(hashes, indent=1) + "\n")
