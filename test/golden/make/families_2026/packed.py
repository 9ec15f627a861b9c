"""gpt-oss as published: experts in MXFP4, gate and up in alternating rows."""

import torch

from .common import model, rope
from .experts import GPT_OSS

VALUES = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
EXPERTS = ("gate_up_proj", "down_proj")


def mxfp4(values):
    """Codes [..., n / 32, 32] and exponents [..., n / 32] of values [..., n], and what they stand for."""
    blocks = values.float().unflatten(-1, (-1, 32))
    exponents = torch.floor(torch.log2(blocks.abs().amax(-1))) - 2
    scaled = blocks / torch.exp2(exponents)[..., None]
    codes = (scaled.abs()[..., None] - VALUES).abs().argmin(-1)
    stands = VALUES[codes] * scaled.sign() * torch.exp2(exponents)[..., None]
    return codes + 8 * (scaled < 0), exponents, stands.flatten(-2)


def round_experts(net):
    for layer in net.model.layers:
        for name in EXPERTS:
            parameter = getattr(layer.mlp.experts, name)
            parameter.data = mxfp4(parameter.data.transpose(1, 2))[2].transpose(1, 2).contiguous()


def packed(config, tensors):
    config["quantization_config"] = {
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
        "quant_method": "mxfp4",
    }
    result = {}
    for name, tensor in tensors.items():
        if name.endswith(EXPERTS):
            codes, exponents, stands = mxfp4(tensor.transpose(1, 2))
            assert torch.equal(stands, tensor.transpose(1, 2).float())
            result[f"{name}_blocks"] = (codes[..., ::2] + 16 * codes[..., 1::2]).to(torch.uint8)
            result[f"{name}_scales"] = (exponents + 127).to(torch.uint8)
        else:
            result[name] = tensor
    return config, result


FAMILIES = {
    "gpt-oss-mxfp4": model(
        "GptOssForCausalLM", "gpt_oss", "llama-3", **GPT_OSS | {"swiglu_limit": 7.0, "num_local_experts": 6},
        **rope(150000.0, rope_type="yarn", factor=8.0, original_max_position_embeddings=64, beta_fast=32.0, beta_slow=1.0,
               truncate=False),
        more={"written": packed, "rounded": round_experts},
    ),
}
