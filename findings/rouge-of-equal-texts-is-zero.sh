#!/usr/bin/env bash
# rouge_score 0.1.2 (Python)
# Guess:  a text against itself has ROUGE 1, in every language.
# Seen:   words are runs of a to z and 0 to 9, all else is dropped: Chinese, Russian, Arabic and signs alone score 0 against
#         themselves, "café" and "caf" 1, "3.14" and "14.3" rouge1 1, "C++" and "C#" 1.
# Matters: summaries and answers in Chinese are judged worthless, mixed ones by their English words alone, without a warning.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet rouge_score==0.1.2
"$dir/venv/bin/python" - <<'PY'
import sys
from rouge_score.rouge_scorer import RougeScorer

scorer = RougeScorer(["rouge1"])
rouge = lambda a, b: round(float(scorer.score(a, b)["rouge1"].fmeasure), 2)
same = {t: rouge(t, t) for t in ["the cat", "猫坐在垫子上", "кот сидит", "قطة", "!!!", "答案是 42"]}
pairs = {"café, caf": rouge("café", "caf"), "3.14, 14.3": rouge("3.14", "14.3"), "C++, C#": rouge("C++", "C#"),
         "答案是 42, 我不知道 42": rouge("答案是 42", "我不知道 42")}
print(same, pairs)
if list(same.values()) != [1, 0, 0, 0, 0, 1] or set(pairs.values()) != {1}:
    sys.exit("CHANGED: the words of rouge_score")
PY
