#!/usr/bin/env bash
# compressed-tensors 0.17.1 and 0.18.0, torch 2.15.0 (Python)
# Guess:  "pack-quantized" names one layout; a new release may add formats but reads what the last one wrote.
# Seen:   3 bits changed under the same name. 0.17.1 puts 10 values into an int32 and wastes 2 bits (4 words for 32 columns), 0.18.0
#         packs densely across words (3). So for 5, 6 and 7 bits; widths that divide 32 (4 bits) are equal. 0.18.0 unpacks the
#         old words without an error, into other weights.
# Matters: 3, 5, 6 and 7-bit checkpoints need their words counted before they can be read: the config does not tell them apart.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 compressed-tensors==0.18.0 numpy==2.3.5
"$dir/venv/bin/pip" install --quiet --no-deps --target "$dir/old" compressed-tensors==0.17.1
cat >"$dir/pack.py" <<'PY'
import json, sys
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32

w = (torch.arange(64) % 7 - 3).to(torch.int8).reshape(2, 32)
words = {bits: pack_to_int32(w, bits) for bits in (3, 4)}
if len(sys.argv) == 1:
    print(json.dumps({bits: packed.tolist() for bits, packed in words.items()}))
    sys.exit()
old = json.load(open(sys.argv[1]))
counts = [len(old["3"][0]), words[3].shape[1]]
same = old["4"] == words[4].tolist()
back = unpack_from_int32(torch.tensor(old["3"], dtype=torch.int32), 3, w.shape)
right = int((back == w).sum())
own = torch.equal(unpack_from_int32(words[3], 3, w.shape), w)
print(f"words for 32 columns of 3 bits: {counts}; 4 bits equal: {same}; old 3 bits read by the new: {right} of 64 right; its own: {own}")
if counts != [4, 3] or not same or not own or right >= 64:
    sys.exit("CHANGED: layouts of 3 bits")
PY
PYTHONPATH="$dir/old" "$dir/venv/bin/python" -W ignore "$dir/pack.py" >"$dir/old.json"
"$dir/venv/bin/python" -W ignore "$dir/pack.py" "$dir/old.json"
