"""`make faults`: trainings that are killed again and again at random moments, and a table of what became of them.

    python -m tests.faults.soak FOLDER [--runs 20] [--kills 5] [--seed 1]

Exit code 1 if a sample was lost or repeated, a damaged checkpoint was loaded, or a loss has another bit.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from hpc_nuvlm.detector import load_detector
from hpc_nuvlm.engine import state
from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.store.pack import pack
from tests.conftest import REPOSITORY, draw_event
from tests.faults import harness

WORLD_SIZE = 2


@dataclass
class Outcome:
    """Of one run, over all of its lives."""

    kills: Counter = field(default_factory=Counter)
    # A kill that was arranged for a place that the run did not get to any more
    missed: int = 0
    unnamed: int = 0
    corrupt: int = 0
    wrong_steps: int = 0
    differing_losses: int = 0
    same_weights: bool = False

    @property
    def good(self) -> bool:
        return self.same_weights and not (self.corrupt or self.wrong_steps or self.differing_losses)


def write_config(folder: Path) -> Path:
    detector = load_detector("dune_fd_cvn", REPOSITORY / "configs" / "detectors")
    options = {"split": {"train": 0.8, "val": 0.2}, "classes": None, "command": "soak", "shard_events": 16}
    pack(map(draw_event, range(36)), folder / "dataset", detector, **options)
    fields = {
        "folder": str(folder / "run"),
        "data": {"dataset": str(folder / "dataset")},
        "view": {"size": [112, 112], "pool": 4, "full_scale": 1020},
        "model": {"family": "cnn", "widths": [8, 16], "hidden": 8},
        "batch": {"global_size": 8, "per_rank": 4},
        "engine": {"kind": "plain", "threads": 1, "hang_after_s": 20.0},
        "schedule": {"epochs": 15, "checkpoint_every_steps": 4},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def live(config: Path, folder: Path, num_kills: int, generator: random.Random) -> Outcome:
    """Train into the folder, killed so many times, to the end."""
    outcome = Outcome()
    while outcome.kills.total() < num_kills and not outcome.missed:
        kill = harness.draw_kill(generator, WORLD_SIZE)
        codes, said = harness.train(config, f"folder={folder}", kill=kill)
        if harness.was_killed(codes):
            outcome.kills[kill.doing] += 1
            outcome.unnamed += f"rank {kill.rank} on" not in said
        else:
            outcome.missed += 1
        outcome.corrupt += "was put aside as" in said
    codes, said = harness.train(config, f"folder={folder}")
    if codes != [0] * WORLD_SIZE:
        raise SystemExit(f"{folder}: does not end: {said}")
    return outcome


def judge(outcome: Outcome, config: Path, folder: Path, whole: Path) -> None:
    """Against the run that nothing happened to."""
    outcome.wrong_steps = len(harness.wrong_steps(config, folder))
    ours, theirs = harness.losses(folder), harness.losses(whole)
    outcome.differing_losses = sum(one != other for one, other in zip(ours, theirs)) + abs(len(ours) - len(theirs))
    outcome.same_weights = harness.final_weights(folder) == harness.final_weights(whole)
    try:
        for kind in (state.STEP, state.BEST):
            for path in state.checkpoints(folder, kind):
                state.verify_checkpoint(path)
    except StoreError:
        outcome.corrupt += 1


def table(outcomes: list[Outcome]) -> str:
    kills = sum((outcome.kills for outcome in outcomes), Counter())
    rows = {
        "runs": len(outcomes),
        "kills": kills.total(),
        **{f"  {name.lower()}": number for name, number in sorted(kills.items())},
        "kills after which the rank left over did not name the other": sum(one.unnamed for one in outcomes),
        "steps that read other events than the order says": sum(one.wrong_steps for one in outcomes),
        "damaged checkpoints": sum(one.corrupt for one in outcomes),
        "losses that differ in a bit from an undisturbed run's": sum(one.differing_losses for one in outcomes),
        "runs whose last checkpoint differs in a bit": sum(not one.same_weights for one in outcomes),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {number}" for name, number in rows.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder for runs")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=5, help="in each run")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    config, generator = write_config(arguments.folder), random.Random(arguments.seed)
    whole = arguments.folder / "undisturbed"
    harness.train(config, f"folder={whole}")
    outcomes = []
    for number in range(arguments.runs):
        folder = arguments.folder / f"run-{number}"
        outcome = live(config, folder, arguments.kills, generator)
        judge(outcome, config, folder, whole)
        outcomes.append(outcome)
        print(f"{folder.name}: {outcome}", flush=True)
    print(table(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
