#!/bin/bash
# usage: slurm-submit.sh <model> <out.gguf> <parts>
# The folders of both are on a disk that all nodes see. Prints the ids of the array and of the job that finishes.
set -eu
export MODEL=$1 OUT=$2 PARTS=$3
here=$(dirname "$0")
array=$(sbatch --parsable --array="1-$PARTS" "$here/slurm-part.sh")
# afterany and not afterok: to afterok a task that was killed has failed for good, even if it is requeued and ends well, and
# the last job would wait for ever. llq finish looks itself whether all parts are there.
finish=$(sbatch --parsable --dependency="afterany:$array" "$here/slurm-finish.sh")
echo "$array $finish"
