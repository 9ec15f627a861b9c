"""BitNet as published: weights of three values, packed, with a scale each."""

import torch
from transformers.integrations.bitnet import pack_weights

from .common import LLAMA, model, rope


def linears(net):
    return [(name, module) for name, module in net.named_modules() if isinstance(module, torch.nn.Linear) and "layers" in name]


def ternary(values):
    """-1, 0 and 1, and the scale, as BF16, that makes the weights of them."""
    scale = values.float().abs().mean().bfloat16().float()
    return (values.float() / scale).round().clamp(-1, 1), scale


def round_linears(net):
    for _, module in linears(net):
        codes, scale = ternary(module.weight.data)
        module.weight.data = (codes * scale).to(module.weight.dtype)


def packed(config, tensors):
    config["quantization_config"] = {
        "linear_class": "autobitlinear", "quant_method": "bitnet", "quantization_mode": "offline",
    }
    result = {}
    for name, tensor in tensors.items():
        if name.endswith("_proj.weight"):
            scale = tensor.float().abs().max()
            result[name] = pack_weights((tensor.float() / scale).round())
            result[f"{name}_scale"] = scale.reshape(1).bfloat16()
        else:
            result[name] = tensor
    return config, result


FAMILIES = {
    "bitnet-packed": model(
        "BitNetForCausalLM", "bitnet", "llama-3", **LLAMA, tie_word_embeddings=True, **rope(500000.0),
        more={"written": packed, "rounded": round_linears},
    ),
}
