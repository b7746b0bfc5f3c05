#!/bin/bash
# Workers of a study as a Slurm array: one task per core, each `fdrnn worker`.
#
#     sbatch --array=1-32 slurm.sh jsb
#
# The store's URL stands in a file that only its owner reads (FDRNN_STORAGE below); the study is
# in the store, and its data in FDRNN_DATA_DIR: README.md beside this script.
#SBATCH --job-name=fdrnn
#SBATCH --array=1-8
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=12:00:00
# A minute before the time is up the worker gets SIGTERM; its checkpoint takes at most 10 s.
#SBATCH --signal=TERM@60
# Preempted, or its node lost: the task starts again and takes whatever trial waits then.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=fdrnn-%A-%a.log
set -euo pipefail

study=${1:?usage: sbatch slurm.sh STUDY}
scratch=${SCRATCH:-$HOME}

export FDRNN_STORAGE=${FDRNN_STORAGE:-@$HOME/.fdrnn-url}
export FDRNN_DATA_DIR=${FDRNN_DATA_DIR:-$scratch/fdrnn/data}
# Compiled operations, on the node's own disk: a minute of compilation for a node's first task.
export FDRNN_CACHE_DIR=${FDRNN_CACHE_DIR:-${TMPDIR:-/tmp}/fdrnn-cache-$USER}

code=0
srun fdrnn worker "$study" || code=$?
# 130: stopped by the signal, with trials left; 143: the same before the worker listened to it.
if [[ $code -eq 130 || $code -eq 143 ]]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
