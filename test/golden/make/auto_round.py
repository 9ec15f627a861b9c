"""Writes ../containers/packed-auto-round-*.safetensors, layers that AutoRound packed, and .json beside each: the
quantization_config, and the shape and SHA-256 of each weight as AutoRound's own layers unpack it over a unit matrix
with their scales as f32 (by themselves they compute in f16).

    pip download --no-deps auto-round==0.16.1     # unpacked, not installed; torch 2.15.0, transformers 5.24.0
    python auto_round.py <folder with auto_round and auto_round_extension>
"""

import hashlib
import importlib.util
import json
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

out = Path(__file__).parent.parent / "containers"
source = Path(sys.argv[1])
torch.manual_seed(20261130)
GROUP = 32


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, source / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


for package in ("auto_round", "auto_round.utils", "auto_round_extension", "auto_round_extension.torch"):
    sys.modules[package] = types.ModuleType(package)
sys.modules["auto_round.utils"].get_packing_device = lambda _: torch.device("cpu")
load("auto_round/utils/bit_packing.py", "auto_round.utils.bit_packing")
plain = load("auto_round_extension/torch/qlinear_torch.py", "auto_round_extension.torch.qlinear_torch")
offset = load("auto_round_extension/torch/qlinear_torch_zp.py", "auto_round_extension.torch.qlinear_torch_zp")
awq = load("auto_round/export/export_to_awq/utils.py", "awq_utils")


def layer(form, bits, rows=32, columns=96, size=GROUP):
    groups = columns // size
    scales = (torch.rand(rows, groups) / 100 + 0.001).half().float()
    zeros = torch.randint(1, 2**bits, (rows, groups))
    codes = torch.randint(0, 2**bits, (rows, columns))
    spread = lambda values: values.repeat_interleave(size, 1)
    linear = torch.nn.Linear(columns, rows, bias=False)
    linear.weight.data = spread(scales) * (codes - spread(zeros)).float()
    if form is awq:
        packed = awq.WQLinear_GEMM.from_linear(linear, bits, size, scales=scales.T.contiguous(), zeros=zeros.T.contiguous())
        tensors = {"qweight": packed.qweight, "qzeros": packed.qzeros, "scales": packed.scales}
        weight = awq.dequantize_gemm(packed.qweight, packed.qzeros, packed.scales.float(), bits, size).T
    else:
        packed = form.QuantLinear(bits, size, columns, rows, bias=False)
        packed.device = torch.device("cpu")
        packed.pack(linear, scales, zeros)
        tensors = {"qweight": packed.qweight, "qzeros": packed.qzeros, "scales": packed.scales}
        packed.scales = packed.scales.float()
        weight = packed(torch.eye(columns)).T
    weight = weight.float().contiguous()
    assert torch.equal(weight, linear.weight)
    return tensors, {"shape": list(weight.shape), "sha256": hashlib.sha256(weight.numpy().tobytes()).hexdigest()}


def write(name, packing_format, form, layers):
    tensors, weights, extra = {}, {}, {}
    for each, arguments in layers.items():
        parts, weights[each] = layer(form, **arguments)
        tensors |= {f"{each}.{part}": tensor.contiguous() for part, tensor in parts.items()}
        other = {"group_size": arguments["size"]} if "size" in arguments else {}
        if arguments["bits"] != 4 or other:
            extra[each] = {"bits": arguments["bits"], **other}
    config = {"bits": 4, "data_type": "int", "group_size": GROUP, "sym": False, "quant_method": "auto-round"}
    config |= {"iters": 200, "autoround_version": "0.16.1", "packing_format": packing_format}
    config |= {"block_name_to_quantize": None, "extra_config": {**extra, "lm_head": {"bits": 16}}}
    save_file(tensors, out / f"packed-auto-round-{name}.safetensors")
    text = json.dumps({"quantization_config": config, "weights": weights}, indent=1)
    (out / f"packed-auto-round-{name}.json").write_text(text + "\n")


mixed = {"four": {"bits": 4}, "two": {"bits": 2}, "three": {"bits": 3}, "six": {"bits": 6}, "eight": {"bits": 8}}
write("gptq", "auto_round:auto_gptq", offset, mixed | {"wide": {"bits": 4, "size": 48}, "whole": {"bits": 4, "size": 96}})
write("plain", "auto_round:gptqmodel", plain, {name: mixed[name] for name in ("four", "three")})
write("awq", "auto_round:auto_awq", awq, {"four": {"bits": 4}, "whole": {"bits": 4, "size": 96}})
