#!/usr/bin/env bash
# transformers 5.24.0, torch 2.15.0 (Python)
# Guess:  the logits of a text do not depend on its neighbour in the batch, nor on feeding it in one piece or in two with the cache.
# Seen:   with "longrope" (Phi-3) the largest position in the CALL picks the factors for all rows: beside a row at positions beyond
#         original_max_position_embeddings a short row gets other logits, and a text fed as 10 + 10 tokens across that limit (16)
#         other ones than fed as 20, as the first keys stay turned by the short factors. generate() hides it: it drops its cache there.
# Matters: perplexity in chunks, batched evaluation and servers that reuse caches measure another model than generate() runs.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 numpy==2.3.5
"$dir/venv/bin/python" -W ignore - <<'PY'
import sys
import torch
from transformers import Phi3Config, Phi3ForCausalLM

torch.manual_seed(0)
torch.set_grad_enabled(False)
model = Phi3ForCausalLM(Phi3Config(
    vocab_size=200, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
    max_position_embeddings=64, original_max_position_embeddings=16, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    initializer_range=0.5, rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 8,
                                            "long_factor": [1.0 + 3 * i for i in range(8)]})).eval()

def gap(a, b):
    return (a - b).abs().max().item()

def in_two(n, split):
    x = torch.randint(3, 200, (1, n))
    past = model(x[:, :split], use_cache=True).past_key_values
    return gap(model(x).logits[:, -1], model(x[:, split:], past_key_values=past).logits[:, -1])

x, at = torch.randint(3, 200, (1, 10)), torch.arange(10)[None]
alone = model(x, position_ids=at).logits
def beside(shift):
    return gap(alone, model(x.repeat(2, 1), position_ids=torch.cat([at, at + shift])).logits[:1])

prompt = torch.randint(3, 200, (1, 8))
runs = [model.generate(prompt, max_new_tokens=30, do_sample=False, eos_token_id=None, use_cache=c).tolist() for c in (True, False)]
near, far, below, across = beside(2), beside(20), in_two(14, 7), in_two(20, 10)
print(f"largest difference of logits, beside a row that ends at 11: {near:.1e}, at 29: {far:.1e}")
print(f"in two pieces below the limit: {below:.1e}, across it: {across:.1e}; generate with and without cache equal: {runs[0] == runs[1]}")
if not (near < 1e-3 and below < 1e-3 and far > 0.1 and across > 0.1 and runs[0] == runs[1]):
    sys.exit("CHANGED: longrope's choice of factors")
PY
