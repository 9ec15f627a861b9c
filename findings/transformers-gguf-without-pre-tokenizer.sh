#!/usr/bin/env bash
# transformers 5.24.0, gguf 0.19.0, torch 2.15.0 (Python)
# Guess:  a tokenizer loaded from a GGUF cuts texts as tokenizer.ggml.pre says: "smollm" cuts off every digit first.
# Seen:   the key is not read, and GPT-2's cutting is used: with a merge of "1" and "2" the text 12 is one token, and four spaces
#         before a digit are three and one.
# Matters: prompts get other ids than the model was trained on, and no warning: of 20 questions of HumanEval one was asked otherwise.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 gguf==0.19.0 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - "$dir" <<'PY' 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
import sys
import numpy as np
from gguf import GGUFWriter
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
merges = ["1 2", "Ġ Ġ", "ĠĠ Ġ", "ĠĠĠ Ġ"]
tokens = letters + [merge.replace(" ", "") for merge in merges] + ["<|endoftext|>"]
w = GGUFWriter(f"{sys.argv[1]}/model.gguf", "llama")
for add, value in [(w.add_context_length, 64), (w.add_embedding_length, 8), (w.add_block_count, 1), (w.add_head_count, 1),
                   (w.add_feed_forward_length, 8), (w.add_layer_norm_rms_eps, 1e-5)]:
    add(value)
w.add_tokenizer_model("gpt2")
w.add_tokenizer_pre("smollm")
w.add_token_list(tokens)
w.add_token_types([1] * (len(tokens) - 1) + [3])
w.add_token_merges(merges)
for add in (w.add_bos_token_id, w.add_eos_token_id):
    add(len(tokens) - 1)
w.add_tensor("token_embd.weight", np.zeros((len(tokens), 8), np.float32))
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], gguf_file="model.gguf")
seen = [tokenizer.tokenize("12"), tokenizer.tokenize("    1")]
print(seen)
if seen != [["12"], ["ĠĠĠ", "Ġ", "1"]]:
    sys.exit("CHANGED: the pre-tokenizer of a GGUF")
PY
