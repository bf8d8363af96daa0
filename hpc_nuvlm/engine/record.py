"""Recorder: what a run leaves behind while it goes: records.jsonl, TensorBoard, a progress bar or a log line."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from hpc_nuvlm.config import Run, dump_run
from hpc_nuvlm.engine.preflight import versions
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import UserError

# A log file that is not a terminal gets one line this often.
LINE_EVERY_S = 30.0


class Recorder:
    """Rank 0 writes; on other ranks every call does nothing."""

    def __init__(self, run: Run, world: World, step: int, total_steps: int):
        self.main = world.main
        if not self.main:
            return
        _write_description(run, world)
        self.total_steps = total_steps
        self.started_s = self.last_line_s = time.monotonic()
        self.first_step = step
        _drop_records_after(run.folder / "records.jsonl", step)
        self.file = (run.folder / "records.jsonl").open("a", buffering=1)
        self.board = SummaryWriter(run.folder / "tensorboard", purge_step=step or None)
        self.console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.bar = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console, disable=not sys.stderr.isatty()
        )
        self.bar.start()
        self.task = self.bar.add_task(run.folder.name, total=total_steps, completed=step)

    def note(self, text: str) -> None:
        if self.main:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, step: int, **values: float) -> None:
        if not self.main:
            return
        self._write(kind="step", step=step, **values)
        self.bar.update(self.task, completed=step, description=f"loss {values['loss']:.3f}")
        now_s = time.monotonic()
        if self.bar.disable and (now_s - self.last_line_s > LINE_EVERY_S or step == self.total_steps):
            self.last_line_s = now_s
            remaining_s = (now_s - self.started_s) / (step - self.first_step) * (self.total_steps - step)
            self.note(
                f"step {step}/{self.total_steps} loss {values['loss']:.4f} ETA {timedelta(seconds=round(remaining_s))}"
            )

    def validation(self, step: int, **values: float) -> None:
        if self.main:
            self._write(kind="validation", step=step, **values)
            self.note(f"step {step}: " + " ".join(f"{name} {value:.4f}" for name, value in values.items()))

    def memory(self, step: int, peaks_mb: list[dict[str, float]]) -> None:
        """Peaks of all ranks since they started [MB]."""
        if self.main:
            self.file.write(json.dumps({"kind": "memory", "step": step, "peaks_mb": peaks_mb}) + "\n")

    def close(self) -> None:
        if self.main:
            self.bar.stop()
            self.board.close()
            self.file.close()

    def _write(self, kind: str, step: int, **values: float) -> None:
        self.file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(f"{kind}/{name}", value, step)


def _write_description(run: Run, world: World) -> None:
    try:
        (run.folder / "run.yaml").write_text(dump_run(run))
        (run.folder / "environment.json").write_text(json.dumps(environment(world), indent=1) + "\n")
    except OSError as error:
        raise UserError(
            f"{run.folder}: cannot be written: {error.strerror}; set folder=... to a place that can"
        ) from error


def _drop_records_after(path: Path, step: int) -> None:
    """Records of steps that a resumed run will take again, and a line cut short by a kill, go away."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:
            continue
    path.write_text("".join(f"{line}\n" for line in kept))


def environment(world: World) -> dict:
    """Where and with what a run was made: versions, commit and its uncommitted change, machine, world."""
    return {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads per rank",
        "device": torch.cuda.get_device_name() if world.device.type == "cuda" else "cpu",
        "world_size": world.size,
        "packages": versions(),
        **commit_and_diff(),
        "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def commit_and_diff() -> dict[str, str | None]:
    """Of the checkout that this code runs from."""
    return {"commit": _git("rev-parse", "HEAD"), "diff": _git("diff", "HEAD")}


def _git(*arguments: str) -> str | None:
    """What git says of the checkout that this code runs from; None if it is not one."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
