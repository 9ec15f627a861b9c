"""Writes ../containers/packed-torchao.safetensors, layers as torchao takes them apart for safetensors, packed-torchao.json, the
SHA-256 of each weight (f32, rows in order) as torchao dequantizes it, and the same of the classes of 4 bits and of MX in
packed-torchao-4.

    pip install torchao==0.18.0 torch==2.15.0 safetensors==0.8.0
    python packed_torchao.py

quantize_ of Linear layers, flatten_tensor_state_dict as transformers calls it, dequantize(float32).
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchao.prototype.mx_formats.mx_tensor import MXTensor
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import (
    Float8WeightOnlyConfig,
    Int8WeightOnlyConfig,
    IntxUnpackedToInt8Tensor,
    IntxWeightOnlyConfig,
    MappingType,
    PerAxis,
    PerGroup,
    quantize_,
)
from torchao.quantization import Int4Tensor
from torchao.quantization.quant_primitives import dequantize_affine
from torchao.quantization.quantize_.workflows.int4 import int4_tensor

out = Path(__file__).parent.parent / "containers"
torch.manual_seed(20261130)
state, hashes = {}, {}


def pack(name, config, dtype, bias=False):
    layer = torch.nn.Sequential(torch.nn.Linear(64, 12, bias=bias, dtype=dtype))
    plain = layer[0].weight.detach().float()
    quantize_(layer, config)
    weight = layer[0].weight
    if isinstance(weight, IntxUnpackedToInt8Tensor):  # its dequantize has no output_dtype to pass on
        parts = weight.qdata, weight.block_size, weight.scale, weight.zero_point
        unpacked = dequantize_affine(*parts, torch.int8, output_dtype=torch.float32)
    else:
        unpacked = weight.dequantize(output_dtype=torch.float32)
    assert (unpacked - plain).abs().max() < 0.05
    hashes[name] = [list(unpacked.shape), hashlib.sha256(unpacked.contiguous().numpy().tobytes()).hexdigest()]
    state.update({f"{name}.{part.split('.')[1]}": tensor for part, tensor in layer.state_dict().items()})


asymmetric = {"mapping_type": MappingType.ASYMMETRIC}
pack("int8", Int8WeightOnlyConfig(), torch.float32)
pack("int8-bfloat", Int8WeightOnlyConfig(), torch.bfloat16, bias=True)
pack("float8", Float8WeightOnlyConfig(), torch.bfloat16)
pack("int4-unpacked", IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)), torch.float32)
pack("zeros", IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerGroup(32), **asymmetric), torch.float32)
pack("zeros-bfloat", IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerAxis(0), **asymmetric), torch.bfloat16)
tensors, metadata = flatten_tensor_state_dict(state)
save_file(tensors, out / "packed-torchao.safetensors", metadata)
(out / "packed-torchao.json").write_text(json.dumps(hashes, indent=1) + "\n")


# Classes of 4 bits and of scales for groups. The program that rounds for Int4Tensor, mslk, is not on PyPI: this is what it
# computes. torchao has no dequantize of it; its kernel multiplies and adds in bf16.
def int4_row_quantize_zp(x, group_size):
    groups = x.float().reshape(x.shape[0], -1, group_size)
    low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
    scale = (high - low).clamp(min=1e-6) / 15
    q = ((groups - low) / scale).round().clamp(0, 15) - 8
    zero = low + 8 * scale
    return q.to(torch.int8).reshape(x.shape), scale[..., 0].t().contiguous(), zero[..., 0].t().contiguous()


def pack_int4(q):
    return torch.bitwise_or(q[:, ::2] & 15, q[:, 1::2] << 4).contiguous()


int4_tensor.int4_row_quantize_zp, int4_tensor.pack_int4 = int4_row_quantize_zp, pack_int4
state, four = {}, {}


def keep(name, tensor, unpacked, plain, step):
    assert (unpacked - plain.float()).abs().max() <= step, name
    digest = hashlib.sha256(unpacked.contiguous().numpy().tobytes()).hexdigest()
    four[name], state[f"{name}.weight"] = [list(unpacked.shape), digest], tensor


for name, dtype in ("int4", torch.bfloat16), ("int4-half", torch.float16):
    weight = torch.randn(12, 64).to(dtype)
    tensor = Int4Tensor.from_hp(weight, [1, 32])
    q = torch.stack([(tensor.qdata << 4) >> 4, tensor.qdata >> 4], 2).reshape(12, 64).float()
    scale, zero = (each.float().t().repeat_interleave(32, 1) for each in (tensor.scale, tensor.zero_point))
    keep(name, tensor, q * scale + zero, weight, 0.26)
for swizzled in (False, True):
    plain = torch.randn(130, 96, dtype=torch.bfloat16)
    for name, kind in ("mxfp4", torch.float4_e2m1fn_x2), ("mxfp8", torch.float8_e4m3fn):
        tensor = MXTensor.to_mx(plain, kind, 32, is_swizzled_scales=swizzled)
        keep(f"{name}-swizzled" if swizzled else name, tensor, tensor.dequantize(torch.float32), plain, 1)
    total = per_tensor_amax_to_scale(plain.abs().max()) if swizzled else None
    tensor = NVFP4Tensor.to_nvfp4(plain, per_tensor_scale=total, is_swizzled_scales=swizzled)
    keep("nvfp4-swizzled" if swizzled else "nvfp4", tensor, tensor.dequantize(torch.float32), plain, 1)
tensors, metadata = flatten_tensor_state_dict(state)
save_file(tensors, out / "packed-torchao-4.safetensors", metadata)
(out / "packed-torchao-4.json").write_text(json.dumps(four, indent=1) + "\n")
