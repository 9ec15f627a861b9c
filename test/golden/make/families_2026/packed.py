"""As published: gpt-oss with experts in MXFP4, gate and up in alternating rows; DeepSeek V3 and Mistral Small 4 in FP8."""

import torch

from .common import model, rope
from .experts import GPT_OSS
from .mla import FAMILIES as LATENT
from .wrappers import FAMILIES as WRAPPED

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


# What was rounded, by the bytes of what it stands for.
FP8 = {}


def fp8(values, block):
    """Rounds a matrix to F8_E4M3, each block with a scale of its own, or all with one; what it then stands for."""
    rows, columns = values.shape
    height, width = block or (rows, columns)
    scales = torch.empty(-(-rows // height), -(-columns // width))
    codes = torch.empty(rows, columns, dtype=torch.float8_e4m3fn)
    stands = torch.empty(rows, columns)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            part = (slice(i * height, (i + 1) * height), slice(j * width, (j + 1) * width))
            scales[i, j] = values[part].abs().max() / 448
            codes[part] = (values[part] / scales[i, j]).to(torch.float8_e4m3fn)
            stands[part] = codes[part].float() * scales[i, j]
    FP8[stands.numpy().tobytes()] = codes, scales
    return stands


def is_fp8(name):
    return "layers." in name and "vision" not in name and "norm" not in name and not name.endswith(("gate.weight", "bias"))


def rounded_to(block, stacked):
    def rounded(net):
        for name, parameter in net.named_parameters():
            if not is_fp8(name):
                continue
            if parameter.dim() == 2:
                parameter.data = fp8(parameter.data, block)
                continue
            for expert in parameter.data:
                for part in [expert] if stacked or "down" in name else expert.chunk(2):
                    part.copy_(fp8(part, block))

    return rounded


def fp8_config(block):
    return {"activation_scheme": "dynamic" if block else "static", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": block}


def deepseek(config, tensors):
    """With what is left of a layer behind the last one."""
    config["quantization_config"] = fp8_config(BLOCK)
    result = {}
    for name, tensor in tensors.items():
        if is_fp8(name):
            result[name], result[f"{name}_scale_inv"] = FP8[tensor.numpy().tobytes()]
        else:
            result[name] = tensor
    behind = f"model.layers.{config['num_hidden_layers']}"
    for part in ("weight", "weight_scale_inv"):
        result[f"{behind}.self_attn.kv_b_proj.{part}"] = result[f"model.layers.0.self_attn.kv_b_proj.{part}"].clone()
    result[f"{behind}.enorm.weight"] = tensors["model.norm.weight"].clone()
    return config, result


def mistral(config, tensors):
    config["quantization_config"] = fp8_config(None)
    result = {}
    for name, tensor in tensors.items():
        if not is_fp8(name):
            result[name] = tensor
        elif tensor.dim() == 2:
            result[name], scale = FP8[tensor.numpy().tobytes()]
            result[f"{name}_scale_inv"] = scale[0, 0].clone()
            result[name.replace("weight", "activation_scale")] = torch.tensor(0.01)
        else:
            codes, scales = zip(*(FP8[expert.contiguous().numpy().tobytes()] for expert in tensor))
            result[name], result[f"{name}_scale_inv"] = torch.stack(codes), torch.stack(scales)
            result[f"{name}_activation_scale"] = torch.full((len(codes),), 0.01)
    return config, result


# No matrix here is a multiple of it.
BLOCK = [48, 40]

FAMILIES = {
    "deepseek-v3-fp8": LATENT["deepseek-v3"] | {"written": deepseek, "rounded": rounded_to(BLOCK, False)},
    "mistral3-mistral4-fp8": WRAPPED["mistral3-mistral4-unscaled"] | {"written": mistral, "rounded": rounded_to(None, True)},
    "gpt-oss-mxfp4": model(
        "GptOssForCausalLM", "gpt_oss", "llama-3", **GPT_OSS | {"swiglu_limit": 7.0, "num_local_experts": 6},
        **rope(150000.0, rope_type="yarn", factor=8.0, original_max_position_embeddings=64, beta_fast=32.0, beta_slow=1.0,
               truncate=False),
        more={"written": packed, "rounded": round_experts},
    ),
}
