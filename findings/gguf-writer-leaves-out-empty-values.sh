#!/usr/bin/env bash
# gguf 0.19.0, numpy 2.3.5 (Python)
# Guess:  GGUFWriter writes each key it is given, or raises; a string where a list belongs raises.
# Seen:   an empty string and an empty array are left out without a word, and the count of keys with them; zero and false are
#         written. A string given to add_array becomes an array of its letters, bytes an array of numbers.
# Matters: a key that says "none" (an empty chat template, no merges) becomes one that says nothing; copying a file loses such keys.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet gguf==0.19.0 numpy==2.3.5
"$dir/venv/bin/python" - "$dir/model.gguf" <<'PY'
import sys
from gguf import GGUFReader, GGUFWriter

w = GGUFWriter(sys.argv[1], "llama")
w.add_string("empty.string", "")
w.add_array("empty.array", [])
w.add_uint32("zero", 0)
w.add_bool("no", False)
w.add_array("word", "abc")
w.add_array("bytes", b"abc")
w.write_header_to_file()
w.write_kv_data_to_file()
w.close()
fields = GGUFReader(sys.argv[1]).fields
seen = {name: f.contents() for name, f in fields.items() if not name.startswith(("GGUF.", "general."))}
seen["count"] = int(fields["GGUF.kv_count"].contents())
print(seen)
if seen != {"zero": 0, "no": False, "word": ["a", "b", "c"], "bytes": [97, 98, 99], "count": 5}:
    sys.exit("CHANGED: empty values in GGUFWriter")
PY
