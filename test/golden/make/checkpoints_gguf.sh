#!/bin/sh
# Writes ../checkpoints/gguf and gguf-split: the model of checkpoints.py as llama.cpp (commit 0c1e570) converts and cuts it.
# usage: checkpoints_gguf.sh <llama.cpp> <llama-gguf-split>     (needs Python with llama.cpp's requirements)
set -e
checkpoints=$(cd "$(dirname "$0")/../checkpoints" && pwd)
model=$(mktemp -d)/model
cp -r "$checkpoints/safetensors" "$model"
cp "$checkpoints/config.json" "$checkpoints/tokenizer.model" "$model"
mkdir -p "$checkpoints/gguf" "$checkpoints/gguf-split"
python "$1/convert_hf_to_gguf.py" "$model" --outtype bf16 --outfile "$checkpoints/gguf/model.gguf"
"$2" --split --split-max-tensors 8 "$checkpoints/gguf/model.gguf" "$checkpoints/gguf-split/model"
rm -r "$model"
