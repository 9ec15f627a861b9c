#!/usr/bin/env bash
# ml_dtypes 0.6.0, numpy 2.3.5 (Python)
# Guess:  numpy takes the mean of a bfloat16 array in float32, as it does for float16: the mean of 1000 ones is 1.
# Seen:   0.2559. Sum and mean add in bfloat16, one after another, and stop growing at 256; float16 gives 1, and dot() of the same
#         bfloat16 array 1000. The dtype is of kind V: np.issubdtype(bfloat16, np.floating) is false, and np.save forgets it.
# Matters: scales, norms and error figures that a script takes from bfloat16 weights are off by factors, not by rounding.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet ml_dtypes==0.6.0 numpy==2.3.5
"$dir/venv/bin/python" - "$dir/ones.npy" <<'PY'
import sys
import ml_dtypes
import numpy as np

ones = np.ones(1000, dtype=ml_dtypes.bfloat16)
np.save(sys.argv[1], ones)
seen = {
    "sum": float(ones.sum()), "mean": round(float(ones.mean()), 4), "dot": float(np.dot(ones, ones)),
    "mean of float16": float(np.ones(1000, np.float16).mean()),
    "floating": bool(np.issubdtype(ones.dtype, np.floating)), "saved as": str(np.load(sys.argv[1]).dtype),
}
print(seen)
if seen != {"sum": 256.0, "mean": 0.2559, "dot": 1000.0, "mean of float16": 1.0, "floating": False, "saved as": "|V2"}:
    sys.exit("CHANGED: bfloat16 arrays in numpy")
PY
