#!/usr/bin/env bash
# sacrebleu 2.6.0 (Python)
# Guess:  an answer that equals its reference has BLEU 100, whichever function is asked; a string where lists belong raises.
# Seen:   corpus_bleu gives 0 for equal texts of fewer than four tokens ("42", "the cat sat"), where sentence_bleu gives 100; a Chinese
#         sentence without spaces is one token unless tokenize="zh". Strings in place of lists are taken letter by letter: 0, no error.
# Matters: sets of short answers, and Chinese ones, look failed; a few long answers beside them hide it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet sacrebleu==2.6.0
"$dir/venv/bin/python" - <<'PY'
import logging
import sys
from sacrebleu import corpus_bleu, sentence_bleu

logging.disable(logging.WARNING)
texts = ["42", "the cat sat", "the cat sat on the mat", "猫坐在垫子上睡着了"]
seen = {t: [round(f) for f in (corpus_bleu([t], [[t]]).score, sentence_bleu(t, [t]).score, corpus_bleu([t], [[t]], tokenize="zh").score)]
        for t in texts}
seen["strings"] = round(corpus_bleu(texts[2], [texts[2]]).score)
seen["short beside long"] = round(corpus_bleu([texts[0], texts[2]], [[texts[0], texts[2]]]).score)
print(seen)
if list(seen.values()) != [[0, 100, 0], [0, 100, 0], [100, 100, 100], [0, 100, 100], 0, 100]:
    sys.exit("CHANGED: BLEU of short answers")
PY
