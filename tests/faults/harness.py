"""Trainings of real processes that are killed and started again, and what must hold of what they leave behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.loop import events_checksum
from hpc_nuvlm.engine.place import free_port
from hpc_nuvlm.engine.watchdog import Doing
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data

REPOSITORY = Path(__file__).parent.parent.parent
VICTIM = Path(__file__).parent / "victim.py"
WRITING = "WRITING"
# How often a rank gets to a place in some eight steps, of which two are saved and two validated
OFTEN, RARE = 8, {Doing.VALIDATING.name: 4, Doing.SAVING.name: 2, WRITING: 4}
LONGEST_DELAY_S = 0.03
SECONDS = 180


@dataclass(frozen=True)
class Kill:
    rank: int
    doing: str
    count: int
    delay_s: float

    def __str__(self) -> str:
        return f"{self.rank},{self.doing},{self.count},{self.delay_s}"


def draw_kill(generator: random.Random, world_size: int) -> Kill:
    doing = generator.choice([one.name for one in Doing if one is not Doing.STARTING] + [WRITING])
    rank = 0 if doing == WRITING else generator.randrange(world_size)
    count = generator.randint(1, RARE.get(doing, OFTEN))
    return Kill(rank, doing, count, generator.uniform(0, LONGEST_DELAY_S))


def start(config: Path, *overrides: str, world_size: int = 2, kill: Kill | None = None) -> list[subprocess.Popen]:
    """One process a rank, without a launcher, which would end the others by itself."""
    port = str(free_port())
    ranks = []
    for rank in range(world_size):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} | ({"DIE": kill} if kill else {})
        environment = os.environ | {name: str(value) for name, value in place.items()}
        command = [sys.executable, str(VICTIM), str(config), *overrides]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        ranks.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment, **pipes))
    return ranks


def finish(ranks: list[subprocess.Popen]) -> tuple[list[int], str]:
    """Exit codes, and all that was said. When one rank was killed, the others are given the time to see it."""
    said = []
    for rank in ranks:
        try:
            said.append(rank.communicate(timeout=SECONDS)[0])
        except subprocess.TimeoutExpired:
            rank.kill()
            said.append(f"{rank.communicate()[0]}\nHANGS")
    return [rank.returncode for rank in ranks], "\n".join(said)


def train(config: Path, *overrides: str, world_size: int = 2, kill: Kill | None = None) -> tuple[list[int], str]:
    return finish(start(config, *overrides, world_size=world_size, kill=kill))


def was_killed(codes: list[int]) -> bool:
    return -signal.SIGKILL in codes


def records(folder: Path, kind: str) -> list[dict]:
    path = folder / "records.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [one for one in map(json.loads, filter(_whole, lines)) if one["kind"] == kind]


def _whole(line: str) -> bool:
    """The last line of a killed writer may be cut short."""
    return line.startswith("{") and line.endswith("}")


def losses(folder: Path) -> list[float]:
    return [one["loss"] for one in records(folder, "step")]


def validations(folder: Path) -> list[tuple]:
    return [(one["step"], one["accuracy"], one["loss"]) for one in records(folder, "validation")]


def final_weights(folder: Path) -> bytes:
    return (state.checkpoints(folder)[-1] / state.TENSORS).read_bytes()


def wrong_steps(config: Path, folder: Path) -> list[int]:
    """Steps in which other events were read than the order says: some were lost, or came twice."""
    run = parse_run(yaml.safe_load(config.read_text()), str(config))
    plan, training, _ = build_data(run, open_dataset(run.data.dataset))
    keys = training.split.event_keys()
    wrong, seen = [], 0
    for number, one in enumerate(records(folder, "step"), 1):
        _, indices = plan.global_batch(seen)
        seen += len(indices)
        expected = events_checksum(keys[index] for index in indices.tolist())
        if (one["step"], one["events"], one["samples_seen"]) != (number, expected, seen):
            wrong.append(number)
    return wrong
