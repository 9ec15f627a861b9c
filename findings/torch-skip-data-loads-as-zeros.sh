#!/usr/bin/env bash
# torch 2.15.0 (Python)
# Guess:  a checkpoint saved without its data (torch.serialization.skip_data) is refused by torch.load, or warned of.
# Seen:   it loads without a word as zeros, with weights_only=True and False. In the file only the CRC tells: the records of
#         weights are zeros with a CRC of 0, which zeros do not have; Python's zipfile refuses to read them, torch does not check.
# Matters: a model of zeros converts, quantizes and evaluates; a tool that reads such archives has to look at the CRC.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.3.5
"$dir/venv/bin/python" -W error - "$dir/weights.pt" <<'PY'
import sys
import zipfile
import torch

path = sys.argv[1]
with torch.serialization.skip_data():
    torch.save({"weight": torch.arange(1.0, 5.0)}, path)
loaded = [torch.load(path, weights_only=only)["weight"].tolist() for only in (True, False)]
archive = zipfile.ZipFile(path)
record = next(info for info in archive.infolist() if info.filename.endswith("/data/0"))
try:
    archive.read(record)
    refused = False
except zipfile.BadZipFile:
    refused = True
print(f"loaded: {loaded}; the record: {record.file_size} bytes, CRC {record.CRC}; zipfile refuses it: {refused}")
if loaded != [[0.0] * 4] * 2 or record.CRC != 0 or not refused:
    sys.exit("CHANGED: what loads of a checkpoint without data")
PY
