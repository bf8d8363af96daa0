#!/usr/bin/env bash
# Simulate a dataset on a cluster:
#
#   NUVLM_CLUSTER=mycluster sbatch slurm/prepare.sh configs/simulate-dune.yaml /scratch/me/DATASET [a.b=c ...]
#
# The last task to finish publishes the dataset; nothing has to run after it. Whatever stops a job (time limit,
# preemption, a broken node), the same sbatch line continues: finished shards are kept.
#
# How many tasks? One rank makes tens of events a second (`nuvlm simulate` on a login node tells), and the smallest piece
# of work is a shard (shard_events = 256). 10**8 events at 50 events/s and rank in 10 hours: 56 ranks. Either
#   sbatch --nodes=4 --ntasks-per-node=16 slurm/prepare.sh ...           one job, or
#   sbatch --array=0-55 --ntasks=1 slurm/prepare.sh ...                  many small ones, which start as cores get free.
# Both together multiply. Tasks of an array are numbered without gaps; the events are the same for any number of them.
#
#SBATCH --job-name=prepare
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=prepare-%j.log
# A minute before the end: ranks stop after their current event and leave with code 75
#SBATCH --signal=USR1@60
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: sbatch slurm/prepare.sh CONFIG.yaml OUT [a.b=c ...]" >&2
  exit 2
fi
config=$1 out=$2
shift 2

# Slurm runs a copy of this file, so the checkout is found from where sbatch was called
cd "${NUVLM_HOME:-${SLURM_SUBMIT_DIR:-.}}"
# Modules, virtual environment and the like of this cluster
# shellcheck source=slurm/clusters/example.env
source "slurm/clusters/${NUVLM_CLUSTER:-example}.env"

# srun of Slurm 22.05 and later does not take --cpus-per-task from sbatch
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
# A rank that fails leaves the others alone: what they make counts
exec srun --kill-on-bad-exit=0 python launch/simulate.py "$config" --out "$out" --jobs "$SRUN_CPUS_PER_TASK" "$@"
