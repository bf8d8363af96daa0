#!/usr/bin/env bash
# Train on a cluster, until it is done, whatever comes between:
#
#   NUVLM_CLUSTER=mycluster sbatch slurm/finetune.sh [CONFIG.yaml [a.b=c ...]]
#
# One task is one rank, and has one accelerator:
#   sbatch --nodes=4 --ntasks-per-node=8 --gpus-per-task=1 slurm/finetune.sh configs/finetune-llama32-11b.yaml
#
# At its time limit, preempted, after a broken node or a killed rank, the job goes back into the queue by itself and
# continues at the very next event. Submitted again with another number of nodes, the same line continues it too.
#
#SBATCH --job-name=finetune
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=finetune-%j.log
# Five minutes before the end: ranks agree on a step, save, and leave with code 75
#SBATCH --signal=USR1@300
set -euo pipefail
# shellcheck source=slurm/job.sh
source "${NUVLM_HOME:-${SLURM_SUBMIT_DIR:-.}}/slurm/job.sh"

meet
# When one rank has ended, the others see it and say so; those that still hang after 90 s are ended
run --kill-on-bad-exit=0 --wait=90 "${wrap[@]}" python launch/train.py "${@:-configs/finetune-nano.yaml}"
