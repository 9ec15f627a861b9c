"""Writes test/golden/generate/llama-cpp.json: how llama.cpp goes on from a few words, always with the likeliest token.

usage: generate_llama_cpp.py <llama.cpp> <its build> <tiny-llama.gguf> <TinyStories-656K.gguf> <stories260K.gguf>

The models are in F32 (`llq convert --type f32`); tiny-llama also in types that llama-quantize makes of it, whose weights
meet activations in int8. generate.cpp is built here against the static libraries of the build and says what it writes;
the text must be what llama-completion prints. `margins` tell where another order of additions may choose another token.
Made with llama.cpp 0c1e57098 (October 2026), AVX2, one thread.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE, BUILD = (Path(path).resolve() for path in sys.argv[1:3])
MODELS = dict(zip(["tiny-llama", "TinyStories-656K", "stories260K"], sys.argv[3:6]))
HERE = Path(__file__).resolve().parent
NEW = 64
STORIES = ["Once upon a time", "The little dog", "Lily said"]
PROMPTS = {"tiny-llama": ["Once upon a time", "The little dog", "In 1492,"]}
TYPES = {"tiny-llama": ["F32", "Q8_0", "Q4_K_M", "Q4_0"]}


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True)
    if result.returncode != 0:
        sys.exit(f"{command}: {result.stderr.decode()[-2000:]}")
    return result.stdout.decode()


def build(folder):
    binary = folder / "generate"
    libraries = ["src/libllama.a", "ggml/src/libggml.a", "ggml/src/libggml-cpu.a", "ggml/src/libggml-base.a"]
    include = [f"-I{SOURCE}/include", f"-I{SOURCE}/ggml/include"]
    linked = [*(BUILD / name for name in libraries), "-fopenmp", "-lpthread", "-ldl"]
    run("g++", "-O2", "-std=c++17", *include, HERE / "generate.cpp", "-o", binary, *linked)
    return binary


def printed(model, prompt, count):
    options = ["-n", count, "--temp", 0, "-fa", "off", "-ctk", "f32", "-ctv", "f32", "-c", 256, "-t", 1, "-no-cnv"]
    options += ["--no-display-prompt", "--simple-io", "--no-warmup", "--no-perf"]
    return run(BUILD / "bin" / "llama-completion", "-m", model, *options, "-p", prompt)


def generate(binary, name, model):
    for line in run(binary, model, NEW, *PROMPTS.get(name, STORIES)).splitlines():
        found = json.loads(line)
        said = printed(model, found["text"], len(found["tokens"]))
        if not said.startswith(found["continuation"]):
            sys.exit(f"{name}: {found['continuation']!r}, but llama-completion: {said!r}")
        found["margins"] = [float(f"{margin:.3g}") for margin in found["margins"]]
        print(name, len(found["tokens"]), min(found["margins"]), repr(found["continuation"][:60]), flush=True)
        yield found


def main():
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        binary = build(Path(scratch))
        for name, model in MODELS.items():
            for dtype in TYPES.get(name, ["F32"]):
                file = model
                if dtype != "F32":
                    file = Path(scratch) / f"{dtype}.gguf"
                    run(BUILD / "bin" / "llama-quantize", model, file, dtype, 1)
                head = {"model": name, "type": dtype}
                rows += [json.dumps(head | found) for found in generate(binary, name, file)]
    head = '{"llama.cpp": "0c1e57098, AVX2", "runs": [\n'
    (HERE.parent / "generate" / "llama-cpp.json").write_text(head + ",\n".join(rows) + "\n]}\n")


main()
