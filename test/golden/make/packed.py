"""Writes ../containers/packed-*.safetensors, weights packed as publishers pack them, and packed.json, the SHA-256 of
each weight (f32, rows in order) as the packers' own programs unpack it.

    pip download --no-deps auto-gptq==0.7.1 autoawq==0.2.9     # unpacked, not installed: neither builds any more
    python packed.py <folder with auto_gptq> <folder with awq>    # torch 2.15.0, safetensors 0.8.0

GPTQ: packed by auto_gptq's QuantLinear.pack, unpacked by its forward over a unit matrix. AWQ: packed by awq's
WQLinear_GEMM.from_linear, unpacked by dequantize_gemm. 8-bit floats: torch's own types, times scales as the model
cards of DeepSeek-V3 and of fbgemm_fp8 say. Each is also unpacked by the published formula, with the same result.
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
hashes = {}
torch.manual_seed(20261125)


def load(path, name, **stubs):
    for stub, attributes in stubs.items():
        module = types.ModuleType(stub.replace("__", "."))
        module.__dict__.update(attributes)
        sys.modules[module.__name__] = module
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expect(name, weight):
    assert weight.dtype == torch.float32 and torch.isfinite(weight).all()
    hashes[name] = [list(weight.shape), hashlib.sha256(weight.contiguous().numpy().tobytes()).hexdigest()]


def random_groups(bits, rows, columns, size, lowest_zero):
    """A weight on a grid: scales a half can hold, zeros, and what lies between, by group of columns."""
    groups = columns // size
    scales = (torch.rand(groups, rows) / 100 + 0.001).half().float()
    zeros = torch.randint(lowest_zero, 2**bits, (groups, rows))
    codes = torch.randint(0, 2**bits, (columns, rows))
    return scales, zeros, codes


def gptq(auto_gptq, name, bits, rows, columns, size, order):
    linear_module = load(f"{auto_gptq}/nn_modules/qlinear/qlinear_cuda.py", "qlinear")
    groups = torch.arange(columns) // size
    if order:
        groups = groups[torch.randperm(columns)]
    scales, zeros, codes = random_groups(bits, rows, columns, size, 1)
    weight = (scales[groups] * (codes - zeros[groups]).float()).T.contiguous()
    linear = torch.nn.Linear(columns, rows, bias=False)
    linear.weight.data = weight.clone()
    packed = linear_module.QuantLinear(bits, size, columns, rows, False, weight_dtype=torch.float32)
    packed.pack(linear, scales.T, zeros.T.float(), groups.to(torch.int32))
    assert torch.equal(packed(torch.eye(columns)).T, weight)
    expect(name, weight)
    tensors = {"qweight": packed.qweight, "qzeros": packed.qzeros, "scales": scales.half()}
    return {f"{name}.{part}": tensor for part, tensor in (tensors | {"g_idx": packed.g_idx}).items()}


def awq(folder, name, rows, columns, size):
    utils = load(f"{folder}/utils/packing_utils.py", "packing_utils")
    gemm = load(
        f"{folder}/modules/linear/gemm.py",
        "awq_gemm",
        awq={},
        awq__utils={},
        awq__utils__module={"try_import": lambda _: (None, "")},
        awq__utils__utils={"get_best_device": lambda: "cpu"},
        awq__utils__packing_utils={"dequantize_gemm": utils.dequantize_gemm},
    )
    scales, zeros, codes = random_groups(4, rows, columns, size, 0)
    groups = torch.arange(columns) // size
    weight = (scales[groups] * (codes - zeros[groups]).float()).T.contiguous()
    linear = torch.nn.Linear(columns, rows, bias=False)
    linear.weight.data = weight.clone()
    packed = gemm.WQLinear_GEMM.from_linear(linear, 4, size, scales=scales, zeros=zeros)
    unpacked = utils.dequantize_gemm(packed.qweight, packed.qzeros, scales, 4, size)
    assert torch.equal(unpacked.T, weight)
    expect(name, weight)
    tensors = {"qweight": packed.qweight, "qzeros": packed.qzeros, "scales": packed.scales}
    return {f"{name}.{part}": tensor for part, tensor in tensors.items()}


def float8(name, kind, rows, columns, scale, suffix, block=None):
    codes = torch.randint(0, 256, (rows, columns), dtype=torch.uint8).view(kind)
    codes = torch.where(torch.isfinite(codes.float()), codes.float(), torch.zeros(())).to(kind)
    spread = scale.float()
    if block is not None:
        spread = spread.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)[:rows, :columns]
    expect(name, codes.float() * spread)
    return {f"{name}.weight": codes, f"{name}.weight{suffix}": scale}


def main():
    auto_gptq, awq_folder = sys.argv[1:3]
    save_file(
        gptq(auto_gptq, "four", 4, 64, 128, 32, True)
        | gptq(auto_gptq, "whole", 4, 64, 64, 64, False)
        | {k: v for k, v in gptq(auto_gptq, "plain", 4, 96, 64, 32, False).items() if "g_idx" not in k},
        out / "packed-gptq-4.safetensors",
    )
    save_file(gptq(auto_gptq, "eight", 8, 64, 128, 32, True), out / "packed-gptq-8.safetensors")
    save_file(gptq(auto_gptq, "two", 2, 64, 128, 32, False), out / "packed-gptq-2.safetensors")
    save_file(awq(awq_folder, "awq", 64, 128, 32), out / "packed-awq.safetensors")
    every = torch.arange(256, dtype=torch.uint8).reshape(2, 128)
    e4m3, e5m2 = torch.float8_e4m3fn, torch.float8_e5m2
    small = torch.tensor(0.0123)
    save_file(
        float8("blocks", e4m3, 200, 150, torch.rand(2, 2), "_scale_inv", (128, 128))
        | float8("tensor", e4m3, 24, 32, small, "_scale")
        | float8("tensor1", e5m2, 24, 32, torch.tensor([0.0456]), "_scale")
        | float8("rows", e4m3, 24, 32, torch.rand(24, 1), "_scale")
        | float8("channels", e4m3, 24, 32, torch.rand(24, 1).bfloat16(), "_scale")
        | {"tensor.input_scale": torch.tensor(1.5)},
        out / "packed-fp8.safetensors",
    )
    save_file(
        {"e4m3.weight": every.clone().view(e4m3), "e5m2.weight": every.clone().view(e5m2)}
        | {"int8.weight": torch.arange(-128, 128, dtype=torch.int8).reshape(2, 128)}
        | {"int8.weight_scale": torch.tensor([[0.5], [0.25]])},
        out / "packed-bytes.safetensors",
    )
    save_file(gptq(auto_gptq, "three", 3, 64, 128, 32, True), out / "packed-gptq-3.safetensors")
    (out / "packed.json").write_text(
        json.dumps(
            {
                "sha256": hashes,
                "e4m3": [str(x) for x in every.view(e4m3).float().flatten().tolist()],
                "e5m2": [str(x) for x in every.view(e5m2).float().flatten().tolist()],
            },
            indent=1,
        )
        + "\n"
    )


main()
