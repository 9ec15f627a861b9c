#!/usr/bin/env bash
# transformers 5.24.0, torch 2.15.0 (Python)
# Guess:  tie_word_embeddings: true decides: head and embedding are one tensor, whatever the file holds (so 4.41.2 does it).
# Seen:   a head of its own is saved beside "tie_word_embeddings": true, and loading such a folder leaves the two untied and
#         uses the file's head, with a line in the log. The config that says they are one is left as it was.
# Matters: a converter that trusts the config drops a trained head; one that trusts the file is right, and the same folder is another
#         model to 4.41.2.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - "$dir/model" <<'PY' 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
import sys
import torch
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

folder = sys.argv[1]
model = LlamaForCausalLM(LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                                     num_attention_heads=2, tie_word_embeddings=True))
tied = model.lm_head.weight is model.model.embed_tokens.weight
model.lm_head.weight = torch.nn.Parameter(torch.ones(50, 16))
model.save_pretrained(folder)
with safe_open(f"{folder}/model.safetensors", "pt") as f:
    saved = "lm_head.weight" in f.keys()
again = LlamaForCausalLM.from_pretrained(folder)
seen = {"tied at first": tied, "head saved": saved, "config says tied": again.config.tie_word_embeddings,
        "tied when loaded": again.lm_head.weight is again.model.embed_tokens.weight,
        "head of the file used": bool((again.lm_head.weight == 1).all())}
print(seen)
if list(seen.values()) != [True, True, True, False, True]:
    sys.exit("CHANGED: a head of its own under tie_word_embeddings")
PY
