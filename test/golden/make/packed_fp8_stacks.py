"""Writes ../containers/packed-fp8-stacks.safetensors, experts in F8_E4M3 as transformers 5 stacks them, with a scale each or
one a block, and beside it the shape and SHA-256 of what transformers dequantizes them to.

    python packed_fp8_stacks.py        # transformers 5.24.0, torch 2.15.0, safetensors 0.8.0
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers.integrations.finegrained_fp8 import _dequantize_fp8_weight

out = Path(__file__).parent.parent / "containers"
torch.manual_seed(20261130)
tensors, golden = {}, {}
for name, (experts, rows, columns), block in (
    ("blocks.experts.gate_up_proj", (3, 14, 21), [4, 8]),
    ("blocks.experts.down_proj", (3, 5, 16), [4, 8]),
    ("each.experts.gate_up_proj", (4, 6, 8), None),
):
    weight = torch.randn(experts, rows, columns).to(torch.float8_e4m3fn)
    down, across = (-(-rows // block[0]), -(-columns // block[1])) if block else (1, 1)
    scale = torch.rand(experts, down, across) + 0.1
    values = _dequantize_fp8_weight(weight, scale, block, torch.float32)
    tensors |= {name: weight, f"{name}_scale_inv": scale, f"{name}_activation_scale": torch.ones(experts)}
    golden[name] = [[experts, rows, columns], hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()]
save_file(tensors, out / "packed-fp8-stacks.safetensors")
(out / "packed-fp8-stacks.json").write_text(json.dumps(golden, indent=1) + "\n")
