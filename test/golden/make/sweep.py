"""Writes checkpoints as transformers 5 saves them, each with reference.json: what `npm run sweep -- <folder>` compares with.

usage: sweep.py <folder> [name ...]      (transformers 5.24.0, torch 2.15.0, safetensors 0.8.0)

Families, kinds of RoPE, types of weights, tied and not, experts in both forms, names without prefixes and with others.
Perplexity in float64 of the weights as they are stored, over two chunks of 256 tokens of families/text.txt, second halves
scored. Weights are random. The tokenizer is that of families/llama or families/qwen2, vocabularies of 320.
"""

import json
import math
import shutil
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file, save_model

torch.set_num_threads(1)
FAMILIES = Path(__file__).parent.parent / "families"
F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16

BASE = dict(vocab_size=320, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=48)


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=10000.0, **more))


YARN = rope("yarn", factor=4.0, original_max_position_embeddings=64)
LLAMA3 = rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
LONG = rope("longrope", short_factor=[1.0 + i / 8 for i in range(8)], long_factor=[2.0 + i for i in range(8)], original_max_position_embeddings=64, factor=4.0)


# How a model is saved: plainly, or as other programs leave it.
def plain(model, folder, **more):
    model.save_pretrained(folder, **more)


def shards(model, folder):
    model.save_pretrained(folder, max_shard_size="60KB")


def stacked(model, folder):
    model.save_pretrained(folder, save_original_format=False)


def configure(model, folder):
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)


def base_alone(model, folder):
    model.base_model.save_pretrained(folder)
    configure(model, folder)


def without_embedding(model, folder):
    configure(model, folder)
    save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})


def named(prefix):
    def save(model, folder):
        configure(model, folder)
        state = {prefix + n: w.contiguous().clone() for n, w in model.state_dict().items()}
        save_file(state, folder / "model.safetensors", {"format": "pt"})

    return save


def pickled(wrap):
    def save(model, folder):
        configure(model, folder)
        torch.save(wrap(model.state_dict()), folder / "pytorch_model.bin")

    return save


# name: class, config, type, how it is saved
CONFIGS = {
    "llama-f32": ("Llama", BASE, F32, plain),
    "llama-f16": ("Llama", BASE, F16, plain),
    "llama-bf16-shards": ("Llama", BASE, BF16, shards),
    "llama-tied": ("Llama", BASE | dict(tie_word_embeddings=True), BF16, plain),
    "llama-linear": ("Llama", BASE | rope("linear", factor=4.0), BF16, plain),
    "llama-yarn": ("Llama", BASE | YARN, BF16, plain),
    "llama-yarn-betas": ("Llama", BASE | rope("yarn", factor=8.0, original_max_position_embeddings=32, beta_fast=16.0, beta_slow=2.0, attention_factor=1.5), F32, plain),
    "llama-llama3": ("Llama", BASE | LLAMA3, BF16, plain),
    "llama-longrope": ("Llama", BASE | LONG, F32, plain),
    "llama-biases": ("Llama", BASE | dict(attention_bias=True, mlp_bias=True), BF16, plain),
    "llama-wide-heads": ("Llama", BASE | dict(head_dim=24, num_key_value_heads=1), BF16, plain),
    "llama-base-alone": ("Llama", BASE | dict(tie_word_embeddings=True), BF16, base_alone),
    "llama-save-model": ("Llama", BASE | dict(tie_word_embeddings=True), BF16, without_embedding),
    "llama-module": ("Llama", BASE, BF16, named("module.")),
    "llama-compiled": ("Llama", BASE, F16, named("_orig_mod.")),
    "llama-language-model": ("Llama", BASE, BF16, named("language_model.")),
    "llama-bin": ("Llama", BASE, F32, pickled(lambda state: state)),
    "llama-bin-nested": ("Llama", BASE, BF16, pickled(lambda state: {"epoch": 1, "state_dict": state})),
    "mistral-window": ("Mistral", BASE | dict(sliding_window=48), BF16, plain),
    "mixtral": ("Mixtral", BASE | dict(num_local_experts=4, num_experts_per_tok=2, sliding_window=None), BF16, plain),
    "mixtral-stacked": ("Mixtral", BASE | dict(num_local_experts=4, num_experts_per_tok=2, sliding_window=None), F16, stacked),
    "qwen2": ("Qwen2", BASE, BF16, plain),
    "qwen2-tied-yarn": ("Qwen2", BASE | YARN | dict(tie_word_embeddings=True), F32, plain),
    "qwen2-moe": ("Qwen2Moe", BASE | MOE | dict(shared_expert_intermediate_size=32), BF16, plain),
    "qwen3-llama3": ("Qwen3", BASE | LLAMA3 | dict(head_dim=16), BF16, plain),
    "qwen3-moe": ("Qwen3Moe", BASE | MOE | dict(head_dim=16, norm_topk_prob=True), BF16, plain),
    "qwen3-moe-stacked": ("Qwen3Moe", BASE | MOE | dict(head_dim=16), F32, stacked),
    "gemma2": ("Gemma2", BASE | dict(head_dim=16, sliding_window=48, query_pre_attn_scalar=16), BF16, plain),
    "gemma3": ("Gemma3", BASE | dict(head_dim=16, sliding_window=48, query_pre_attn_scalar=16, num_hidden_layers=6), F16, plain),
    "phi3": ("Phi3", BASE | dict(sliding_window=None, pad_token_id=0), BF16, plain),
    "olmo2": ("Olmo2", BASE | dict(tie_word_embeddings=False), F32, plain),
    "starcoder2": ("Starcoder2", BASE | dict(sliding_window=None, use_bias=True), BF16, plain),
    "gpt2": ("GPT2LMHead", dict(vocab_size=320, n_embd=64, n_layer=2, n_head=4, n_positions=256), F32, plain),
    "gpt-neox-partial": ("GPTNeoX", {k: v for k, v in BASE.items() if k != "num_key_value_heads"} | dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)), F16, plain),
    "deepseek-v3-yarn": (
        "DeepseekV3",
        BASE | dict(num_key_value_heads=4, num_hidden_layers=3, first_k_dense_replace=1, n_routed_experts=4, num_experts_per_tok=2, n_group=2, topk_group=1, n_shared_experts=1, moe_intermediate_size=32, q_lora_rank=24, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16)
        | rope("yarn", factor=4.0, original_max_position_embeddings=64, mscale=1.0, mscale_all_dim=1.0),
        BF16, plain,
    ),
    "glm4": ("Glm4", BASE | dict(head_dim=16, pad_token_id=0), BF16, plain),
    "cohere2": ("Cohere2", BASE | dict(sliding_window=48, num_hidden_layers=4), BF16, plain),
    "smollm3": ("SmolLM3", BASE | dict(num_hidden_layers=4, pad_token_id=0), BF16, plain),
    "granite-multipliers": ("Granite", BASE | dict(embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.5, logits_scaling=2.0), BF16, plain),
    "stablelm": ("StableLm", BASE, F16, plain),
}
BPE = {"gpt2", "qwen2", "qwen2-tied-yarn", "qwen2-moe", "qwen3-llama3", "qwen3-moe", "qwen3-moe-stacked", "gpt-neox-partial", "starcoder2", "smollm3", "olmo2", "glm4", "cohere2", "stablelm", "deepseek-v3-yarn"}


