"""Checkpoints: trainable tensors and optimizer moments by parameter name, and where the run stands.

Free of world size and ZeRO stage, no pickle, published by rename: a folder `step-NNNNNNNN` is complete or
absent. The random state needs no file: every step seeds its own (loop.step_seed).
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.models.task import Task

FILES = ("tensors.safetensors", "position.json")
MOMENTS = ("exp_avg", "exp_avg_sq")  # names that torch.optim.AdamW gives them


@dataclass(frozen=True)
class Position:
    """Where a run stands; what must be equal for a checkpoint to be continued comes with it."""

    step: int
    samples_seen: int
    fingerprint: str
    seed: int
    best_score: float | None = None


@dataclass(frozen=True)
class Tensors:
    """Full-precision values of everything learned, and AdamW's moments of each; all on the CPU, named by parameter."""

    values: dict[str, torch.Tensor]
    # moments[name] = {"exp_avg": ..., "exp_avg_sq": ...}; empty where only the weights are kept
    moments: dict[str, dict[str, torch.Tensor]]


def save_checkpoint(folder: Path, tensors: Tensors, position: Position) -> None:
    """Write everything under a temporary name, sync it to disk, then rename; on failure nothing of it stays."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        flat = {f"value/{name}": value.contiguous() for name, value in tensors.values.items()}
        for name, moments in tensors.moments.items():
            flat |= {f"{kind}/{name}": value.contiguous() for kind, value in moments.items()}
        save_file(flat, partial / FILES[0])
        (partial / FILES[1]).write_text(json.dumps(asdict(position), indent=1) + "\n")
        for path in (*(partial / name for name in FILES), partial):
            _sync(path)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
        _sync(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        size_mb = sum(tensor.nbytes for tensor in _all(tensors)) / 1e6
        free_mb = shutil.disk_usage(folder.parent).free / 1e6
        raise StoreError(
            f"{folder}: the checkpoint ({size_mb:.1f} MB) could not be written: {error}; {free_mb:.1f} MB are free "
            "there. Earlier checkpoints are untouched: make room and start the same command again"
        ) from error


def _all(tensors: Tensors):
    yield from tensors.values.values()
    for moments in tensors.moments.values():
        yield from moments.values()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(folder: Path) -> tuple[Tensors, Position]:
    try:
        position = Position(**json.loads((folder / FILES[1]).read_text()))
        flat = load_file(folder / FILES[0])
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise StoreError(
            f"{folder}: not a readable checkpoint: {error}; remove the folder to continue from the one before"
        ) from error
    values, moments = {}, {}
    for name, tensor in flat.items():
        kind, _, parameter = name.partition("/")
        if kind == "value":
            values[parameter] = tensor
        else:
            moments.setdefault(parameter, {})[kind] = tensor
    return Tensors(values, moments), position


def checkpoint_folder(run_folder: Path, step: int) -> Path:
    return run_folder / "checkpoints" / f"step-{step:08d}"


def checkpoints(run_folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first; the order is that of steps, not of clocks."""
    return sorted(path for path in (run_folder / "checkpoints").glob("step-*") if not path.name.endswith(".partial"))


def keep_last(run_folder: Path, count: int) -> None:
    """Remove all but the newest `count` checkpoints, and what a killed writer left."""
    for leftover in (run_folder / "checkpoints").glob("step-*.partial"):
        shutil.rmtree(leftover)
    for old in checkpoints(run_folder)[:-count]:
        shutil.rmtree(old)


def require_same(position: Position, fingerprint: str, seed: int, where: Path) -> None:
    """Refuse to continue on another dataset or seed: the sample order would be another one."""
    for name, saved, now in (("dataset", position.fingerprint, fingerprint), ("seed", position.seed, seed)):
        if saved != now:
            raise StoreError(
                f"{where}: was trained with {name} {saved}, this run has {now}, so it cannot continue it; "
                "choose another run folder (folder=...), or remove this one to start over"
            )


def load_values(task: Task, values: dict[str, torch.Tensor], where: Path) -> None:
    """Put values into the parameters of the same names; both sides must name the same ones, in the same shapes."""
    own = task.trainable()
    differ = sorted(own.keys() ^ values.keys()) or [n for n in own if own[n].shape != values[n].shape]
    if differ:
        raise StoreError(
            f"{where}: holds other parameters than the model, first {differ[0]!r}; the model section of the "
            "configuration was changed since"
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(values[name])
