"""submit: the jobs of one training as a chain on Slurm: simulate its events, train, score.

Each begins if the one before ended well.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hpc_nuvlm.config import Run
from hpc_nuvlm.errors import ConfigError, UserError

PREPARE, FINETUNE, EVALUATE = "prepare", "finetune", "evaluate"


@dataclass(frozen=True)
class Size:
    """What training asks Slurm for; None: what the script says."""

    nodes: int | None = None
    tasks_per_node: int | None = None
    gpus_per_task: int | None = None
    time: str | None = None
    # More options of sbatch, for all jobs
    options: tuple[str, ...] = ()

    def of_training(self) -> tuple[str, ...]:
        asked = {"nodes": self.nodes, "ntasks-per-node": self.tasks_per_node, "gpus-per-task": self.gpus_per_task}
        return tuple(f"--{name}={value}" for name, value in (asked | {"time": self.time}).items() if value is not None)


@dataclass(frozen=True)
class Job:
    """A batch script of slurm/ with its arguments, and what sbatch is told beside what the script says itself."""

    name: str
    arguments: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        return Path("slurm") / f"{self.name}.sh"

    def command(self, after: str | None) -> list[str]:
        """The call of sbatch. `after`: number of the job that has to end well before; if it does not, this one goes."""
        waits = [] if after is None else [f"--dependency=afterok:{after}", "--kill-on-invalid-dep=yes"]
        return ["sbatch", "--parsable", *waits, *self.options, str(self.script), *self.arguments]


def chain_of(
    config: Path, overrides: tuple[str, ...], run: Run, size: Size, simulation: Path | None, score: str | None
) -> list[Job]:
    """The jobs, in order. `simulation`: what the run's dataset is made by; `score`: DATASET:SPLIT."""
    jobs = [Job(FINETUNE, (str(config), *overrides), (*size.options, *size.of_training()))]
    if simulation is not None:
        jobs.insert(0, Job(PREPARE, (str(simulation), str(run.data.dataset)), size.options))
    if score is not None:
        dataset, _, split = score.rpartition(":")
        if not (dataset and split):
            raise ConfigError(f"--score {score}: write it as DATASET:SPLIT")
        # One accelerator is enough to score
        accelerator = () if size.gpus_per_task is None else (f"--gpus-per-task={size.gpus_per_task}",)
        arguments = (str(run.folder), "--data", dataset, "--split", split)
        jobs.append(Job(EVALUATE, arguments, (*size.options, *accelerator)))
    return jobs


def describe_chain(jobs: list[Job], home: Path) -> str:
    """The calls of sbatch as a shell could run them, and the scripts that they submit, letter by letter."""
    lines, after = [], None
    for job in jobs:
        lines.append(f"{job.name}=$({' '.join(map(_quoted, job.command(after)))})")
        after = f"${job.name}"
    # The last is read by all of them
    scripts = dict.fromkeys([*(job.script for job in jobs), Path("slurm/job.sh")])
    return "\n".join([*lines, *(f"\n# {path}\n{_text(home / path)}" for path in scripts)])


def _quoted(word: str) -> str:
    # The number of the job before stays a variable of the shell
    return word if "=afterok:$" in word else shlex.quote(word)


def _text(path: Path) -> str:
    try:
        return path.read_text().rstrip()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; call nuvlm submit from the folder of the checkout"
        ) from error


def send_chain(jobs: list[Job], home: Path) -> dict[str, str]:
    """Submit them; the number of each job. Those before one that Slurm refuses are cancelled again."""
    if shutil.which("sbatch") is None:
        raise UserError("sbatch: no such program; call this on a node that jobs are submitted from, or use --print")
    numbers: dict[str, str] = {}
    for job in jobs:
        _text(home / job.script)
        after = list(numbers.values())[-1] if numbers else None
        done = subprocess.run(job.command(after), cwd=home, capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["scancel", *numbers.values()], check=False) if numbers else None
            raise UserError(f"{job.name}: Slurm refuses it: {done.stderr.strip()}; nothing is left in the queue")
        # On a federation, ";CLUSTER" follows
        numbers[job.name] = done.stdout.strip().partition(";")[0]
    return numbers
