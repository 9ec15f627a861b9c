#!/bin/sh
# All that llama.cpp is asked of the tiny checkpoints, those in families/ and those that only families_2026.py makes, from one
# place. Prints the table of compare-converters.mjs; what the folder has already is not made again.
#   npm run build && sh test/golden/compare-all.sh <python> <llama.cpp> <its programs> <folder>
# <python> has transformers 5.24.0, torch and what llama.cpp's converter asks for. Some 270 checkpoints, one and a half hours of a core.
set -eu
python=$1 source=$2 programs=$3 folder=$4
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
for checkpoint in "$here"/families/*/; do
  name=$(basename "$checkpoint")
  # Each has its reference, but published/, which has no checkpoints.
  if [ -e "$checkpoint/reference.json" ] && [ ! -e "$folder/$name" ]; then cp -r "$checkpoint" "$folder/$name"; fi
done
"$python" "$here/make/families_2026.py" "$folder" >&2
"$python" "$here/make/families_2026_llama_cpp.py" "$source" "$programs" "$folder" >&2
node "$here/compare-converters.mjs" "$programs" "$folder"
