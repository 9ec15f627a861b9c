#!/usr/bin/env bash
# mlx 0.32.4 (on a CPU)
# Guess:  a model of float32 stays one when its weights are quantized: whatever the mode, layers answer in float32.
# Seen:   an embedding in MXFP4, NVFP4 or MXFP8 answers in bfloat16, since its scales are bytes and no float says the type; in the
#         affine mode it answers in float32. The linear layers of all modes answer in the type of what they are given: so the
#         same model computes in another precision with the mode, though no weight is in bfloat16.
# Matters: perplexities of two modes differ by more than the modes; to compare a model with MLX's, its embedding has to be
#         dequantized with dtype=float32.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --no-deps mlx==0.32.4 mlx-cpu==0.32.4
"$dir/venv/bin/python" - <<'PY'
import sys
import mlx.core as mx
import mlx.nn as nn

plain = nn.Embedding(4, 64)
seen = {}
for mode, (size, bits) in {"affine": (32, 4), "mxfp4": (32, 4), "nvfp4": (16, 4), "mxfp8": (32, 8)}.items():
    embedding = plain.to_quantized(size, bits, mode=mode)
    linear = nn.Linear(64, 4, bias=False).to_quantized(size, bits, mode=mode)
    answers = embedding(mx.array([0])), linear(mx.ones((1, 64))), embedding.as_linear(mx.ones((1, 64)))
    seen[mode] = [str(each.dtype).removeprefix("mlx.core.") for each in answers]
    print(f"{mode:8} embedding {seen[mode][0]}, linear {seen[mode][1]}, as_linear {seen[mode][2]}")
wide = ["float32"] * 3
if seen != {"affine": wide} | {mode: ["bfloat16", "float32", "float32"] for mode in ("mxfp4", "nvfp4", "mxfp8")}:
    sys.exit("CHANGED: other types of answers")
PY
