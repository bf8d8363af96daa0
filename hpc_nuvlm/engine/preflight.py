"""Preflight: what must be alike and in order on all ranks, looked at before the first step; names the node that is not.

Without it, the one node with an older library or a broken accelerator shows hours later, as a number that is off.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import socket
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError

PACKAGES = ("torch", "numpy", "numba", "zarr", "deepspeed", "transformers", "peft", "bitsandbytes", "safetensors")
# A checkpoint is there while its successor is written, and the best one beside them
NUM_CHECKPOINTS = 3


@dataclass(frozen=True)
class Facts:
    """What one rank found. All but the first two have to be alike."""

    rank: int
    host: str
    dataset: str
    packages: str
    code: str
    device: str
    # Product of two matrices that every sound device computes exactly
    arithmetic: float


def preflight(folder: Path, world: World, fingerprint: str, learned: int) -> None:
    """ConfigError on every rank if ranks differ, or if the run folder's disk has no room for checkpoints.

    `fingerprint`: of the events that this rank would read; `learned`: number of parameters.
    """
    facts = world.gather(look(world, fingerprint))
    wrong = differences(facts)
    if world.main:
        wrong += lack_of_room(folder, learned)
    wrong = world.gather(wrong)[0]
    if wrong:
        raise ConfigError("preflight: " + "; ".join(wrong))


def look(world: World, fingerprint: str) -> Facts:
    ones = torch.full((64, 64), 2.0, device=world.device)
    return Facts(
        world.rank,
        socket.gethostname(),
        dataset=fingerprint[:12],
        packages=", ".join(f"{name} {found}" for name, found in versions().items()),
        code=code_digest()[:12],
        device=world.device.type,
        arithmetic=float((ones @ ones).sum()),
    )


def versions() -> dict[str, str | None]:
    """Of Python and the libraries that decide what a run computes; None where one is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def code_digest() -> str:
    """SHA-256 (hex) of this package's Python files: a node may have another checkout."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def differences(facts: list[Facts]) -> list[str]:
    """What is not alike, and on which nodes: those that are not as most are."""
    found = []
    for name in ("dataset", "packages", "code", "device", "arithmetic"):
        values = [asdict(one)[name] for one in facts]
        usual, _ = Counter(values).most_common(1)[0]
        odd = [one for one, value in zip(facts, values) if value != usual]
        if odd:
            nodes = ", ".join(f"rank {one.rank} on {one.host}" for one in odd)
            theirs = " / ".join(dict.fromkeys(_apart(asdict(one)[name], usual) for one in odd))
            found.append(f"{name}: {nodes}: {theirs}, and the others {_apart(usual, asdict(odd[0])[name])}")
    return found


def _apart(value: object, other: object) -> str:
    """Of two lists, what is only in the first; of other values, the value."""
    if not isinstance(value, str) or ", " not in value:
        return str(value)
    return ", ".join(item for item in value.split(", ") if item not in str(other).split(", ")) or "the same"


def lack_of_room(folder: Path, learned: int) -> list[str]:
    """Weights and two moments of each parameter, in full precision, as often as checkpoints lie side by side."""
    existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    needed_mb, free_mb = NUM_CHECKPOINTS * 3 * 4 * learned / 1e6, shutil.disk_usage(existing).free / 1e6
    if free_mb >= needed_mb:
        return []
    return [
        f"{folder}: {free_mb:,.0f} MB are free, and {NUM_CHECKPOINTS} checkpoints take {needed_mb:,.0f} MB; make room, "
        "or set folder=... to another disk"
    ]
