#!/usr/bin/env bash
# Measure what models cost on a cluster's node:
#
#   NUVLM_CLUSTER=mycluster sbatch slurm/benchmark.sh CONFIG.yaml --out RECORD.json
#
# With --gpus-per-task=1 on an accelerator. Nothing else may run on the node: --exclusive, where that is allowed.
#
#SBATCH --job-name=benchmark
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=4G
#SBATCH --time=02:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=benchmark-%j.log
set -euo pipefail
if [ $# -lt 1 ]; then
  echo "usage: sbatch slurm/benchmark.sh CONFIG.yaml [--out RECORD.json] [KEY=VALUE ...]" >&2
  exit 2
fi
# shellcheck source=slurm/job.sh
source "${NUVLM_HOME:-${SLURM_SUBMIT_DIR:-.}}/slurm/job.sh"

run "${wrap[@]}" python launch/benchmark.py "$@"
