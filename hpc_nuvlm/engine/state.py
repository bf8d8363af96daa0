"""Checkpoints: trainable tensors and optimizer moments by parameter name, and where the run stands.

Free of world size and ZeRO stage, no pickle, published by rename: a folder `step-NNNNNNNN` is complete or absent, and
every byte of it is under a checksum. The random state needs no file: every step seeds its own (loop.step_seed).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hpc_nuvlm.errors import CheckpointError, StoreError
from hpc_nuvlm.models.task import Task

TENSORS, POSITION = FILES = ("tensors.safetensors", "position.json")
MOMENTS = ("exp_avg", "exp_avg_sq")  # names that torch.optim.AdamW gives them
STEP, BEST = "step", "best"


@dataclass(frozen=True)
class Position:
    """Where a run stands; what must be equal for a checkpoint to be continued comes with it."""

    step: int
    samples_seen: int
    fingerprint: str
    seed: int
    best_score: float | None = None
    # Step whose weights had it
    best_step: int | None = None
    # Step at which it was last validated; of a run that was stopped while validating, an earlier one
    validated_step: int | None = None


@dataclass(frozen=True)
class Tensors:
    """Full-precision values of everything learned, and AdamW's moments of each; all on the CPU, named by parameter."""

    values: dict[str, torch.Tensor]
    # moments[name] = {"exp_avg": ..., "exp_avg_sq": ...}; empty where only the weights are kept
    moments: dict[str, dict[str, torch.Tensor]]


