"""Writes ../containers/packed-torchao.safetensors, layers as torchao takes them apart for safetensors, packed-torchao.json, the
SHA-256 of each weight (f32, rows in order) as torchao dequantizes it, and packed-torchao-mx.safetensors, one of another class.

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
from torchao.quantization.quant_primitives import dequantize_affine

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
mx = MXTensor.to_mx(torch.randn(4, 32), torch.float8_e4m3fn, 32)
tensors, metadata = flatten_tensor_state_dict({"mx.weight": mx})
save_file(tensors, out / "packed-torchao-mx.safetensors", metadata)
