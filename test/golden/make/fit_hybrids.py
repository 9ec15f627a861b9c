"""Writes test/golden/fit/hybrids.json: what published models with state spaces beside attention hold and keep.

usage: fit_hybrids.py

Of each model the parameters that transformers counts on torch's meta device, a tied output once; the elements of keys and
values that a token leaves; and the bytes of recurrent states of a sequence, which are f32 in llama.cpp: of a convolution
its kernel less one rows of what goes in, of Mamba-2 channels times states, of Mamba the same, of delta attention keys
times values.

Whose numbers: `granite-4.0-h-tiny` and `-small` IBM's model cards (their layers with attention stand as in
granite-4.0-h-1b's config.json); `nemotron-nano-9b-v2` and `nemotron-3-nano-30b-a3b`, `lfm2-1.2b`, `lfm2-8b-a1b` their
config.json on the Hub, as read in public repositories that quote them; `falcon-h1-0.5b` the configuration that NVIDIA's
Megatron Bridge tests with; `jamba-v0.1` and `kimi-linear-48b-a3b` transformers' defaults, which are of these models (the
latter's layers with attention as its config.json has them).
"""

import json
from pathlib import Path

import torch
import transformers

OUT = Path(__file__).parent.parent / "fit" / "hybrids.json"


def layers(count, attention, other):
    return ["full_attention" if i in attention else other for i in range(count)]


GRANITE = dict(
    num_hidden_layers=40, layer_types=layers(40, (5, 15, 25, 35), "linear_attention"), mamba_d_state=128, mamba_n_groups=1,
    vocab_size=100352, max_position_embeddings=131072, tie_word_embeddings=True, position_embedding_type="nope",
)
NEMOTRON = dict(head_dim=128, ssm_state_size=128, n_groups=8, conv_kernel=4, vocab_size=131072, tie_word_embeddings=False)
LFM2 = dict(conv_L_cache=3, vocab_size=65536, hidden_size=2048, num_attention_heads=32, num_key_value_heads=8,
            tie_word_embeddings=True)
MODELS = {
    "granite-4.0-h-tiny": ("granitemoehybrid", dict(
        **GRANITE, hidden_size=1536, num_attention_heads=12, num_key_value_heads=4, mamba_n_heads=48, num_local_experts=64,
        num_experts_per_tok=6, intermediate_size=512, shared_intermediate_size=1024)),
    "granite-4.0-h-small": ("granitemoehybrid", dict(
        **GRANITE, hidden_size=4096, num_attention_heads=32, num_key_value_heads=8, mamba_n_heads=128, num_local_experts=72,
        num_experts_per_tok=10, intermediate_size=768, shared_intermediate_size=1536)),
    "nemotron-nano-9b-v2": ("nemotron_h", dict(
        **NEMOTRON, hybrid_override_pattern="M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-", hidden_size=4480,
        num_attention_heads=40, num_key_value_heads=8, intermediate_size=15680, mamba_num_heads=128, mamba_head_dim=80)),
    "nemotron-3-nano-30b-a3b": ("nemotron_h", dict(
        **NEMOTRON, hybrid_override_pattern="MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", hidden_size=2688,
        num_attention_heads=32, num_key_value_heads=2, mamba_num_heads=64, mamba_head_dim=64, n_routed_experts=128,
        num_experts_per_tok=6, moe_intermediate_size=1856, moe_shared_expert_intermediate_size=3712, n_shared_experts=1)),
    "lfm2-1.2b": ("lfm2", dict(
        **LFM2, num_hidden_layers=16, full_attn_idxs=[2, 5, 8, 10, 12, 14], block_ff_dim=12288, block_multiple_of=256,
        layer_types=layers(16, (2, 5, 8, 10, 12, 14), "conv"))),
    "lfm2-8b-a1b": ("lfm2_moe", dict(
        **LFM2, num_hidden_layers=24, layer_types=layers(24, (2, 6, 10, 14, 18, 21), "conv"), intermediate_size=7168,
        moe_intermediate_size=1792, num_experts=32, num_experts_per_tok=4, num_dense_layers=2, use_expert_bias=True)),
    "falcon-h1-0.5b": ("falcon_h1", dict(
        hidden_size=1024, num_hidden_layers=36, num_attention_heads=8, num_key_value_heads=2, head_dim=64,
        intermediate_size=2048, mamba_d_ssm=1536, mamba_n_heads=24, mamba_d_head=64, mamba_d_state=128, mamba_n_groups=1,
        vocab_size=32784, max_position_embeddings=16384, mamba_rms_norm=False, tie_word_embeddings=False)),
    "jamba-v0.1": ("jamba", {}),
    "kimi-linear-48b-a3b": ("kimi_linear", dict(layer_types=layers(27, (3, 7, 11, 15, 19, 23, 26), "linear_attention"))),
}


def kept(kind, config):
    """Elements of keys and values that a token leaves, and bytes of a sequence's states."""
    types = getattr(config, "layers_block_type", None) or config.layer_types
    has = [kind for kind in types if kind in ("full_attention", "attention")]
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if kind == "kimi_linear":
        inner = config.linear_num_heads * config.linear_head_dim
        states = 3 * inner * (config.linear_conv_kernel_dim - 1) + inner * config.linear_head_dim
        return len(has) * (config.kv_lora_rank + config.qk_rope_head_dim), 4 * (len(types) - len(has)) * states
    if kind == "falcon_h1":
        has, inner = types, config.mamba_d_ssm
        others = len(types)
        conv, scan = inner + 2 * config.mamba_n_groups * config.mamba_d_state, inner * config.mamba_d_state
        kernel = config.mamba_d_conv
    elif kind in ("lfm2", "lfm2_moe"):
        others = types.count("conv")
        conv, scan, kernel = config.hidden_size, 0, config.conv_L_cache
    elif kind == "nemotron_h":
        others = sum(each in ("mamba", "linear_attention") for each in types)
        inner = config.mamba_num_heads * config.mamba_head_dim
        conv, scan = inner + 2 * config.n_groups * config.ssm_state_size, inner * config.ssm_state_size
        kernel = config.conv_kernel
    else:
        others = len(types) - len(has)
        inner = config.mamba_expand * config.hidden_size
        groups = getattr(config, "mamba_n_groups", 0)  # Mamba convolves what it scans alone
        conv, scan = inner + 2 * groups * config.mamba_d_state, inner * config.mamba_d_state
        kernel = config.mamba_d_conv
    return 2 * len(has) * config.num_key_value_heads * width, 4 * others * (conv * (kernel - 1) + scan)


def main():
    result = {}
    for name, (kind, values) in MODELS.items():
        config = transformers.AutoConfig.for_model(kind, **values)
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(config)
        buffers = [each for key, each in model.named_buffers() if key.split(".")[-1] in ("e_score_correction_bias", "expert_bias")]
        parameters = sum(each.numel() for each in [*model.parameters(), *buffers])
        elements, states = kept(kind, config)
        result[name] = {"parameters": parameters, "kvElements": elements, "stateBytes": states}
        print(name, result[name])
    OUT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
