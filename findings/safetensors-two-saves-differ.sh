#!/usr/bin/env bash
# safetensors 0.8.0, numpy 2.3.5 (Python)
# Guess:  the same tensors and the same metadata, saved twice, are the same bytes: tensors are sorted, and the format is for sharing.
# Seen:   with more than one entry of metadata the header's order changes from process to process, and so does the file's hash;
#         with one entry, or none, all saves are alike.
# Matters: a checkpoint made again has another sha256 than the one published, and caches and manifests keyed by it miss.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.3.5
hashes() { # entries of metadata: how many different files twelve processes save
  for _ in $(seq 12); do
    "$dir/venv/bin/python" - "$1" <<'PY'
import hashlib
import sys
import numpy as np
from safetensors.numpy import save

entries = {f"key{i}": str(i) for i in range(int(sys.argv[1]))}
print(hashlib.sha256(save({"b": np.ones(3, np.float32), "a": np.zeros(2, np.float32)}, metadata=entries)).hexdigest())
PY
  done | sort -u | wc -l
}
none=$(hashes 0) one=$(hashes 1) eight=$(hashes 8)
echo "different files of 12 saves: without metadata $none, one entry $one, eight entries $eight"
[[ $none == 1 && $one == 1 && $eight -gt 1 ]] || { echo "CHANGED: the order of safetensors' metadata" >&2; exit 1; }
