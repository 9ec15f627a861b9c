#!/usr/bin/env bash
# flax 0.12.8, jax 0.10.2, numpy 2.3.5 (Python)
# Guess:  msgpack_serialize keeps an array of big-endian numbers, or refuses it: the ndarray it writes carries its dtype.
# Seen:   it writes the dtype's name, which has no byte order, beside the bytes as they lie: 1 comes back as 16777216, 1.0 as 4.6e-41.
#         from_bytes with a template of another shape and type gives the file's shape and type, and drops keys that the template lacks.
# Matters: weights read from big-endian files (HDF5, old TensorFlow dumps, network captures) are saved as noise, without an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet flax==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.3.5
JAX_PLATFORMS=cpu "$dir/venv/bin/python" - <<'PY'
import sys
import numpy as np
from flax.serialization import from_bytes, msgpack_restore, msgpack_serialize, to_bytes

back = msgpack_restore(msgpack_serialize({"i": np.array([1, 2], ">i4"), "f": np.array([1.0], ">f4")}))
other = from_bytes({"a": np.zeros((2, 2), np.float32)}, to_bytes({"a": np.ones(3, np.float16), "b": np.ones(1)}))
seen = {"ints": back["i"].tolist(), "float": f"{back['f'][0]:.2g}",
        "template": (list(other), other["a"].shape, str(other["a"].dtype))}
print(seen)
if seen != {"ints": [16777216, 33554432], "float": "4.6e-41", "template": (["a"], (3,), "float16")}:
    sys.exit("CHANGED: byte order or templates in flax.serialization")
PY
