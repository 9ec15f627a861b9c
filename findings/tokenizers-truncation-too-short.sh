#!/usr/bin/env bash
# tokenizers 0.23.3 (Python)
# Guess:  enable_truncation(1) with a template that adds two tokens fails, or returns at most those two.
# Seen:   it does not truncate at all: every token of the text comes back, the special ones added, longer than with max_length 3.
# Matters: a limit set from what is left of a context (window - prompt) may fall below the number of special tokens; just there the
#         text is no longer cut and overruns the window.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet tokenizers==0.23.3
"$dir/venv/bin/python" - <<'PY'
import sys
from tokenizers import Tokenizer, models, processors

t = Tokenizer(models.BPE(vocab={"<s>": 0, "a": 1}, merges=[]))
t.post_processor = processors.TemplateProcessing(single="<s> $A <s>", special_tokens=[("<s>", 0)])
lengths = {}
for limit in (5, 4, 3, 2, 1):
    t.enable_truncation(limit)
    lengths[limit] = len(t.encode("a" * 50).ids)
print("max_length -> tokens of 50 letters:", lengths)
if lengths != {5: 5, 4: 4, 3: 3, 2: 2, 1: 52}:
    sys.exit("CHANGED: truncation below the number of special tokens")
PY
