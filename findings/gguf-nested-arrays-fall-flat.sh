#!/usr/bin/env bash
# gguf 0.19.0, numpy 2.3.5 (Python)
# Guess:  GGUFReader gives back what GGUFWriter took: [[1, 2], [3]] is an array of arrays, and a key given twice is refused as a
#         tensor given twice is.
# Seen:   the writer stores the nesting and the reader's contents() drops it: [1, 2, 3]. A second value of a key replaces the first,
#         type and all, with a line in the log, where a second tensor of a name raises.
# Matters: per-layer settings are such arrays; copying a file's metadata by contents() and add_array() writes another file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet gguf==0.19.0 numpy==2.3.5
"$dir/venv/bin/python" - "$dir/model.gguf" <<'PY'
import sys
import numpy as np
from gguf import GGUFReader, GGUFWriter

w = GGUFWriter(sys.argv[1], "llama")
w.add_array("layers", [[1, 2], [3]])
w.add_float32("scale", 0.5)
w.add_uint32("scale", 3)
w.add_tensor("t", np.ones(3, np.float32))
try:
    w.add_tensor("t", np.ones(3, np.float32))
    second = "taken"
except ValueError as error:
    second = str(error)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
fields = GGUFReader(sys.argv[1]).fields
layers, scale = fields["layers"], fields["scale"]
seen = {"stored as": [t.name for t in layers.types], "read": layers.contents(),
        "scale": (scale.types[0].name, scale.contents()), "second tensor": second}
print(seen)
if seen != {"stored as": ["ARRAY", "ARRAY", "INT32"], "read": [1, 2, 3], "scale": ("UINT32", 3),
            "second tensor": "Duplicated tensor name 't'"}:
    sys.exit("CHANGED: nested arrays or repeated keys")
PY
