#!/usr/bin/env bash
# transformers 5.24.0, torch 2.15.0 (Python)
# Guess:  model.to(torch.bfloat16) is the model that from_pretrained(dtype=torch.bfloat16) gives: the weights are the same.
# Seen:   .to() rounds RoPE's inv_freq too, which loading keeps in float32. Positions are then off by up to 0.4 %, so logits drift
#         apart with the length of the text; .float() afterwards does not bring the frequencies back.
# Matters: reference logits made with .to() are those of another model; perplexities of long texts differ with equal weights.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - "$dir/model" <<'PY'
import sys
import torch
from transformers import LlamaConfig, LlamaForCausalLM

folder = sys.argv[1]
torch.manual_seed(0)
torch.set_grad_enabled(False)
cast = LlamaForCausalLM(LlamaConfig(
    vocab_size=200, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
    max_position_embeddings=4096, initializer_range=0.3, pad_token_id=0, bos_token_id=1, eos_token_id=2)).to(torch.bfloat16)
cast.save_pretrained(folder)
loaded = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
equal = all(torch.equal(a, b) for a, b in zip(cast.state_dict().values(), loaded.state_dict().values()))
tokens = torch.randint(3, 200, (1, 3000))
exact = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)(tokens).logits

def gap(model):
    return (model.float()(tokens).logits - exact).abs().max().item()

far, near = gap(cast), gap(loaded)
types = [model.model.rotary_emb.inv_freq.dtype for model in (cast, loaded)]
kept = cast.model.rotary_emb.inv_freq.tolist() == loaded.model.rotary_emb.inv_freq.tolist()
print(f"weights equal: {equal}; inv_freq equal after .float(): {kept}, {types}")
print(f"largest difference from the same weights in float32 over 3000 tokens: after .to() {far:.1f}, loaded {near:.1e}")
if not equal or kept or far < 1 or near > 1e-3:
    sys.exit("CHANGED: what .to(bfloat16) does to RoPE")
PY
