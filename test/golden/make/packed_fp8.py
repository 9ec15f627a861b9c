"""Writes ../containers/packed-fp8-powers.safetensors, 8-bit floats and 4-bit experts with scales that are powers of two, and
packed-fp8-powers.json, the shape and SHA-256 of each weight (f32, rows in order) as transformers dequantizes it.

    packed_fp8.py    # transformers 5.24.0, torch 2.15.0, safetensors 0.8.0

Fp8Dequantize, which reads them where there is no GPU. Blocks are packed by its Fp8Quantize with scale_fmt ue8m0; groups of 32
columns, of which the scales are E8M0 or bytes, and experts by their definition.
"""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import save_file
from transformers import FineGrainedFP8Config
from transformers.integrations.finegrained_fp8 import Fp8Dequantize, Fp8Quantize

out = Path(__file__).parent.parent / "containers"
torch.manual_seed(20261130)
tensors, told = {}, {}


def keep(name, weight, scale, suffix="weight_scale_inv"):
    unpacked = Fp8Dequantize(None)._dequantize_one(weight, scale, output_dtype=torch.float32)
    assert torch.isfinite(unpacked).all() and unpacked.abs().max() > 0
    told[name] = [list(unpacked.shape), hashlib.sha256(unpacked.contiguous().numpy().tobytes()).hexdigest()]
    tensors.update({f"{name}.weight": weight.clone(), f"{name}.{suffix}": scale.clone()})


config = FineGrainedFP8Config(weight_block_size=(16, 32), scale_fmt="ue8m0")
quantizer = Fp8Quantize(SimpleNamespace(quantization_config=config))
packed = quantizer.convert({"blocks.weight": torch.randn(48, 64)})
keep("blocks", packed["blocks.weight"], packed["blocks.weight_scale_inv"])
floats = quantizer.convert({"float.weight": torch.randn(32, 64)})
keep("float", floats["float.weight"], floats["float.weight_scale_inv"].float())
powers = torch.randint(118, 130, (16, 2), dtype=torch.uint8)
small = torch.randn(16, 64).to(torch.float8_e4m3fn)
keep("groups", small, powers.view(torch.float8_e8m0fnu))
keep("bytes", small, powers, "weight_scale")
keep("deepseek", small, powers.view(torch.float8_e8m0fnu), "scale")
keep("experts", torch.randint(-128, 128, (16, 32), dtype=torch.int8), powers.view(torch.float8_e8m0fnu))
save_file(tensors, out / "packed-fp8-powers.safetensors")
(out / "packed-fp8-powers.json").write_text(json.dumps(told, indent=1) + "\n")
