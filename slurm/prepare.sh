#!/usr/bin/env bash
# Simulate a dataset on a cluster:
#
#   NUVLM_CLUSTER=mycluster sbatch slurm/prepare.sh configs/simulate-dune.yaml /scratch/me/DATASET [a.b=c ...]
#
# The last task to finish publishes the dataset; nothing has to run after it. At its time limit or preempted, a job goes
# back into the queue by itself; after whatever else, the same sbatch line continues: finished shards are kept.
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

# shellcheck source=slurm/job.sh
source "${NUVLM_HOME:-${SLURM_SUBMIT_DIR:-.}}/slurm/job.sh"

# A rank that fails leaves the others alone: what they make counts
run --kill-on-bad-exit=0 --wait=0 "${wrap[@]}" python launch/simulate.py "$config" --out "$out" --jobs "$SRUN_CPUS_PER_TASK" "$@"
