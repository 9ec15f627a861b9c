"""Writes ../families/gpt-oss-mxfp4: a tiny gpt-oss whose experts are in MXFP4 as they are published.

usage: gpt_oss_mxfp4.py <llama.cpp's folder>

The weights are families_2026.py's, the experts' blocks and scales drawn by themselves; what they are worth says
transformers (convert_moe_packed_tensors). mxfp4.json has the SHA-256 of the experts' tensors that convert_hf_to_gguf.py
makes of the folder.
"""

import hashlib
import json
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

import families
from families_2026.common import model as entry_of
from families_tokenizers import make_tokenizer

# The script, beside which there is a package of the same name.
base = SourceFileLoader("families_2026_script", str(Path(__file__).with_name("families_2026.py"))).load_module()
ENTRY = entry_of(
    "GptOssForCausalLM", "gpt_oss", "llama-3", hidden_size=64, intermediate_size=32, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=1, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
    sliding_window=12, max_position_embeddings=512, vocab_size=320, rms_norm_eps=1e-5, tie_word_embeddings=False,
    rope_parameters={"rope_type": "default", "rope_theta": 150000.0},
)


def main():
    torch.set_num_threads(1)
    folder = families.OUT / "gpt-oss-mxfp4"
    folder.mkdir(exist_ok=True)
    tokens, start = make_tokenizer(ENTRY["tokenizer"], base.TEXT, folder, ENTRY["bos"])
    tokens = tokens[: families.CONTEXT * families.CHUNKS]
    model = base.build(ENTRY, 1, tokens)
    base.set_weights(model, 1, ENTRY)
    base.save(model, folder)
    random = np.random.default_rng(1)
    tensors = load_file(folder / "model.safetensors")
    state = model.state_dict()
    for name in [name for name in tensors if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        experts, columns, rows = tensors.pop(name).shape
        blocks = torch.tensor(random.integers(0, 256, (experts, rows, columns // 32, 16), np.uint8))
        scales = torch.tensor(random.integers(122, 125, (experts, rows, columns // 32), np.uint8))
        tensors |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        state[name].copy_(convert_moe_packed_tensors(blocks, scales, dtype=torch.float32))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"modules_to_not_convert": ["lm_head"], "quant_method": "mxfp4"}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    first, nll, kind = base.evaluate(model, list(families.chunks_of(tokens, start)))
    families.POSITIONS = base.POSITIONS
    families.write_logits(folder / "logits.f32.gz", first)
    reference = {"madeBy": f"transformers GptOssForCausalLM, {kind}", "context": families.CONTEXT,
                 "positions": base.POSITIONS, "nll": nll, "perplexity": float(np.exp(nll)), "tokens": tokens}
    (folder / "reference.json").write_text(json.dumps(reference) + "\n")
    sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]) / "gguf-py")]
    from conversion.base import TextModel
    from conversion.gpt_oss import GptOssModel
    import gguf

    TextModel.get_vocab_base_pre = lambda self, tokenizer: "llama-bpe"  # a tokenizer that it has not seen
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "model.gguf"
        GptOssModel(folder, gguf.LlamaFileType.MOSTLY_BF16, made).write()
        found = {
            tensor.name: hashlib.sha256(tensor.data.tobytes()).hexdigest()
            for tensor in gguf.GGUFReader(made).tensors
            if tensor.tensor_type.name == "MXFP4"
        }
    (folder / "model.safetensors").chmod(0o644)
    (folder / "mxfp4.json").write_text(json.dumps(found, indent=1) + "\n")


main()
