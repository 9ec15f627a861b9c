#!/usr/bin/env bash
# transformers 5.24.0, torch 2.15.0 (Python)
# Guess:  top_k=1 leaves one token and top_p=0 the one that greedy takes.
# Seen:   on equal logits top_k=1 leaves all of them, and top_p=0 leaves the LAST, having banned the one that argmax picks.
# Matters: ties are common where logits are bfloat16 or a model is tiny or quantized; "sampling with k = 1" is then no greedy run to
#         compare two engines by.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - <<'PY'
import sys
import torch
from transformers import TopKLogitsWarper, TopPLogitsWarper

logits = torch.tensor([[1.0, 2.0, 2.0, 0.0]])
def kept(warper):
    return warper(None, logits.clone())[0].isfinite().nonzero().flatten().tolist()

seen = {"greedy": [logits.argmax().item()], "top_k=1": kept(TopKLogitsWarper(1)), "top_p=0": kept(TopPLogitsWarper(0.0))}
print(seen)
if seen != {"greedy": [1], "top_k=1": [1, 2], "top_p=0": [2]}:
    sys.exit("CHANGED: ties in top_k and top_p")
PY
