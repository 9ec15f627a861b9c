"""Writes test/golden/plans/*.txt: which type llama-quantize gives to every tensor of real models.

usage: plans.py <llama-quantize>        (needs the Python packages numpy and gguf)

For each model of models.json a GGUF of its shapes is made whose weights are a hole in the file, and
`llama-quantize --dry-run` is asked for each recipe, without and with an importance matrix. Nothing of llq
takes part. Form of the result, types in lower case as llama-quantize prints them:

    [stay] ...              tensors that no recipe touches
    [<recipe>]              the commonest type of the others, then those of another type
    [<recipe> imatrix]      only where an importance matrix changes the choice
    [<recipe> <options>]    with options of llama-quantize, for the models that models.json says
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

RECIPES = """F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M
Q6_K IQ4_NL IQ4_XS MXFP4_MOE TQ1_0 TQ2_0
IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M Q1_0 Q2_0""".split()
OPTIONS = ["--pure", "--leave-output-tensor", "--output-tensor-type q8_0", "--token-embedding-type f16",
           "--output-tensor-type q5_K --token-embedding-type q8_0", "--tensor-type ffn_down=q6_K",
           r"--tensor-type blk\.[0-3]\.attn=q8_0 --tensor-type attn_=q5_0", "--tensor-type attn_v=q4_K",
           r"--tensor-type blk\.([0-4]|1[1-3])\.(attn_v|ffn_down)=q8_0 --tensor-type BLK\.7\.=iq4_xs",
           "--output-tensor-type q5_K --token-embedding-type q8_0 --tensor-type embd|output=q4_0",
           "--output-tensor-type q5_K --tensor-type embd|output|blk=q4_0 --pure"]
LINE = re.compile(r"\[ *\d+/ *\d+\] +(\S+) .*?type = +\w+,.*?(?:MiB \((\w+)\)|size = +[\d.]+ MiB)$")


def tensors(model, families):
    """Name and shape, outermost dimension first."""
    for name, role, dims, *layers in families[model["family"]]:
        if role == "output" and model.get("tied"):
            continue
        shape = [model["dims"][dim] for dim in dims]
        if "{i}" not in name:
            yield name, shape
            continue
        first, end = layers or (0, model["layers"])
        for i in range(first, end):
            yield name.replace("{i}", str(i)), shape


def metadata(model):
    """What the loaders of all these architectures ask for; each ignores the rest."""
    dims = model["dims"]
    return {
        "block_count": model["layers"],
        "context_length": dims.get("context", 2048),
        "embedding_length": dims["embd"],
        "vocab_size": dims["vocab"],
        "feed_forward_length": dims.get("ffn", 0),
        "attention.head_count": model["heads"],
        "attention.head_count_kv": model["headsKv"],
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.layer_norm_epsilon": 1e-5,
        "attention.sliding_window": 1024,
        "expert_count": dims.get("experts", 0),
        "expert_used_count": min(2, dims.get("experts", 0)),
        "expert_feed_forward_length": dims.get("ffn_exp", dims.get("ffn", 0)),
        "expert_shared_count": 1,
        "attention.q_lora_rank": dims.get("q_rank", 0),
        "attention.kv_lora_rank": dims.get("kv_rank", 0),
        "ssm.conv_kernel": dims.get("conv", 0),
        "ssm.inner_size": dims.get("inner", 0),
        "ssm.state_size": dims.get("state", 0),
        "ssm.time_step_rank": dims.get("dt", 0),
    }


def write_model(path, model, families):
    writer = gguf.GGUFWriter(path, model["architecture"])
    for key, value in metadata(model).items():
        add = writer.add_float32 if isinstance(value, float) else writer.add_uint32
        add(f"{model['architecture']}.{key}", value)
    size = 0
    for name, shape in tensors(model, families):
        count = int(np.prod(shape, dtype=np.int64))
        writer.add_tensor_info(name, shape, np.dtype(np.float32), count * 4)
        size += -(-count * 4 // 32) * 32
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    os.truncate(path, os.path.getsize(path) + size + 32)


def write_imatrix(path):
    """Importances of no tensor: a dry run only asks whether there are any."""
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_array("imatrix.datasets", ["none"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    writer.add_tensor("none.in_sum2", np.ones((1, 32), np.float32))
    writer.add_tensor("none.counts", np.ones((1, 1), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def dry_run(program, path, recipe, options=()):
    """Type by tensor, None for those that stay as they are; nothing where the program refuses: Q1_0 for rows of another
    length than multiples of 128."""
    run = subprocess.run([program, "--dry-run", *options, path, recipe], capture_output=True, text=True)
    if run.returncode != 0:
        assert "no tensor type fallback" in run.stdout + run.stderr, run.stderr
        return {}
    # a warning about a row's length may stand in the middle of a tensor's line
    found = [LINE.match(line) for line in (run.stdout + run.stderr).splitlines()]
    return {match[1]: match[2] for match in found if match}


def ranges(numbers):
    """0-3,7 for 0 1 2 3 7."""
    parts = []
    for n in sorted(numbers):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def compact(types):
    """One line for the layers of a name that have the same type."""
    groups = {}
    for name, kind in types.items():
        match = re.match(r"blk\.(\d+)\.(.*)", name)
        key, layer = (f"blk.{{}}.{match[2]}", int(match[1])) if match else (name, None)
        groups.setdefault((key, kind), []).append(layer)
    lines = []
    for (key, kind), layers in groups.items():
        name = key if layers == [None] else key.replace("{}", ranges(layers))
        lines.append(f"{name} {kind}" if kind else name)
    return sorted(lines)


def section(types):
    changed = [kind for kind in types.values()]
    base = max(sorted(set(changed)), key=changed.count)
    return base, compact({name: kind for name, kind in types.items() if kind != base})


def main():
    program = sys.argv[1]
    folder = Path(__file__).parent.parent / "plans"
    table = json.loads((folder / "models.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        imatrix = f"{scratch}/imatrix.gguf"
        write_imatrix(imatrix)
        for model in table["models"]:
            path = f"{scratch}/model.gguf"
            write_model(path, model, table["families"])
            names = [name for name, _ in tensors(model, table["families"])]
            stay = {name: None for name, kind in dry_run(program, path, "Q8_0").items() if kind is None}
            out = ["[stay]", *compact(stay)]
            for recipe in RECIPES:
                sections = []
                for used in ([], ["--imatrix", imatrix]):
                    types = dry_run(program, path, recipe, used)
                    if not types:
                        continue
                    assert list(sorted(types)) == sorted(names), (model["name"], recipe, len(types), len(names))
                    sections.append(section({n: k for n, k in types.items() if n not in stay}))
                for title, (base, lines) in zip((recipe, f"{recipe} imatrix"), sections):
                    # of both runs or of none
                    if title == recipe or sections[1] != sections[0]:
                        out += ["", f"[{title}] {base}", *lines]
            for options in OPTIONS if model.get("options") else []:
                types = dry_run(program, path, "Q4_K_M", options.split())
                kept = {n: k or "f32" for n, k in types.items() if n not in stay}
                base, lines = section(kept)
                out += ["", f"[Q4_K_M {options}] {base}", *lines]
            (folder / f"{model['name']}.txt").write_text("\n".join(out) + "\n")
            os.remove(path)
            print(model["name"], len(out), "lines", flush=True)


main()
