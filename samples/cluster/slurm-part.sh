#!/bin/bash
#SBATCH --job-name=llq-part
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.log
# One part of a model: a task of the array that slurm-submit.sh submits with MODEL, OUT and PARTS. Ids count from 1, which
# slurm1 says; so one task can be submitted again alone: sbatch --array=3 slurm-part.sh
llq quantize "$MODEL" -o "$OUT" --bits 4 --threads "$SLURM_CPUS_PER_TASK" --part "slurm1/$PARTS"
status=$?
# Killed (137 is what is left of the out-of-memory killer and kill -9): again, it goes on where it was. Other failures would
# only fail again. A node that dies is --requeue's business.
if [ $status -gt 128 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
  sleep 60 # until this run is taken away; to exit first would make it a failed one
fi
exit $status
