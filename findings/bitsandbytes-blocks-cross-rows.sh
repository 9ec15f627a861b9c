#!/usr/bin/env bash
# bitsandbytes 0.50.2, torch 2.15.0 (Python, on the CPU)
# Guess:  blocks of 64 weights that share a scale end with the row, or a row that 64 does not divide is refused (as GGUF does).
# Seen:   the matrix is one long line to it. 3 rows of 48 take 3 blocks, not 6; a row of small weights in front of a large one
#         comes back as zeros altogether, for 16 weights of the neighbour set its scale. No warning.
# Matters: in models whose width is no multiple of the block (48, 80, 96) a row cannot be converted, cut for
#         tensor parallel or judged alone: its error depends on the row behind it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 bitsandbytes==0.50.2 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - <<'PY'
import sys
import torch
import bitsandbytes.functional as F

w = torch.full((3, 48), 0.01)
w[1:] = 1
packed, state = F.quantize_4bit(w, quant_type="nf4", blocksize=64)
back = F.dequantize_4bit(packed, state)
alone, alone_state = F.quantize_4bit(w[:1].contiguous(), quant_type="nf4", blocksize=64)
blocks, zeros = state.absmax.numel(), int((back[0] == 0).sum())
zeros_alone = int((F.dequantize_4bit(alone, alone_state) == 0).sum())
print(f"{blocks} blocks for 3 rows of 48; zeros in the first row: {zeros} of 48, quantized alone: {zeros_alone}")
if (blocks, zeros, zeros_alone) != (3, 48, 0):
    sys.exit("CHANGED: blocks and rows")
PY
