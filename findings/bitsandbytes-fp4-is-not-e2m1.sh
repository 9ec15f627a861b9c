#!/usr/bin/env bash
# bitsandbytes 0.50.2, torch 2.15.0 (Python, on the CPU)
# Guess:  its "fp4" is E2M1, the four-bit float of OCP MXFP4 and NVFP4: 0, 0.5, 1, 1.5, 2, 3, 4, 6 in rising codes.
# Seen:   code 1 is 1/192 where E2M1 has 1/12 of the largest (16 times as much), codes are in no order (1/192, 2/3, 1, 1/3, 1/2, 1/6,
#         1/4), and the first of two values is in the HIGH half of the byte, where ONNX's FLOAT4E2M1 has the low half.
# Matters: reading such weights as MXFP4 loads, has the right size, and gives a model of noise.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 bitsandbytes==0.50.2 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - <<'PY'
import sys
import torch
import bitsandbytes.functional as F

w = torch.zeros(1, 64)
w[0, 0], w[0, 1] = 1, -1
packed, state = F.quantize_4bit(w, quant_type="fp4", blocksize=64)
codes = [round(v * 192) for v in state.code.tolist()[:8]]
e2m1 = [round(v / 6 * 192) for v in (0, 0.5, 1, 1.5, 2, 3, 4, 6)]
print("in units of 1/192 of the largest, code 0 to 7:", codes, " E2M1:", e2m1)
print("1, -1 is the byte", hex(packed.flatten()[0].item()))
if codes != [0, 1, 128, 192, 64, 96, 32, 48] or packed.flatten()[0].item() != 0x3B:
    sys.exit("CHANGED: the table or the order of fp4")
PY
