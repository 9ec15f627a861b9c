#!/usr/bin/env bash
# safetensors 0.8.0 (Python), numpy 2.3.5
# Guess:  safe_open(...).get_slice(name)[...] follows NumPy: slices are clipped, negative bounds count from the end.
# Seen:   the single index -1 does count from the end, but the slice -1: raises OverflowError and 0:5 of two rows raises instead
#         of giving both. True is the index 1.
# Matters: loaders that read their share of rows (tensor parallel, shards of the last, shorter chunk) compute bounds that NumPy and
#         torch forgive; the lazy reader does not.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.3.5
"$dir/venv/bin/python" - "$dir/rows.safetensors" <<'PY'
import sys
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

a = np.arange(6, dtype=np.float32).reshape(2, 3)
save_file({"a": a}, sys.argv[1])
asked = {"-1": -1, "True": True, "-1:": slice(-1, None), "0:5": slice(0, 5)}
seen = []
with safe_open(sys.argv[1], "np") as f:
    for text, index in asked.items():
        try:
            got = f.get_slice("a")[index].tolist()
        except Exception as error:
            got = type(error).__name__
        print(f"[{text}]".ljust(8), "NumPy", a[index].tolist(), " safetensors", got)
        seen.append(got)
if seen != [[3, 4, 5], [3, 4, 5], "OverflowError", "SafetensorError"]:
    sys.exit("CHANGED: get_slice treats bounds otherwise")
PY