def save_checkpoint(folder: Path, tensors: Tensors, position: Position) -> None:
    """Write everything under a temporary name, sync it to disk, then rename; on failure nothing of it stays.

    CheckpointError if it cannot be written, or if a number of it is not finite: nothing good comes after that.
    """
    _require_finite(folder, tensors)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        flat = {f"value/{name}": value.contiguous() for name, value in tensors.values.items()}
        for name, moments in tensors.moments.items():
            flat |= {f"{kind}/{name}": value.contiguous() for kind, value in moments.items()}
        save_file(flat, partial / TENSORS)
        (partial / POSITION).write_text(_sealed(position, partial / TENSORS))
        share_files(partial)
        for path in (*(partial / name for name in FILES), partial):
            _sync(path)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
        _sync(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(_why_not_written(folder, tensors, error)) from error


def share_files(folder: Path) -> None:
    """Let whoever may read a folder read its files: safetensors writes them for their owner alone."""
    # Some mounted file systems take no permissions, and nothing is lost by that
    with suppress(OSError):
        for path in filter(Path.is_file, folder.iterdir()):
            path.chmod(folder.stat().st_mode & 0o666)


def _require_finite(folder: Path, tensors: Tensors) -> None:
    for name, value in tensors.values.items():
        every = (value, *tensors.moments.get(name, {}).values())
        if not all(bool(torch.isfinite(one).all()) for one in every):
            raise CheckpointError(
                f"{folder}: not written, since {name} or its optimizer state is not finite; the same command continues "
                "from the checkpoint before: lower optimizer.lr, or look for broken hardware if it happens once"
            )


def _sealed(position: Position, tensors: Path) -> str:
    """The text of position.json: with the digest of the other file, read back, and one of its own."""
    with tensors.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    fields = {"position": asdict(position), TENSORS: {"bytes": tensors.stat().st_size, "sha256": digest}}
    return json.dumps(fields | {"sha256": _digest(fields)}, indent=1) + "\n"


def _digest(fields: dict) -> str:
    return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _why_not_written(folder: Path, tensors: Tensors, error: Exception) -> str:
    moments = (value for values in tensors.moments.values() for value in values.values())
    size_mb = sum(tensor.nbytes for tensor in (*tensors.values.values(), *moments)) / 1e6
    existing = next(parent for parent in folder.parents if parent.exists())
    free_mb = shutil.disk_usage(existing).free / 1e6
    return (
        f"{folder}: the checkpoint ({size_mb:.1f} MB) could not be written: {error}; {free_mb:.1f} MB are free there. "
        "Earlier checkpoints are untouched: make room and start the same command again"
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(folder: Path) -> tuple[Tensors, Position]:
    """What was saved; StoreError if any byte of it is another one by now."""
    position = verify_checkpoint(folder)
    try:
        flat = load_file(folder / TENSORS)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{folder / TENSORS}: cannot be read: {error}") from error
    values, moments = {}, {}
    for name, tensor in flat.items():
        kind, _, parameter = name.partition("/")
        if kind == "value":
            values[parameter] = tensor
        else:
            moments.setdefault(parameter, {})[kind] = tensor
    return Tensors(values, moments), position


def verify_checkpoint(folder: Path) -> Position:
    """Where the checkpoint stands, after all of it was compared with its digests; StoreError says what differs."""
    path = folder / POSITION
    try:
        fields = json.loads(path.read_text())
        if fields.pop("sha256") != _digest(fields):
            raise StoreError(f"{path}: is not as it was written: its sha256 differs")
        position, written = Position(**fields["position"]), fields[TENSORS]
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{path}: is not the position of a checkpoint: {error!r}") from error
    _require_as_written(folder / TENSORS, **written)
    return position


def _require_as_written(path: Path, bytes: int, sha256: str) -> None:
    try:
        size = path.stat().st_size
        if size != bytes:
            raise StoreError(f"{path}: has {size} bytes, and {bytes} were written")
        with path.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    if digest != sha256:
        raise StoreError(
            f"{path}: is not as it was written: its sha256 is {digest[:12]}, and {sha256[:12]} was written"
        )


def checkpoint_folder(run_folder: Path, step: int, kind: str = STEP) -> Path:
    """Of a state to continue from (STEP), or of the weights that were best on validation (BEST)."""
    return run_folder / "checkpoints" / f"{kind}-{step:08d}"


def checkpoints(run_folder: Path, kind: str = STEP) -> list[Path]:
    """Complete checkpoints, oldest first; the order is that of steps, not of clocks."""
    return sorted((run_folder / "checkpoints").glob(f"{kind}-{'[0-9]' * 8}"))


def newest_good(run_folder: Path, tell: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that is as it was written; None if there never was one.

    Damaged ones are told, and put aside as NAME.refused, so that they count among the checkpoints no more.
    """
    folders = checkpoints(run_folder)
    for folder in reversed(folders):
        try:
            verify_checkpoint(folder)
            return folder
        except StoreError as error:
            aside = folder.with_name(f"{folder.name}.refused")
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            tell(f"{error}; the checkpoint is not used, and was put aside as {aside.name}")
    if folders or list((run_folder / "checkpoints").glob(f"{STEP}-*.refused")):
        raise StoreError(
            f"{run_folder / 'checkpoints'}: no checkpoint of this run is as it was written; remove {run_folder} to "
            "start over, or choose another run folder (folder=...)"
        )
    return None


def sweep(run_folder: Path, position: Position, count: int) -> None:
    """After the checkpoint of a position was published: keep the newest `count`, and the best that it names.

    What a killed writer left goes too, and the best of steps that are taken again.
    """
    folder = run_folder / "checkpoints"
    best = checkpoint_folder(run_folder, -1 if position.best_step is None else position.best_step, BEST)
    gone = [*folder.glob("*.partial"), *checkpoints(run_folder)[:-count]]
    gone += [other for other in checkpoints(run_folder, BEST) if other != best]
    for path in gone:
        shutil.rmtree(path)


def require_same(position: Position, fingerprint: str, seed: int, where: Path) -> None:
    """Refuse to continue on another dataset or seed: the sample order would be another one."""
    for name, saved, now in (("dataset", position.fingerprint, fingerprint), ("seed", position.seed, seed)):
        if saved != now:
            raise StoreError(
                f"{where}: was trained with {name} {saved}, this run has {now}, so it cannot continue it; "
                "choose another run folder (folder=...), or remove this one to start over"
            )


def load_values(task: Task, values: dict[str, torch.Tensor], where: Path, part: str = "") -> None:
    """Put values into the parameters of the same names; both sides must name the same ones, in the same shapes.

    `part`: what the names of those begin with that are meant.
    """
    own = {name: parameter for name, parameter in task.trainable().items() if name.startswith(part)}
    differ = sorted(own.keys() ^ values.keys()) or [n for n in own if own[n].shape != values[n].shape]
    if differ:
        raise StoreError(
            f"{where}: holds other parameters than the model, first {differ[0]!r}; the model section of the "
            "configuration was changed since"
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(values[name])
