#!/usr/bin/env bash
# ml_dtypes 0.6.0, numpy 2.3.5 (Python)
# Guess:  np.sort puts NaN last in bfloat16 as it does in float16 and float32, and what is left is in order.
# Seen:   NaN stays where it is and parts the array: [3, NaN, 1] is "sorted" already, and unique() of [1, NaN, 1] has three values.
#         float8_e4m3fn likewise. int4 wraps what comes from integers (9 is -7), and of 100.0 makes 4.
# Matters: quantiles, thresholds and histograms of bfloat16 weights with a single NaN are of another order, with no NaN in sight.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet ml_dtypes==0.6.0 numpy==2.3.5
"$dir/venv/bin/python" - <<'PY'
import sys
import ml_dtypes
import numpy as np

mixed, twice = [3.0, np.nan, 1.0], [1.0, np.nan, 1.0]
text = lambda a: " ".join(str(float(x)) for x in a)
seen = {t.__name__: (text(np.sort(np.array(mixed, t))), text(np.unique(np.array(twice, t))))
        for t in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.float16)}
seen["int4"] = np.array([9, -9]).astype(ml_dtypes.int4).astype(int).tolist() + np.array([100.0]).astype(ml_dtypes.int4).astype(int).tolist()
print(seen)
if seen != {"bfloat16": ("3.0 nan 1.0", "1.0 nan 1.0"), "float8_e4m3fn": ("3.0 nan 1.0", "1.0 nan 1.0"),
            "float16": ("1.0 3.0 nan", "1.0 nan"), "int4": [-7, 7, 4]}:
    sys.exit("CHANGED: the order of ml_dtypes' numbers, or casts to int4")
PY
