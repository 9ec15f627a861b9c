"""Writes ../containers/packed-bitnet.safetensors, weights of three values as transformers packs them, and packed-bitnet.json: of
each the shape, the SHA-256 of the weight in f32, that of its numbers as TQ2_0 by llama.cpp's gguf-py, and its factor.

    TORCHDYNAMO_DISABLE=1 python packed_bitnet.py <llama.cpp 0c1e57098>    # transformers 5.24.0, torch 2.15.0
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers.integrations.bitnet import pack_weights, unpack_weights

sys.path.insert(0, f"{sys.argv[1]}/gguf-py")
import gguf  # noqa: E402

out = Path(__file__).parent.parent / "containers"
torch.manual_seed(20261130)


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


tensors, told = {}, {}
for name, rows, columns, scale in ("scaled", 12, 512, torch.tensor([3.5])), ("half", 8, 256, torch.tensor([0.37]).bfloat16()):
    codes = torch.randint(-1, 2, (rows, columns)).float()
    packed = pack_weights(codes.clone())  # it adds 1 to what it is given
    assert torch.equal(unpack_weights(packed, torch.float32), codes)
    factor = 1 / scale.float()
    tensors |= {f"{name}.weight": packed, f"{name}.weight_scale": scale}
    blocks = gguf.quants.quantize(codes.numpy(), gguf.GGMLQuantizationType.TQ2_0)
    assert (gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.TQ2_0) == codes.numpy()).all()
    told[name] = {"shape": [rows, columns], "sha256": sha256((codes * factor).numpy() + 0.0), "blocks": sha256(blocks), "factor": factor.item()}
save_file(tensors, out / "packed-bitnet.safetensors")
(out / "packed-bitnet.json").write_text(json.dumps(told, indent=1) + "\n")
