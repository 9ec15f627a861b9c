"""Writes test/golden/fit/llama-cpp.json: what llama.cpp says published models take, by recipe and by context.

usage: fit.py <llama.cpp> [model ...]                        all models, or those beside the others that are there
       fit.py <llama.cpp> --kv <file.gguf> ...               only the bytes of KV caches of such files, printed

The models are those of test/golden/families/published. llama.cpp's converter writes the header of each with
--outtype f16, weights being a hole in the file; fit.cpp, built here against the libraries in <llama.cpp>/build/bin,
asks for the bytes that loading it and making contexts would take, and llama-quantize --dry-run for the types of every
tensor, which are summed here. Made with llama.cpp 0c1e57098, CPU only, x86-64.
"""

import json
import re
import subprocess
import sys
import tempfile
from math import prod
from pathlib import Path

from published import OUT, checkpoint, expand, mend_baichuan, write_hole
from published_table import MIXED, published

LLAMA = Path(sys.argv[1]).resolve()
HERE = Path(__file__).resolve().parent
RECIPES = ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_XS", "Q3_K_M", "Q2_K"]
LINE = re.compile(r"^\[ *\d+/ *\d+\] \S+ +- \[([ \d,]+)\], type = +(\w+), size = .*?(?:-> .*\((\w+)\))?$", re.M)
RUNS = [(512, "f16"), (4096, "f16"), (16384, "f16"), (4096, "q8_0"), (4096, "q4_0")]


def build(folder):
    binary = folder / "fit"
    lib = LLAMA / "build" / "bin"
    include = [f"-I{LLAMA}/{name}" for name in ("include", "ggml/include", "src")]
    link = [f"-L{lib}", f"-Wl,-rpath,{lib}", "-lllama", "-lggml", "-lggml-cpu", "-lggml-base", "-fopenmp", "-ldl"]
    subprocess.run(["g++", "-std=c++17", *include, HERE / "fit.cpp", "-o", binary, *link], check=True)
    return binary


def write_header(path, config, tensors):
    """The GGUF that the converter makes, without its data."""
    import gguf
    from conversion import get_model_class
    from conversion.base import ModelBase

    folder = path.parent
    write_hole(folder, tensors)
    (folder / "config.json").write_text(json.dumps(config))
    tokens = {str(i): i for i in range(config.get("vocab_size", 0))}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}, "added_tokens": []}))
    model_class = get_model_class(config["architectures"][0])
    model_class.set_vocab = lambda self: None
    model_class.no_mtp = getattr(model_class, "supports_mtp_export", False)
    if config["model_type"] == "baichuan":
        mend_baichuan(model_class)
    hparams = ModelBase.load_hparams(folder, False)
    model = model_class(folder, gguf.LlamaFileType.MOSTLY_F16, path, hparams=hparams)
    model = getattr(model, "impl", model)
    type(model).set_vocab = lambda self: None
    model.prepare_tensors()
    model.prepare_metadata(vocab_only=False)
    writer = model.gguf_writer
    writer.add_tokenizer_model("none")
    if f"{writer.arch}.vocab_size" not in writer.kv_data[0]:
        writer.add_vocab_size(next(info.shape[0] for name, info in writer.tensors[0].items() if "token_embd" in name))
    if config["model_type"] == "qwen":
        writer.add_layer_norm_rms_eps(config["layer_norm_epsilon"])  # the converter's key is not the one that is read
    writer.write_header_to_file(path=path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    size = sum(-(-prod(info.shape) * (4 if info.dtype.name == "F32" else 2) // 32) * 32 for info in writer.tensors[0].values())
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size + size + 64)


def quantized(path, recipe):
    """Bytes of all tensors in a recipe."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    program = LLAMA / "build" / "bin" / "llama-quantize"
    output = subprocess.run([program, "--dry-run", path, recipe], capture_output=True, text=True, check=True)
    total = 0
    for dims, stored, chosen in LINE.findall(output.stdout + output.stderr):
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType[(chosen or stored).upper()]]
        total += prod(map(int, dims.split(","))) // block * size
    return total


def shapes():
    """Name, config and a call for (name, shape) of every tensor of the checkpoint."""
    for source in sorted(OUT.glob("*.json")):
        value = json.loads(source.read_text())
        yield source.stem, value["config"], lambda: list(expand(value["checkpoint"], value["counts"]))
    for name, parameters, config, _ in published():
        if name in MIXED:
            yield name, config, lambda: checkpoint(name, parameters, config)[0]


def print_caches(paths):
    with tempfile.TemporaryDirectory() as scratch:
        binary = build(Path(scratch))
        for path in paths:
            output = subprocess.run([binary, path, "256,f16", "512,f16"], capture_output=True, text=True, check=True)
            print(path, [int(line.split()[1]) for line in output.stdout.splitlines()])


def main():
    sys.path.insert(0, str(LLAMA))
    sys.path.insert(0, str(LLAMA / "gguf-py"))
    wanted = sys.argv[2:]
    if wanted[:1] == ["--kv"]:
        return print_caches(wanted[1:])
    folder = HERE.parent / "fit"
    models = json.loads((folder / "llama-cpp.json").read_text()) if wanted else {}
    with tempfile.TemporaryDirectory() as scratch:
        binary = build(Path(scratch))
        for name, config, tensors in shapes():
            if wanted and name not in wanted:
                continue
            config = dict(config)
            if "position_encoding_2d" in config:
                continue  # ChatGLM-6B, which llama.cpp does not know
            if config["architectures"] == ["InternLMForCausalLM"]:
                config |= {"architectures": ["LlamaForCausalLM"], "num_key_value_heads": config["num_attention_heads"]}
            if name == "Falcon-7B":
                config["num_kv_heads"] = 1
            if "num_layers" in config:
                config["num_hidden_layers"] = config["num_layers"]
            path = Path(scratch) / "model.gguf"
            path.unlink(missing_ok=True)
            write_header(path, config, tensors())
            runs = [f"{context},{kind}" for context, kind in RUNS]
            output = subprocess.run([binary, path, *runs], capture_output=True, text=True)
            if output.returncode != 0:
                print(name, "cannot be loaded:", output.stderr[-200:], flush=True)
                continue
            lines = [line.split() for line in output.stdout.splitlines()]
            found = {}
            for (context, kind), line in zip(RUNS, lines):
                found[f"{context} {kind}"] = None if line == ["refused"] else [int(line[1]), int(line[2])]
            weights = next(int(line[0]) for line in lines if line != ["refused"])
            files = {recipe: quantized(path, recipe) for recipe in RECIPES}
            models[name.lower()] = {"weights": weights, "files": files, "runs": found}
            print(name, models[name.lower()], flush=True)
    folder.mkdir(exist_ok=True)
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in models.items())
    (folder / "llama-cpp.json").write_text("{\n" + rows + "\n}\n")


main()
