#!/usr/bin/env bash
# tokenizers 0.23.3 (Python)
# Guess:  add_tokens() gives a new token an id that nobody has: the largest id + 1.
# Seen:   it gives the NUMBER of tokens. In a vocabulary whose ids have a hole that is the id of another token: two tokens share
#         id 3, and decode() turns the old one into the new one. The file keeps the clash without a word.
# Matters: pruned vocabularies and checkpoints with reserved rows have holes; a chat token added to them takes over a row of the
#         embedding that is in use.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet tokenizers==0.23.3
"$dir/venv/bin/python" - <<'PY'
import sys
from tokenizers import Tokenizer, models

t = Tokenizer(models.BPE(vocab={"a": 0, "b": 2, "c": 3}, merges=[]))
added = t.add_tokens(["<tool>"])
again = Tokenizer.from_str(t.to_str())
ids = again.encode("c<tool>").ids
print("added", added, "as id", t.token_to_id("<tool>"), "beside c =", t.token_to_id("c"))
print("c<tool> ->", ids, "->", repr(again.decode(ids)))
if (added, ids, again.decode(ids)) != (1, [3, 3], "<tool> <tool>"):
    sys.exit("CHANGED: added tokens no longer take the id of a token in use")
PY
