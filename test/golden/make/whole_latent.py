"""Writes GGUFs of latent attention as llama.cpp wrote them before April 2025, and what its programs make of them today:
<name>.whole.gguf and <name>.whole.json, from the <name>.gguf that families_2026_llama_cpp.py leaves.

usage: whole_latent.py <llama.cpp> <its programs> <folder of families_2026.py> <name> ...     (a name may end in :BF16)

Keys and values are one matrix there, attn_kv_b [heads x (key + value), rank], whose heads count as key/value heads and
whose widths are key_length and value_length; there are no keys that end in _mla (convert_hf_to_gguf.py of b4568). The
json holds the perplexity of text.txt and, for each recipe, the type and SHA-256 of every tensor by llama-quantize.
"""

import json
import sys
from pathlib import Path

import numpy as np

SOURCE, PROGRAMS, FOLDER = (Path(path).resolve() for path in sys.argv[1:4])
NAMES, sys.argv = sys.argv[4:], sys.argv[:4]
sys.path[:0] = [str(SOURCE / "gguf-py")]

import gguf  # noqa: E402

from families_2026_llama_cpp import perplexity, quantized  # noqa: E402


def written(source, target, kind):
    reader = gguf.GGUFReader(source)
    value_of = {name: field.contents() for name, field in reader.fields.items()}
    arch = value_of["general.architecture"]
    attention = f"{arch}.attention"
    heads = value_of[f"{attention}.head_count"]
    changed = {
        f"{attention}.head_count_kv": heads,
        f"{attention}.key_length": value_of[f"{attention}.key_length_mla"],
        f"{attention}.value_length": value_of[f"{attention}.value_length_mla"],
        "general.file_type": int(gguf.LlamaFileType.MOSTLY_BF16 if kind == "BF16" else gguf.LlamaFileType.ALL_F32),
    }
    writer = gguf.GGUFWriter(target, arch)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture" or name.endswith("_mla"):
            continue
        value = changed.get(name, value_of[name])
        writer.add_key_value(name, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    for name, data in tensors.items():
        if name.endswith("attn_v_b.weight"):
            continue
        if name.endswith("attn_k_b.weight"):
            keys, values = data.transpose(0, 2, 1), tensors[name.replace("k_b", "v_b")]
            data = np.concatenate([keys, values], 1).reshape(-1, keys.shape[-1])
            name = name.replace("k_b", "kv_b")
        if kind == "BF16" and data.ndim > 1 and "ffn_gate_inp" not in name:
            shape = data.shape
            data = gguf.quants.quantize(np.ascontiguousarray(data), gguf.GGMLQuantizationType.BF16)
            writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType.BF16)
            assert data.shape[:-1] == shape[:-1]
        else:
            writer.add_tensor(name, np.ascontiguousarray(data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


for each in NAMES:
    name, _, kind = each.partition(":")
    path = FOLDER / f"{name}.whole.gguf"
    written(FOLDER / f"{name}.gguf", path, kind)
    reference = json.loads((FOLDER / name / "reference.json").read_text())
    context = reference["context"]
    ppl = perplexity(path, context, len(reference["tokens"]) // context)
    result = {"llama.cpp": "0c1e57098", "perplexity": ppl, "quantized": dict(quantized(path))}
    (FOLDER / f"{name}.whole.json").write_text(json.dumps(result, indent=1) + "\n")
    print(name, reference["perplexity"], ppl)
