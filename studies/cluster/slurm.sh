#!/bin/bash
# Workers of studies as a Slurm array: one task per core, each `fdrnn worker`.
#
#     sbatch --array=1-32 slurm.sh jsb jsb-plain
#
# The store's URL is in a file that only its owner can read (FDRNN_STORAGE below); the studies are in
# the store, and their data in FDRNN_DATA_DIR: see README.md in this folder.
#SBATCH --job-name=fdrnn
#SBATCH --array=1-8
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=12:00:00
# The worker gets SIGTERM a minute before the time limit; its checkpoint takes at most 10 s.
#SBATCH --signal=TERM@60
# After preemption or a node's failure the task restarts and claims a waiting trial.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=fdrnn-%A-%a.log
set -euo pipefail

: "${1:?usage: sbatch slurm.sh STUDY...}"
scratch=${SCRATCH:-$HOME}

export FDRNN_STORAGE=${FDRNN_STORAGE:-@$HOME/.fdrnn-url}
export FDRNN_DATA_DIR=${FDRNN_DATA_DIR:-$scratch/fdrnn/data}
# Compiled operations, on the node's disk: the first task of a node compiles for a minute.
export FDRNN_CACHE_DIR=${FDRNN_CACHE_DIR:-${TMPDIR:-/tmp}/fdrnn-cache-$UID}

command -v fdrnn > /dev/null || {
    echo "slurm.sh: fdrnn is not on the PATH: activate its environment before sbatch" >&2
    exit 2
}
code=0
srun fdrnn worker "$@" || code=$?
# 130: stopped by the signal with trials left; 143: the same before the worker handled signals;
# 75: the store was unavailable, or full, for longer than --patience.
if [[ $code -eq 130 || $code -eq 143 || $code -eq 75 ]]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
