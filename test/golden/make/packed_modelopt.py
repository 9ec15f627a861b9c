"""Writes ../containers/packed-modelopt.safetensors, layers as NVIDIA's Model Optimizer exports them, and packed-modelopt.json:
of each of its formats the quantization_config and hf_quant_config.json, and the shape and SHA-256 of each weight (f32, rows in
order, zeros without a sign) as its own classes dequantize it.

    pip install --no-deps nvidia-modelopt==0.47.0 omegaconf antlr4-python3-runtime==4.9.3 pulp scipy    # torch 2.15.0, transformers 5.24.0
    python packed_modelopt.py

export_hf_checkpoint of a small Llama, of which one layer is kept. Its classes say 0 where a number of E2M1 is -0.
"""

import copy
import hashlib
import json
import tempfile
from pathlib import Path

import modelopt.torch.quantization as mtq
import torch
from modelopt.torch.export import export_hf_checkpoint
from modelopt.torch.quantization.qtensor import FP8QTensor, MXFP4QTensor, MXFP8QTensor, NVFP4QTensor
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
out = Path(__file__).parent.parent / "containers"
CONFIG = dict(
    hidden_size=32, intermediate_size=192, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
    vocab_size=64, max_position_embeddings=64, architectures=["LlamaForCausalLM"],
)  # fmt: skip
FORMATS = {
    "nvfp4": "NVFP4_DEFAULT_CFG",
    "w4a16": "W4A16_NVFP4_CFG",
    "w4a8": "W4A8_NVFP4_FP8_CFG",
    "mxfp4": "MXFP4_DEFAULT_CFG",
    "mxfp8": "MXFP8_DEFAULT_CFG",
    "fp8": "FP8_DEFAULT_CFG",
    "channel": "FP8_PER_CHANNEL_PER_TOKEN_CFG",
    "blocks": "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG",
    "int8": "INT8_WEIGHT_ONLY_CFG",
    "smooth": "INT8_SMOOTHQUANT_CFG",
}
KEPT = "mlp.down_proj"


def unpacked(parts):
    """As the classes that packed it say, in f32."""
    weight, scale = parts["weight"], parts["weight_scale"]
    if weight.dtype == torch.int8:  # as from_quantized_weight
        return weight.float() * scale[:, None]
    rows, columns = weight.shape
    options = {"scale": scale, "dtype": torch.float32}
    if weight.dtype == torch.uint8:
        columns *= 2
        options |= {"block_sizes": {-1: columns // scale.shape[-1]}, "double_scale": parts.get("weight_scale_2")}
        kind = NVFP4QTensor if "weight_scale_2" in parts else MXFP4QTensor
    elif scale.dtype == torch.uint8:
        kind, options = MXFP8QTensor, options | {"block_sizes": {-1: 32}}
    elif scale.dim() == 4:
        kind = FP8QTensor
        options |= {"scale": scale.reshape(scale.shape[0], scale.shape[2]), "block_sizes": {-1: 128, -2: 128}}
    else:
        kind, options = FP8QTensor, options | {"scale": scale if scale.dim() == 0 else scale[:, None]}
    return kind(torch.Size((rows, columns)), torch.float32, weight).dequantize(**options)


tensors, told = {}, {}
for name, config in FORMATS.items():
    torch.manual_seed(20261130)
    model = LlamaForCausalLM(LlamaConfig(**copy.deepcopy(CONFIG))).bfloat16()
    plain = {key: value.detach().float().clone() for key, value in model.state_dict().items()}
    config = copy.deepcopy(getattr(mtq, config))
    if name == "nvfp4":  # keys and values in 8 bits, which leaves scales beside the weights
        config = mtq.update_quant_cfg_with_kv_cache_quant(config, copy.deepcopy(mtq.FP8_KV_CFG["quant_cfg"]))
    mtq.quantize(model, config, forward_loop=lambda m: m(torch.arange(64)[None]))
    with tempfile.TemporaryDirectory() as folder:
        export_hf_checkpoint(model, export_dir=folder)
        state = load_file(f"{folder}/model.safetensors")
        said = json.loads((Path(folder) / "config.json").read_text())["quantization_config"]
        beside = json.loads((Path(folder) / "hf_quant_config.json").read_text())
    for key in sorted(state):
        layer = key.removeprefix("model.layers.0.")
        if layer.startswith(KEPT) or layer.endswith(("k_scale", "v_scale")):
            tensors[f"{name}:{layer}"] = state[key]
    prefix = f"model.layers.0.{KEPT}."
    parts = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    weight = unpacked(parts) + 0.0
    original = plain[prefix + "weight"]
    if name != "smooth":
        assert (weight - original).abs().max() < original.abs().max() / 4, name
    digest = hashlib.sha256(weight.contiguous().numpy().tobytes()).hexdigest()
    told[name] = {"quantization_config": said, "hf_quant_config": beside, "shape": list(weight.shape), "sha256": digest}
save_file(tensors, out / "packed-modelopt.safetensors")
(out / "packed-modelopt.json").write_text(json.dumps(told, indent=1) + "\n")
