"""Classes that live beside their weights alone. transformers has each by what it computes, under another name."""

import re

import torch
from torch import nn

from .common import LLAMA, model, rope
from .dense import WIDE
from .experts import GLM, GROUPS

BAILING = [
    (".self_attn.o_proj.", ".attention.dense."),
    (".self_attn.q_norm.", ".attention.query_layernorm."),
    (".self_attn.k_norm.", ".attention.key_layernorm."),
    (".mlp.gate.e_score_correction_bias", ".mlp.gate.expert_bias"),
    ("model.embed_tokens.", "model.word_embeddings."),
]


def renamed(tensors, pairs):
    for old, new in pairs:
        tensors = {name.replace(old, new): tensor for name, tensor in tensors.items()}
    return tensors


def joined(tensors, layers, kinds=("weight", "bias")):
    """q, k and v in one."""
    for i in range(layers):
        for kind in kinds:
            names = [f"model.layers.{i}.self_attn.{part}_proj.{kind}" for part in "qkv"]
            if names[0] in tensors:
                parts = [tensors.pop(name) for name in names]
                tensors[f"model.layers.{i}.attention.query_key_value.{kind}"] = torch.cat(parts)
    return tensors


def plain(config, **more):
    """What publishers' configs of 2025 share, with the fields that transformers 4 knew."""
    kept = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
            "max_position_embeddings", "rms_norm_eps", "hidden_act", "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id",
            "head_dim"]
    values = {key: config[key] for key in kept if config.get(key) is not None}
    return values | {"rope_theta": config["rope_parameters"]["rope_theta"], "torch_dtype": "bfloat16"} | more


def ling2(config, tensors):
    routing = ["n_group", "topk_group", "routed_scaling_factor", "moe_intermediate_size", "first_k_dense_replace", "num_experts_per_tok",
               "norm_topk_prob"]
    written = plain(
        config, architectures=["BailingMoeV2ForCausalLM"], model_type="bailing_moe", num_experts=config["n_routed_experts"],
        num_shared_experts=config["n_shared_experts"], score_function="sigmoid", moe_router_enable_expert_bias=True, use_qk_norm=True,
        partial_rotary_factor=0.5, use_bias=False, use_qkv_bias=False, norm_head=False, num_nextn_predict_layers=0, rope_scaling=None,
        moe_shared_expert_intermediate_size=config["moe_intermediate_size"], router_dtype="fp32",
        **{key: config[key] for key in routing},
    )
    return written, joined(renamed(tensors, BAILING), config["num_hidden_layers"])


def ling(config, tensors):
    """Experts one by one, and an output matrix that stands for itself divided by the norms of its columns."""
    written = plain(
        config, architectures=["BailingMoeForCausalLM"], model_type="bailing_moe", num_experts=config["num_local_experts"],
        num_experts_per_tok=config["num_experts_per_tok"], num_shared_experts=2, moe_intermediate_size=config["intermediate_size"],
        first_k_dense_replace=0, norm_topk_prob=True, norm_head=True, use_bias=False, multi_gate=False, rope_scaling=None,
        head_dim=config["hidden_size"] // config["num_attention_heads"],
    )
    width = config["intermediate_size"]
    result = {}
    for name, tensor in tensors.items():
        base = re.sub(r"block_sparse_moe.*|shared_mlp.*", "mlp.", name)
        if "block_sparse_moe.router" in name:
            result[f"{base}gate.weight"] = tensor
        elif "block_sparse_moe.input_linear" in name:
            for i, expert in enumerate(tensor):
                result[f"{base}experts.{i}.gate_proj.weight"] = expert[:width].clone()
                result[f"{base}experts.{i}.up_proj.weight"] = expert[width:].clone()
        elif "block_sparse_moe.output_linear" in name:
            result |= {f"{base}experts.{i}.down_proj.weight": expert.clone() for i, expert in enumerate(tensor)}
        elif "shared_mlp.input_linear" in name:
            gate, up = tensor.chunk(2)
            result |= {f"{base}shared_experts.gate_proj.weight": gate.clone(), f"{base}shared_experts.up_proj.weight": up.clone()}
        elif "shared_mlp.output_linear" in name:
            result[f"{base}shared_experts.down_proj.weight"] = tensor
        else:
            result[name] = tensor
    return written, joined(renamed(result, BAILING), config["num_hidden_layers"])


def divide_head(net):
    """The model computes with the divided matrix and saves the other."""
    class Divided(nn.Linear):
        def forward(self, values):
            return nn.functional.linear(values, self.weight / (torch.norm(self.weight, p=2, dim=0, keepdim=True) + 1e-7))

    net.lm_head.__class__ = Divided