def make(name, folder):
    kind, values, dtype, save = CONFIGS[name]
    family = "qwen2" if name in BPE else "llama"
    model_class = getattr(transformers, kind if kind.endswith("Head") else f"{kind}ForCausalLM", None)
    model_class = model_class or getattr(transformers, f"{kind}Model")
    config = model_class.config_class(**values, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(sum(map(ord, name)))
    model = model_class._from_config(config, attn_implementation="eager").float().eval()
    model.config._experts_implementation = "eager"
    for each, parameter in model.named_parameters():
        first = parameter.flatten()[0].item()
        is_norm = (parameter == first).all() and (parameter.dim() < 2 or first != 0)
        scale = 0.3 if parameter.dim() < 2 else 0.12 if "embed" in each or "wte" in each or "wpe" in each else 1.2 * parameter.shape[-1] ** -0.5
        parameter.data = ((first if is_norm else 0) + scale * torch.randn(parameter.shape)).to(dtype).float()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in (FAMILIES / family).glob("tokenizer*"):
        shutil.copy(file, folder)
    stored = model_class._from_config(config, attn_implementation="eager").to(dtype)
    stored.load_state_dict(model.state_dict())
    stored.config.dtype = dtype
    save(stored, folder)
    told = json.loads((FAMILIES / family / "reference.json").read_text())
    tokens, context = told["tokens"], told["context"]
    model, total, count = model.double(), 0.0, 0
    for start in range(0, len(tokens) - context + 1, context):
        chunk = torch.tensor([tokens[:1] + tokens[start + 1 : start + context]]) if family == "llama" else torch.tensor([tokens[start : start + context]])
        with torch.no_grad():
            logp = torch.log_softmax(model(chunk).logits[0].double(), -1)
        for i in range(context // 2, context - 1):
            total -= logp[i, chunk[0, i + 1]].item()
            count += 1
    reference = {"tokens": tokens, "context": context, "bos": family == "llama", "perplexity": math.exp(total / count)}
    (folder / "reference.json").write_text(json.dumps(reference))
    print(name, reference["perplexity"], flush=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    for name in sys.argv[2:] or CONFIGS:
        make(name, out / name)
