#!/usr/bin/env bash
# mlx-lm 0.32.2, mlx 0.32.4 (on a CPU)
# Guess:  converting a model without quantizing it keeps its numbers; a BF16 checkpoint stays the same BF16 checkpoint.
# Seen:   Qwen3-Next's and Qwen3.5's norms multiply by 1 + w. mlx-lm saves 1 + w, in the type of w: in BF16 every w between
#         -0.0019 and 0.0038 becomes 1, and 0.1 keeps five of its eight bits. The original norms cannot be had back, and what it
#         saves has the old name, so that another reader adds 1 once more.
# Matters: who reads such a folder has to tell it from a published one, by the shape of its convolutions; on tiny random models
#         the rounding alone moves the perplexity by 0.08 to 0.5 %.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --no-deps mlx==0.32.4 mlx-cpu==0.32.4 mlx-lm==0.32.2
"$dir/venv/bin/pip" install --quiet numpy==2.4.6 transformers==5.24.0 protobuf sentencepiece jinja2
"$dir/venv/bin/python" - <<'PY'
import sys
import mlx.core as mx
from mlx_lm.models import qwen3_next

small = dict(
    model_type="qwen3_next", hidden_size=8, num_hidden_layers=1, intermediate_size=8, num_attention_heads=1, num_key_value_heads=1,
    linear_num_value_heads=1, linear_num_key_heads=1, linear_key_head_dim=4, linear_value_head_dim=4, linear_conv_kernel_dim=4,
    num_experts=1, num_experts_per_tok=1, decoder_sparse_step=1, shared_expert_intermediate_size=8, moe_intermediate_size=8,
    mlp_only_layers=[], rms_norm_eps=1e-6, vocab_size=8, rope_theta=1e4, partial_rotary_factor=0.25, max_position_embeddings=8,
    head_dim=8, norm_topk_prob=True,
)
model = qwen3_next.Model(qwen3_next.ModelArgs.from_dict(small))
weights = {f"model.layers.0.mlp.experts.0.{name}_proj.weight": mx.zeros((8, 8)) for name in ("gate", "up", "down")}
published = mx.array([0.001, 0.003, 0.0038, 0.004, -0.0018, -0.0021, 0.1, 0.11]).astype(mx.bfloat16)
saved = model.sanitize(weights | {"model.norm.weight": published})["model.norm.weight"]
print("w       ", published.astype(mx.float32).tolist())
print("saved   ", saved.astype(mx.float32).tolist(), saved.dtype)
if saved.astype(mx.float32).tolist() != [1, 1, 1, 1.0078125, 1, 0.99609375, 1.1015625, 1.109375]:
    sys.exit("CHANGED: norms are saved otherwise")
PY
