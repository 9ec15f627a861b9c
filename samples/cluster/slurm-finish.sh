#!/bin/bash
#SBATCH --job-name=llq-finish
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=2:00:00
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
# Makes one file of all parts; ends with 2 and names those that are missing.
llq finish "$OUT" --threads "$SLURM_CPUS_PER_TASK"
