#!/bin/bash
# usage: parallel.sh <model> <out.gguf> <parts>
# With GNU parallel, on as many processors as this machine has; --sshloginfile and a disk in common make it many machines.
set -eu
export MODEL=$1 OUT=$2 PARTS=$3
seq "$PARTS" | parallel --retries 3 --joblog "$OUT.joblog" \
  'llq quantize "$MODEL" -o "$OUT" --bits 4 --threads 1 --part {}/"$PARTS"'
llq finish "$OUT"
