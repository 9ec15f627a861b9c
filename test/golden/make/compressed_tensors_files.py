"""Writes ../containers/packed-ct-<version>.safetensors, weights that compressed-tensors packed, and .json beside it: the
quantization_config, and the shape and SHA-256 of each weight as the same release decompresses it with its scales as f32
(by itself it computes in the type of the scales; of those that are F32 it does so too), and 4-bit floats as f32 (by
itself it rounds them to bf16).

    pip install --no-deps compressed-tensors==0.20.0 loguru psutil     # then with 0.17.1 and with 0.18.0; torch 2.15.0
    python compressed_tensors_files.py

0.17.1 is the last release whose words have no number that begins in one and ends in the next; 0.18.0 the last that has
an order of the columns (weight_g_idx).
"""

import hashlib
import json
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.nvfp4 import base as nvfp4
from compressed_tensors.quantization import QuantizationScheme
from safetensors.torch import save_file

out = Path(__file__).parent.parent / "containers"
release = version("compressed-tensors")
torch.manual_seed(20261130)
nvfp4.unpack_fp4_from_uint8 = partial(nvfp4.unpack_fp4_from_uint8, dtype=torch.float32)


def spread(scale, args, rows, columns):
    """Of a scale for each weight."""
    if args["strategy"] in ("tensor", "channel"):
        return scale.expand(rows, columns)
    down, across = args.get("block_structure") or (1, args["group_size"])
    return scale.repeat_interleave(down, 0).repeat_interleave(across, 1)[:rows, :columns]


def layer(name, form, rows, columns, scale_type=torch.float32, order=False, inputs=None, **args):
    args = {"symmetric": True, "type": "int", **args}
    scheme = QuantizationScheme(targets=[name], weights=args, input_activations=inputs, format=form)
    down, across = {
        "tensor": (rows, columns),
        "channel": (1, columns),
        "group": (1, args.get("group_size")),
        "tensor_group": (1, args.get("group_size")),
        "block": args.get("block_structure"),
    }[args["strategy"]]
    shape = (1,) if args["strategy"] == "tensor" else (-(-rows // down), -(-columns // across))
    scale = (torch.rand(shape) / 100 + 0.001).to(scale_type)
    if form.startswith("mxfp"):
        scale = 2.0 ** torch.randint(-9, -3, shape)
    half = 2 ** (args["num_bits"] - 1)
    state = {"weight_scale": scale}
    if not args["symmetric"]:
        state["weight_zero_point"] = torch.randint(-half, half, shape, dtype=torch.int8)
    if form.startswith("nvfp4"):
        state["weight_scale"] = (torch.rand(shape) * 400 + 1).to(torch.float8_e4m3fn).float()
        state["weight_global_scale"] = torch.tensor([812.5])
    if order:
        groups = torch.arange(columns, dtype=torch.int32) // args["group_size"]
        state["weight_g_idx"] = groups[torch.randperm(columns)]
    largest = {"int": half, "float": 448 if args["num_bits"] == 8 else 6}[args["type"]]
    factor = state["weight_scale"] / state.get("weight_global_scale", 1)
    state["weight"] = torch.randn(rows, columns) * largest / 2 * spread(factor, args, rows, columns).float()
    compressor = BaseCompressor.get_value_from_registry(form)
    packed = compressor.compress(state, scheme)
    as_float = {k: v.float() if k == "weight_scale" and v.dtype == torch.bfloat16 else v for k, v in packed.items()}
    weight = compressor.decompress(as_float, scheme)["weight"].float().contiguous()
    assert torch.isfinite(weight).all() and weight.abs().max() > 0
    digest = hashlib.sha256(weight.numpy().tobytes()).hexdigest()
    tensors = {f"{name}.{part}": tensor.detach().contiguous() for part, tensor in packed.items()}
    return tensors, {"shape": list(weight.shape), "sha256": digest}, scheme.model_dump(mode="json")


def write(layers):
    tensors, weights, groups = {}, {}, {}
    for name, arguments in layers.items():
        parts, weights[name], groups[f"group_{len(groups)}"] = layer(name, **arguments)
        tensors |= parts
    config = {"quant_method": "compressed-tensors", "version": release, "quantization_status": "compressed"}
    forms = {each["form"] for each in layers.values()}
    config |= {"format": forms.pop() if len(forms) == 1 else "mixed-precision"}
    config |= {"config_groups": groups, "ignore": ["lm_head"], "kv_cache_scheme": None}
    save_file(tensors, out / f"packed-ct-{release}.safetensors")
    text = json.dumps({"quantization_config": config, "weights": weights}, indent=1)
    (out / f"packed-ct-{release}.json").write_text(text + "\n")


def packed(bits, rows, columns, **arguments):
    return {"form": "pack-quantized", "num_bits": bits, "rows": rows, "columns": columns, **arguments}


group = {"strategy": "group", "group_size": 32}
asymmetric = {**group, "symmetric": False}
channel = {"strategy": "channel"}
ACTIVE = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True}

if release == "0.17.1":
    write({f"bits{bits}": packed(bits, 21, 96, **asymmetric) for bits in (2, 3, 4, 5, 6, 7)})
elif release == "0.18.0":
    write(
        {
            "ordered": packed(4, 16, 96, order=True, actorder="group", **asymmetric),
            "symmetric": packed(8, 16, 96, order=True, actorder="group", **group),
        }
    )
else:
    eight = {"num_bits": 8, "rows": 20, "columns": 64}
    small = {"num_bits": 4, "rows": 20, "columns": 64, "type": "float"}
    mx = {"strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"}
    write(
        {f"bits{bits}": packed(bits, 21, 96, **asymmetric) for bits in (2, 3, 5, 6, 7)}
        | {
            "four": packed(4, 20, 96, **asymmetric),
            "four_symmetric": packed(4, 20, 96, **group),
            "four_bf16": packed(4, 20, 96, scale_type=torch.bfloat16, **asymmetric),
            "four_channel": packed(4, 20, 96, symmetric=False, **channel),
            "four_odd": packed(4, 20, 90, **channel),
            "four_tensor": packed(4, 20, 64, strategy="tensor"),
            "eight": packed(8, 20, 64, **asymmetric),
            "eight_symmetric": packed(8, 20, 64, **channel),
            "int_group": {"form": "int-quantized", **eight, **asymmetric},
            "int_channel": {"form": "int-quantized", **eight, **channel, "inputs": ACTIVE},
            "int_channel_zeros": {"form": "int-quantized", **eight, **channel, "symmetric": False},
            "float_group": {"form": "float-quantized", **eight, **group, "type": "float"},
            "float_block": {
                "form": "float-quantized",
                **eight,
                "type": "float",
                "strategy": "block",
                "block_structure": [16, 32],
            },
        }
        | {
            "nvfp4": {"form": "nvfp4-pack-quantized", **small, "strategy": "tensor_group", "group_size": 16},
            "mxfp4": {"form": "mxfp4-pack-quantized", **small, **mx},
            "mxfp8": {"form": "mxfp8-quantized", **eight, "type": "float", **mx},
        }
    )
