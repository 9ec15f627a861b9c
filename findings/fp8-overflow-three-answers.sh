#!/usr/bin/env bash
# torch 2.15.0, ml_dtypes 0.6.0, onnx 1.23.2 (Python)
# Guess:  a cast of 1000 (or infinity) to float8_e4m3fn, which has no infinity and ends at 448, means one thing.
# Seen:   torch saturates, infinity too, to 448; ml_dtypes gives NaN; onnx.helper.make_tensor saturates, though it reads back as an
#         ml_dtypes array. Within torch e4m3fnuz still gives NaN and e5m2 infinity; within ml_dtypes the four-bit float saturates
#         and NaN becomes -0. As e8m0 (a scale) -2 is 2 in torch and onnx and NaN in ml_dtypes, and 0 is 2^-127 in torch.
# Matters: the same weights quantized by two tools that both say "cast" differ by NaNs; a scale of 0 or below passes in silence.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 ml_dtypes==0.6.0 onnx==1.23.2 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - <<'PY'
import math, sys
import ml_dtypes, numpy as np, onnx, torch
from onnx import TensorProto, helper, numpy_helper

def by_torch(x, dtype):
    return torch.tensor(x).to(dtype).float().tolist()

def by_numpy(x, dtype):
    return np.array(x, np.float32).astype(dtype).astype(np.float32).tolist()

def by_onnx(x, kind):
    return numpy_helper.to_array(helper.make_tensor("x", kind, [len(x)], x)).astype(np.float32).tolist()

big, scales, inf = [1000.0, math.inf], [-2.0, 6.0], math.inf
seen = {
    "torch e4m3fn": by_torch(big, torch.float8_e4m3fn),
    "ml_dtypes e4m3fn": by_numpy(big, ml_dtypes.float8_e4m3fn),
    "onnx e4m3fn": by_onnx(big[:1], TensorProto.FLOAT8E4M3FN),
    "torch e4m3fnuz": by_torch(big, torch.float8_e4m3fnuz),
    "torch e5m2": by_torch([1e6, inf], torch.float8_e5m2),
    "ml_dtypes e2m1fn": by_numpy([1000.0, inf, math.nan], ml_dtypes.float4_e2m1fn),
    "torch e8m0": by_torch(scales + [0.0], torch.float8_e8m0fnu),
    "ml_dtypes e8m0": by_numpy(scales + [0.0], ml_dtypes.float8_e8m0fnu),
    "onnx e8m0": by_onnx(scales, TensorProto.FLOAT8E8M0),
}
for name, values in seen.items():
    print(name.ljust(17), values)
stated = {
    "torch e4m3fn": "[448.0, 448.0]", "ml_dtypes e4m3fn": "[nan, nan]", "onnx e4m3fn": "[448.0]",
    "torch e4m3fnuz": "[nan, nan]", "torch e5m2": "[inf, inf]", "ml_dtypes e2m1fn": "[6.0, 6.0, -0.0]",
    "torch e8m0": "[2.0, 8.0, 5.877471754111438e-39]", "ml_dtypes e8m0": "[nan, 8.0, nan]", "onnx e8m0": "[2.0, 8.0]",
}
if {name: str(values) for name, values in seen.items()} != stated:
    sys.exit("CHANGED: casts beyond the range of an eight-bit float")
PY
