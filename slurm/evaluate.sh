#!/usr/bin/env bash
# Score finished runs on a cluster:
#
#   NUVLM_CLUSTER=mycluster sbatch slurm/evaluate.sh RUN [RUN ...] --data DATASET [--split test]
#
# With --gpus-per-task=1 on an accelerator. Events are shared out over the tasks.
#
#SBATCH --job-name=evaluate
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=4G
#SBATCH --time=02:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=evaluate-%j.log
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: sbatch slurm/evaluate.sh RUN [RUN ...] --data DATASET [--split test]" >&2
  exit 2
fi
# shellcheck source=slurm/job.sh
source "${NUVLM_HOME:-${SLURM_SUBMIT_DIR:-.}}/slurm/job.sh"

meet
# When one rank has ended, the others see it and say so; those that still hang after 90 s are ended
run --kill-on-bad-exit=0 --wait=90 "${wrap[@]}" python launch/evaluate.py "$@"
