"""Writes ../containers/packed-awq-rows.safetensors and packed-gptq-planes.safetensors, and .json beside each: weights in AWQ's
layouts for one token, and in GPTQ's planes of bits, with the shape and SHA-256 of each (f32, rows in order).

    packed_rows.py <AutoAWQ 88e4c76's awq/modules/linear> <GPTQModel f4c327a17's gptqmodel/utils>    # torch 2.15.0

AWQ: packed by from_linear of WQLinear_GEMV and WQLinear_GEMVFast, whose kernels are CUDA's; unpacked by the numbers they were
packed from: scale × (q - zero), and where the file has -scale × zero, rounded to a half, scale × q less that. GPTQ: packed
and unpacked by planar_packing.py.
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
torch.manual_seed(20261130)


def load(path, name, **stubs):
    for stub, attributes in stubs.items():
        module = types.ModuleType(stub.replace("__", "."))
        module.__dict__.update(attributes)
        sys.modules[module.__name__] = module
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expect(weight):
    assert weight.dtype == torch.float32 and torch.isfinite(weight).all()
    return [list(weight.shape), hashlib.sha256(weight.contiguous().numpy().tobytes()).hexdigest()]


def numbers(bits, rows, columns, size, lowest=0):
    scales = (torch.rand(rows, columns // size) / 100 + 0.001).half()
    zeros = torch.randint(lowest, 2**bits, (rows, columns // size))
    codes = torch.randint(0, 2**bits, (rows, columns))
    return scales, zeros, codes


def spread(table, size):
    return table.float().repeat_interleave(size, 1)


def write(name, tensors, hashes):
    save_file({key: value.contiguous() for key, value in tensors.items()}, out / f"packed-{name}.safetensors")
    (out / f"packed-{name}.json").write_text(json.dumps(hashes, indent=1) + "\n")


def awq(folder):
    stubs = {"awq": {}, "awq__utils": {}, "awq__utils__module": {"try_import": lambda _: (None, "")}}
    gemv = load(f"{folder}/gemv.py", "gemv", **stubs).WQLinear_GEMV
    fast = load(f"{folder}/gemv_fast.py", "gemv_fast", **stubs).WQLinear_GEMVFast
    tensors, hashes = {}, {}
    for name, kind, rows, columns, size in (
        ("gemv-32", gemv, 16, 96, 32),
        ("gemv-64", gemv, 16, 192, 64),
        ("fast-32", fast, 16, 128, 32),
        ("fast-64", fast, 24, 64, 64),
    ):
        scales, zeros, codes = numbers(4, rows, columns, size)
        linear = torch.nn.Linear(columns, rows, bias=False)
        linear.weight.data = spread(scales, size) * (codes - spread(zeros, size))
        packed = kind.from_linear(linear, 4, size, scales=scales.float(), zeros=zeros)
        weight = linear.weight.data
        if kind is fast:
            weight = spread(scales, size) * codes - spread((scales.float() * zeros).half(), size)
        hashes[name] = expect(weight)
        for part in ("qweight", "qzeros", "scales"):
            tensors[f"{name}.{part}"] = getattr(packed, part).half() if part == "scales" else getattr(packed, part)
        if kind is fast:
            tensors[f"{name}.qzeros"] = packed.qzeros.half()
    write("awq-rows", tensors, hashes)


def planes(folder):
    planar = load(f"{folder}/planar_packing.py", "planar_packing")
    tensors, hashes = {}, {}
    for bits in range(2, 9):
        rows, columns, size = 32 if bits < 8 else 64, 64, 32
        scales, zeros, codes = numbers(bits, rows, columns, size)
        parts = {"qweight": planar.planar_pack_rows(codes.T, bits), "qzeros": planar.planar_pack_cols(zeros.T, bits)}
        assert torch.equal(planar.planar_unpack_rows(parts["qweight"], bits).T.long(), codes)
        assert torch.equal(planar.planar_unpack_cols(parts["qzeros"], bits).reshape(zeros.T.shape).T.long(), zeros)
        groups = torch.arange(columns, dtype=torch.int32) // size
        if bits == 5:  # columns in another order
            groups = groups[torch.randperm(columns)]
        weight = scales.float()[:, groups.long()] * (codes - zeros[:, groups.long()]).float()
        hashes[f"bits{bits}"] = expect(weight)
        parts |= {"scales": scales.T, "g_idx": groups}
        tensors |= {f"bits{bits}.{part}": tensor for part, tensor in parts.items()}
    write("gptq-planes", tensors, hashes)


awq(sys.argv[1])
planes(sys.argv[2])
