#!/usr/bin/env bash
# torchao 0.18.0, torch 2.15.0 (Python, CPU)
# Guess:  symmetric integers of n bits keep the largest weight of a group, as absmax does elsewhere; a layer that does not fit raises.
# Seen:   the scale is the largest weight over (2^n - 1) / 2, so +1 comes back as 0.667 and -1 as -1.333 at 2 bits, ±0.857 at 3,
#         ±0.933 at 4. 100 inputs in groups of 32: IntxWeightOnlyConfig raises, Int4WeightOnlyConfig leaves the layer as it was.
# Matters: the outliers that matter most are the ones cut; a "4-bit" model may hold layers of full precision, unsaid.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torchao==0.18.0 torch==2.15.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PY' 2>/dev/null
import sys
import torch
from torch import nn
from torchao.quantization import Int4WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerGroup


def ends(dtype):
    layer = nn.Sequential(nn.Linear(64, 8))
    layer[0].weight.data = torch.linspace(-1, 1, 64).repeat(8, 1)
    quantize_(layer, IntxWeightOnlyConfig(weight_dtype=dtype, granularity=PerGroup(64)))
    row = layer[0].weight.dequantize()[0]
    return round(row.min().item(), 3), round(row.max().item(), 3)


def misfit(config):
    layer = nn.Sequential(nn.Linear(100, 8))
    try:
        quantize_(layer, config)
    except AssertionError:
        return "raises"
    return type(layer[0].weight).__name__


seen = {"2 bits": ends(torch.int2), "3 bits": ends(torch.int3), "4 bits": ends(torch.int4),
        "intx": misfit(IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32))),
        "int4": misfit(Int4WeightOnlyConfig(group_size=32))}
print(seen)
if seen != {"2 bits": (-1.333, 0.667), "3 bits": (-0.857, 0.857), "4 bits": (-0.933, 0.933), "intx": "raises", "int4": "Parameter"}:
    print("CHANGED: symmetric integers in torchao")
    sys.exit(1)
PY
