"""Writes a Llama of random weights packed by compressed-tensors' pack-quantized (W4A16, groups of 128), and its twin in BF16.

usage: synthetic_packed.py <folder> <layers> [--twin]      (needs numpy; 36 layers of 218 M weights are 4.1 GB packed)

For measuring what reading packed weights costs: `llq quantize <folder>/packed`, and of <folder>/bf16, which --twin writes with
the same weights. The tokenizer is that of samples/tiny-llama.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

WIDTH, FFN, HEADS, KV, VOCAB, GROUP = 4096, 14336, 32, 8, 2048, 128
folder, layers, twin = Path(sys.argv[1]), int(sys.argv[2]), "--twin" in sys.argv
samples = Path(__file__).parents[3] / "samples/tiny-llama"
rng = np.random.default_rng(20261130)


def bf16(values):
    return ((np.ascontiguousarray(values, np.float32).view(np.uint32) + 0x8000) >> 16).astype(np.uint16)


class Writer:
    """A safetensors file for each layer, and the index of all."""

    def __init__(self, folder):
        self.folder, self.map = folder, {}
        folder.mkdir(parents=True)

    def file(self, name, tensors):
        header, at = {}, 0
        for key, (dtype, data) in tensors.items():
            header[key] = {"dtype": dtype, "shape": list(data.shape), "data_offsets": [at, at + data.nbytes]}
            at += data.nbytes
            self.map[key] = name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(self.folder / name, "wb") as f:
            f.write(len(text).to_bytes(8, "little") + text)
            for _, data in tensors.values():
                data.tofile(f)

    def close(self, quantization):
        (self.folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": self.map}))
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": FFN, "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": KV, "vocab_size": VOCAB, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2}
        (self.folder / "config.json").write_text(json.dumps(config | quantization))
        for file in samples.glob("tokenizer*"):
            shutil.copy(file, self.folder)


packed, plain = Writer(folder / "packed"), Writer(folder / "bf16") if twin else None
ends = {n: ("BF16", bf16(0.02 * rng.standard_normal((VOCAB, WIDTH)))) for n in ("model.embed_tokens.weight", "lm_head.weight")}
ends["model.norm.weight"] = ("BF16", bf16(np.ones(WIDTH)))
norms = ("input_layernorm", "post_attention_layernorm")
shapes = {"self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (KV * 128, WIDTH), "self_attn.v_proj": (KV * 128, WIDTH), "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (FFN, WIDTH), "mlp.up_proj": (FFN, WIDTH), "mlp.down_proj": (WIDTH, FFN)}
for each in filter(None, (packed, plain)):
    each.file("ends.safetensors", ends)
for layer in range(layers):
    prefix = f"model.layers.{layer}."
    own = {prefix + n + ".weight": ("BF16", bf16(np.ones(WIDTH))) for n in norms}
    twins = dict(own)
    for name, (rows, columns) in shapes.items():
        codes = rng.integers(0, 2**32, (rows, columns // 8), np.uint32)
        scales = bf16(0.01 * np.exp(0.3 * rng.standard_normal((rows, columns // GROUP))))
        own[f"{prefix}{name}.weight_packed"] = ("I32", codes)
        own[f"{prefix}{name}.weight_scale"] = ("BF16", scales)
        own[f"{prefix}{name}.weight_shape"] = ("I64", np.array([rows, columns], np.int64))
        if plain:
            values = np.stack([(codes >> (4 * i)) & 15 for i in range(8)], -1).astype(np.float32).reshape(rows, -1, GROUP) - 8
            factors = (scales.astype(np.uint32) << 16).view(np.float32)[..., None]
            twins[f"{prefix}{name}.weight"] = ("BF16", bf16((values * factors).reshape(rows, columns)))
    packed.file(f"layer-{layer}.safetensors", own)
    if plain:
        plain.file(f"layer-{layer}.safetensors", twins)
weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP, "dynamic": False}
packed.close({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}, "ignore": ["lm_head"], "quantization_status": "compressed"}})
if plain:
    plain.close({})
