#!/usr/bin/env bash
# safetensors 0.8.0 (Python), numpy 2.3.5
# Guess:  safetensors.numpy.save() either copies an array that is not in C order, or refuses it, as safetensors.torch does.
# Seen:   the shape of the view is written with the bytes of the memory behind it: a transposed matrix comes back scrambled, and
#         a[:, ::2] comes back as the first elements of a. No error, no warning.
# Matters: converters transpose (Conv1D, GGUF order, fused QKV) just before they save; the file is valid, only the model is wrong.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.3.5
"$dir/venv/bin/python" - <<'PY'
import sys
import numpy as np
from safetensors.numpy import load, save

a = np.arange(6, dtype=np.float32).reshape(2, 3)
turned = load(save({"a": a.T}))["a"].tolist()
strided = load(save({"a": a[:, ::2]}))["a"].tolist()
copied = load(save({"a": np.ascontiguousarray(a.T)}))["a"].tolist()
print("a.T            ", a.T.tolist(), "->", turned)
print("a[:, ::2]      ", a[:, ::2].tolist(), "->", strided)
print("copy of a.T    ", a.T.tolist(), "->", copied)
if (turned, strided, copied) != ([[0, 1], [2, 3], [4, 5]], [[0, 1], [2, 3]], a.T.tolist()):
    sys.exit("CHANGED: views are no longer saved as the memory behind them")
PY