def internlm3(config, tensors):
    written = plain(
        config, architectures=["InternLM3ForCausalLM"], model_type="internlm3", bias=config["attention_bias"],
        qkv_bias=config["attention_bias"], rope_scaling={"factor": 6.0, "rope_type": "dynamic"},
    )
    return written, tensors


def minicpm(scaling):
    def written(config, tensors):
        config = plain(
            config, architectures=["MiniCPMForCausalLM"], model_type="minicpm", scale_emb=3, scale_depth=0.9, dim_model_base=16,
            rope_scaling=scaling,
        )
        return config, tensors

    return written


class Normed(nn.Module):
    """MPT's qkv with LayerNorms over all of q and all of k."""

    def __init__(self, inner, width):
        super().__init__()
        self.inner, self.q_ln, self.k_ln = inner, nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)

    def forward(self, values):
        q, k, v = self.inner(values).chunk(3, dim=-1)
        return torch.cat([self.q_ln(q), self.k_ln(k), v], dim=-1)


def norm_queries(net):
    for block in net.transformer.blocks:
        block.attn.Wqkv = Normed(block.attn.Wqkv, net.config.d_model)


def mpt(config, tensors):
    config["attn_config"]["qk_ln"] = True
    config |= {"architectures": ["MPTForCausalLM"], "no_bias": True, "learned_pos_emb": True}
    return config, renamed(tensors, [(".Wqkv.inner.", ".Wqkv."), (".Wqkv.q_ln.", ".q_ln."), (".Wqkv.k_ln.", ".k_ln.")])


MINICPM = {**LLAMA, "embedding_multiplier": 3.0, "residual_multiplier": 0.9 * 2**-0.5, "logits_scaling": 2.0, "attention_multiplier": 8**-0.5}
LONG = {"rope_type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.7], "long_factor": [1.0, 2.0, 4.0, 8.0],
        "original_max_position_embeddings": 64}

FAMILIES = {
    "ling-2": model(
        "Glm4MoeForCausalLM", "glm4_moe", "qwen2", **GLM | {"moe_intermediate_size": 32}, use_qk_norm=True, attention_bias=False,
        head_dim=8, tie_word_embeddings=False, **rope(600000.0, partial_rotary_factor=0.5), more={"written": ling2},
    ),
    "ling-2-groups": model(
        "Glm4MoeForCausalLM", "glm4_moe", "qwen2", **GLM | GROUPS | {"n_shared_experts": 1}, use_qk_norm=True, attention_bias=False,
        head_dim=8, tie_word_embeddings=False, **rope(600000.0, partial_rotary_factor=0.5), more={"written": ling2},
    ),
    "ling-lite": model(
        "GraniteMoeSharedForCausalLM", "granitemoeshared", "qwen2", **LLAMA | {"intermediate_size": 32}, num_local_experts=4,
        num_experts_per_tok=2, shared_intermediate_size=64, attention_multiplier=8**-0.5, tie_word_embeddings=False, **rope(600000.0),
        more={"written": ling, "mend": divide_head},
    ),
    "internlm3": model(
        "LlamaForCausalLM", "llama", "spm", True, **LLAMA, **WIDE, tie_word_embeddings=False, **rope(50000000.0),
        more={"written": internlm3},
    ),
    "internlm3-biases": model(
        "LlamaForCausalLM", "llama", "spm", True, **LLAMA, **WIDE, tie_word_embeddings=False, attention_bias=True, mlp_bias=True,
        **rope(50000000.0), more={"written": internlm3},
    ),
    "minicpm": model(
        "GraniteForCausalLM", "granite", "spm", True, **MINICPM, tie_word_embeddings=True, **rope(10000.0),
        more={"written": minicpm(None)},
    ),
    "minicpm-long": model(
        "GraniteForCausalLM", "granite", "spm", True, **MINICPM, tie_word_embeddings=False,
        **rope(10000.0, **LONG, factor=8.0), more={"written": minicpm(LONG)},
    ),
    "mpt-norms": model(
        "MptForCausalLM", "mpt", "gpt-neox", d_model=32, n_heads=4, n_layers=2, expansion_ratio=4, max_seq_len=512, vocab_size=320,
        no_bias=True, layer_norm_epsilon=1e-5,
        attn_config={"alibi": True, "alibi_bias_max": 8, "attn_type": "multihead_attention", "clip_qkv": None, "qk_ln": False,
                     "softmax_scale": None, "attn_pdrop": 0, "prefix_lm": False},
        more={"written": mpt, "mend": norm_queries},
    ),
}
