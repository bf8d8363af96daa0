# Sourced by the batch scripts beside it: where a job runs, how its ranks meet, and what becomes of it when they end.
# shellcheck shell=bash

# Slurm runs a copy of the batch script, so the checkout is found from where sbatch was called
cd "${NUVLM_HOME:-${SLURM_SUBMIT_DIR:-.}}" || exit

# What libraries compile, they put on the node's own disk: thousands of small files, and locks that no shared one has
local_disk=${NUVLM_LOCAL:-${SLURM_TMPDIR:-/tmp}}/nuvlm-$(id -un)
export NUMBA_CACHE_DIR=$local_disk/numba TRITON_CACHE_DIR=$local_disk/triton
export TORCH_EXTENSIONS_DIR=$local_disk/torch MPLCONFIGDIR=$local_disk/matplotlib HF_HUB_OFFLINE=1
# Command that python is started through, in a container for instance; the batch scripts use it
# shellcheck disable=SC2034
wrap=()
# Modules, virtual environment, container and the like of this cluster
# shellcheck source=slurm/clusters/venv.env
source "slurm/clusters/${NUVLM_CLUSTER:-venv}.env"

# srun of Slurm 22.05 and later does not take --cpus-per-task from sbatch
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}

# Names for ranks that must find each other: the first node, and a port that another job on it hardly has
meet() {
  local nodes
  nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
  export NUVLM_NODES=${nodes//$'\n'/ } MASTER_ADDR=${nodes%%$'\n'*} MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))
}

# Run a command on every task, and do with the job what its exit code asks for:
#   75 stopped in good order (time limit, preemption): requeue
#   2, 73 a mistake, or a full disk, that a person must mend: end
#   others (a rank was killed, or hangs): requeue, NUVLM_MAX_RESTARTS times
run() {
  # The ranks get the signals that matter from srun and Slurm; without this, they would end the shell that waits
  trap : TERM USR1
  srun "$@" &
  local code=0 ranks=$!
  # A signal interrupts wait, not srun
  while wait "$ranks" && code=0 || code=$?; kill -0 "$ranks" 2>/dev/null; do :; done
  case $code in
    0 | 2 | 73) exit "$code" ;;
    75) requeue "stopped in good order" ;;
    *)
      if [ "${SLURM_RESTART_COUNT:-0}" -ge "${NUVLM_MAX_RESTARTS:-5}" ]; then
        echo "job $SLURM_JOB_ID: exit code $code after ${SLURM_RESTART_COUNT} restarts; not started again" >&2
        exit "$code"
      fi
      requeue "exit code $code"
      ;;
  esac
  exit "$code"
}

# The same job, in the queue again; it continues from its last checkpoint. One that its owner cancelled stays so.
requeue() {
  # One task of an array: the number alone may mean the whole array
  local job=$SLURM_JOB_ID
  if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
  case $(scontrol show job "$job" | tr ' ' '\n' | sed -n 's/^JobState=//p') in
    RUNNING) ;;
    *) return ;;
  esac
  echo "job $job: $1; back into the queue (restart $((${SLURM_RESTART_COUNT:-0} + 1)))" >&2
  # Slurm ends this shell then
  scontrol requeue "$job" && sleep 60
}
