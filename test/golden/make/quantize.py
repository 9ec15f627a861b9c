"""Writes test/golden/quantize/tiny-llama.json: what llama-quantize makes of samples/tiny-llama.

usage: quantize.py <llama-quantize> <tiny-llama.gguf> <imatrix.gguf>     (needs the Python package gguf)

The model is samples/tiny-llama as convert_hf_to_gguf.py --outtype f32 writes it, the importance matrix what
`llama-imatrix -m tiny-llama.gguf -f samples/text.txt -c 256 --chunks 20` does. Form of the result:

    tensors   their names, in the order of everything below
    types     by recipe, without and with (" imatrix") the matrix: the types
    sha256    by type, without and with the matrix: the first 16 digits for each tensor's bytes; null: never seen
    pruned    by recipe and matrix, without layers 0 and 2: types and hashes by tensor
    options   by recipe and options: types and hashes by tensor, and the metadata that llama-quantize sets
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf

RECIPES = """F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M
Q6_K IQ4_NL IQ4_XS MXFP4_MOE TQ1_0 TQ2_0
IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M Q1_0 Q2_0""".split()


def quantize(program, model, output, recipe, *options):
    """Type and hash by tensor, or None where the program refuses."""
    run = subprocess.run([program, *options, model, output, recipe], capture_output=True)
    if run.returncode != 0:
        return None
    tensors = gguf.GGUFReader(output).tensors
    return {t.name: (t.tensor_type.name, hashlib.sha256(t.data.tobytes()).hexdigest()[:16]) for t in tensors}


# Of --tensor-type-file, in the form of every line that people write.
TENSOR_TYPES = "attn_v=q8_0 blk\\.(0|2)\\.ffn_(up|gate)=iq4_nl\n\n  BLK\\.3\\.=Q5_K\tffn_down=f16\n"
OPTIONS = {
    "Q4_K_M --tensor-type-file": ["--tensor-type-file", "types.txt"],
    "Q3_K_M --tensor-type-file --pure --output-tensor-type": [
        "--tensor-type-file", "types.txt", "--pure", "--output-tensor-type", "q6_k"
    ],
    "Q4_K_M --exclude-weights": ["--imatrix", "IMATRIX", "--exclude-weights", "ffn_down", "--exclude-weights", "blk.1."],
    "IQ4_XS --include-weights": ["--imatrix", "IMATRIX", "--include-weights", "attn_", "--include-weights", "blk.3"],
    "COPY": [],
    "COPY --prune-layers": ["--prune-layers", "1,2", "--override-kv", "general.name=str:Mine"],
}
KEYS = ("general.file_type", "general.quantization_version", "general.name", "llama.block_count")


def with_options(program, model, imatrix, scratch):
    """Of the model, and of what Q4_K_M makes of it: copies of quantized files are what COPY is for."""
    Path(f"{scratch}/types.txt").write_text(TENSOR_TYPES)
    subprocess.run([program, model, f"{scratch}/q4.gguf", "Q4_K_M"], check=True, capture_output=True)
    made = {}
    for title, options in OPTIONS.items():
        options = [o.replace("IMATRIX", imatrix).replace("types.txt", f"{scratch}/types.txt") for o in options]
        source, output = (f"{scratch}/q4.gguf" if "COPY" in title else model), f"{scratch}/out.gguf"
        tensors = quantize(program, source, output, title.split()[0], *options)
        fields = gguf.GGUFReader(output).fields
        keys = {key: fields[key].contents() for key in KEYS if key in fields}
        keys |= {key: field.contents() for key, field in fields.items() if key.endswith("entries_count")}
        made[title] = {"metadata": keys, "tensors": {name: " ".join(each) for name, each in tensors.items()}}
    return made


def prune_first(program, model, scratch):
    subprocess.run([program, "--prune-layers", "0,2", model, f"{scratch}/pruned.gguf", "COPY"], check=True)
    return quantize(program, f"{scratch}/pruned.gguf", f"{scratch}/out.gguf", "Q4_K_M")


def main():
    program, model, imatrix = sys.argv[1:4]
    names = sorted(tensor.name for tensor in gguf.GGUFReader(model).tensors)
    types, hashes = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for recipe in RECIPES:
            for suffix, used in (("", []), (" imatrix", ["--imatrix", imatrix])):
                made = quantize(program, model, f"{scratch}/out.gguf", recipe, *used)
                if made is None:
                    continue
                types[recipe + suffix] = " ".join(made[name][0] for name in names)
                for i, name in enumerate(names):
                    kind, digest = made[name]
                    row = hashes.setdefault(kind + suffix, [None] * len(names))
                    assert row[i] in (None, digest)
                    row[i] = digest
        pruned = {
            # In one step llama-quantize would choose types by the number of layers before the pruning.
            "Q4_K_M": prune_first(program, model, scratch),
            # Q6_K gives every layer the same type; here the matrix's entries have to find theirs.
            "Q6_K imatrix": quantize(
                program, model, f"{scratch}/out.gguf", "Q6_K", "--imatrix", imatrix, "--prune-layers", "0,2"
            ),
        }
    pruned = {title: {name: " ".join(made) for name, made in each.items()} for title, each in pruned.items()}
    result = {"tensors": names, "types": types, "sha256": hashes, "pruned": pruned}
    with tempfile.TemporaryDirectory() as scratch:
        result |= {"tensorTypes": TENSOR_TYPES, "options": with_options(program, model, imatrix, scratch)}
    path = Path(__file__).parent.parent / "quantize" / "tiny-llama.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


main()
