#!/usr/bin/env bash
# ml_dtypes 0.6.0, numpy 2.3.5 (Python)
# Guess:  float4_e2m1fn and int4 treat what they cannot hold alike, and a sort puts NaN last in bfloat16 as in float32.
# Seen:   as float4_e2m1fn NaN is -0 and infinity 6; as float8_e8m0fnu 0 is NaN; int4 wraps where it comes from integers (9 is -7)
#         and from 100.0 it is 4. np.sort of bfloat16 [3, NaN, 1] is [3, NaN, 1]; float32 and float16 give [1, 3, NaN].
# Matters: a broken weight disappears as a zero in an MXFP4 or NVFP4 file; quantiles of bfloat16 weights with one NaN are of no order.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet ml_dtypes==0.6.0 numpy==2.3.5
"$dir/venv/bin/python" - <<'PY'
import sys
import warnings
import ml_dtypes
import numpy as np

warnings.simplefilter("ignore")
bad = np.array([np.nan, np.inf, -np.inf, 7], np.float32)
mixed = [3.0, np.nan, 1.0]
text = lambda a: [str(float(x)) for x in a]
seen = {
    "fp4": text(bad.astype(ml_dtypes.float4_e2m1fn)),
    "e8m0 of 0": text(np.zeros(1, np.float32).astype(ml_dtypes.float8_e8m0fnu)),
    "int4 of 9, -9": np.array([9, -9]).astype(ml_dtypes.int4).astype(int).tolist(),
    "int4 of 100.0": np.array([100.0]).astype(ml_dtypes.int4).astype(int).tolist(),
    "sort bfloat16": text(np.sort(np.array(mixed, ml_dtypes.bfloat16))),
    "sort float16": text(np.sort(np.array(mixed, np.float16))),
}
print(seen)
if seen != {"fp4": ["-0.0", "6.0", "-6.0", "6.0"], "e8m0 of 0": ["nan"], "int4 of 9, -9": [-7, 7], "int4 of 100.0": [4],
            "sort bfloat16": ["3.0", "nan", "1.0"], "sort float16": ["1.0", "3.0", "nan"]}:
    sys.exit("CHANGED: casts or sorting in ml_dtypes")
PY
