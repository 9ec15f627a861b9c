"""Writes ../containers/packed-bitsandbytes.safetensors, layers as bitsandbytes saves them, and packed-bitsandbytes.json,
the SHA-256 of each weight (f32, rows in order) as bitsandbytes dequantizes it.

    pip install bitsandbytes==0.50.2 torch==2.15.0 safetensors==0.8.0
    python packed_bitsandbytes.py

4 bits: Linear4bit's state_dict, dequantized as all its backends that have no kernel do, with float32 asked for. Its CPU
kernel says the same of rows of whole blocks; of "between", rows of 96 in blocks of 64, it takes some scales from the block
before, which is asserted. 8 bits: Linear8bitLt's state_dict, int8_vectorwise_dequant.
"""

import hashlib
import json
from pathlib import Path

import bitsandbytes as bnb
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from safetensors.torch import save_file

out = Path(__file__).parent.parent / "containers"
torch.manual_seed(20261130)
tensors, hashes = {}, {}


def keep(name, layer, weight):
    assert weight.dtype == torch.float32 and torch.isfinite(weight).all()
    hashes[name] = [list(weight.shape), hashlib.sha256(weight.contiguous().numpy().tobytes()).hexdigest()]
    for part, tensor in layer.state_dict().items():
        tensors[f"{name}.{part}"] = tensor.clone()


def four(name, kind, rows, columns, nested, **options):
    layer = bnb.nn.Linear4bit(columns, rows, bias=False, quant_type=kind, compress_statistics=nested, **options)
    weight = torch.randn(rows, columns, dtype=torch.bfloat16)
    storage = options.get("quant_storage", torch.uint8)
    layer.weight = bnb.nn.Params4bit(
        weight, requires_grad=False, quant_type=kind, compress_statistics=nested, quant_storage=storage
    ).to("cpu")
    state = layer.weight.quant_state
    scales = state.absmax
    if nested:
        scales = bnb.functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
    codes = layer.weight.data.view(torch.uint8).reshape(-1)
    unpacked = _dequantize_4bit_compute(codes, scales, state.code, state.blocksize, state.shape, torch.float32)
    saved, state.dtype = state.dtype, torch.float32
    kernel = bnb.functional.dequantize_4bit(layer.weight.data, state)
    state.dtype = saved
    assert torch.equal(kernel, unpacked) == (name != "between")
    assert (unpacked - weight.float()).square().mean() <= (kernel - weight.float()).square().mean()
    keep(name, layer, unpacked)


four("nf4", "nf4", 9, 128, False)
four("fp4", "fp4", 9, 128, False)
four("between", "nf4", 12, 96, False)
four("odd", "nf4", 5, 33, False)  # rows and blocks that end within a byte, within each other
four("stored", "nf4", 8, 64, True, quant_storage=torch.bfloat16)
four("nested-nf4", "nf4", 130, 128, True)  # more than a nested block of 256 × 64
four("nested-fp4", "fp4", 18, 128, True)
eight = bnb.nn.Linear8bitLt(40, 24, bias=False, has_fp16_weights=False)
eight.weight = bnb.nn.Int8Params(torch.randn(24, 40).half(), requires_grad=False, has_fp16_weights=False).to("cpu")
eight.state.CB, eight.state.SCB = eight.weight.CB, eight.weight.SCB
keep("int8", eight, bnb.functional.int8_vectorwise_dequant(eight.weight.data, eight.weight.SCB))
save_file(tensors, out / "packed-bitsandbytes.safetensors")
(out / "packed-bitsandbytes.json").write_text(json.dumps(hashes, indent=1) + "\n")
