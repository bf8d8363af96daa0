"""From shards on disk to a batch of 8-bit pictures, in the process that trains: how fast, against what asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from hpc_nuvlm.bench.ratios import Ratio, Turns, exactly, of_rounds
from hpc_nuvlm.config import View, load_run
from hpc_nuvlm.engine.memory import resident_bytes
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.sample import Samples
from hpc_nuvlm.store import Dataset
from hpc_nuvlm.store.plan import Plan
from hpc_nuvlm.training import samples_of
from hpc_nuvlm.views.image import ImageView

BATCH, NUM_EPOCHS = 32, 4
# The fastest model that there is here, on its pictures
FASTEST = Path("configs/cnn-dune.yaml")
FASTEST_VIEW = View(size=(128, 128), pool=4, crop="centroid", full_scale=25.5)
LARGE_VIEW = View(size=(512, 512), pool=1, crop="centroid", full_scale=25.5)


def loader_ratios(dataset: Dataset, split: str) -> list[Ratio]:
    """On one thread."""
    torch.set_num_threads(1)
    run = load_run(FASTEST, (f"data.dataset={dataset.folder}",))
    run = run.model_copy(update={"view": FASTEST_VIEW})
    samples = samples_of(run, dataset, split)
    large = replace(samples, view=ImageView(LARGE_VIEW, dataset.manifest.detector))
    task = build_task(run, dataset.manifest.detector.num_views)
    batch = samples.batch(np.arange(BATCH), np.ones(BATCH, bool), None)

    def ask():
        with evaluating(task):
            task.predict(batch)

    turns = Turns(
        {
            "large pictures, in order": one_batch(large, in_order(len(large))),
            "large pictures, shuffled": one_batch(large, shuffled(large)),
            "in order": one_batch(samples, in_order(len(samples))),
            "shuffled": one_batch(samples, shuffled(samples)),
            "the fastest model here": ask,
        },
        rounds=15,
        least_seconds=0.3,
    )
    return [
        rate(turns, "large pictures, in order", 5000),
        rate(turns, "large pictures, shuffled"),
        turns.times_as_fast("shuffled", "the fastest model here", "its own pictures, shuffled", at_least=10),
        exactly(f"memory after {NUM_EPOCHS} epochs", "after the first", growth(samples), at_most=1.02),
    ]


def rate(turns: Turns, name: str, at_least: float | None = None) -> Ratio:
    return of_rounds(BATCH / turns.seconds[name], f"events/s, {name}", "one thread, disk to batch", at_least=at_least)


def one_batch(samples: Samples, order: Iterator[np.ndarray]) -> Callable[[], object]:
    valid = np.ones(BATCH, bool)
    return lambda: samples.batch(next(order), valid, None)


def in_order(num_events: int) -> Iterator[np.ndarray]:
    return cycle([np.arange(start, start + BATCH) for start in range(0, num_events - BATCH + 1, BATCH)])


def shuffled(samples: Samples) -> Iterator[np.ndarray]:
    """As a training reads them."""
    plan = Plan(samples.split.fingerprint, 0, len(samples), BATCH)
    return cycle([plan.order(0, start, start + BATCH) for start in range(0, len(samples) - BATCH + 1, BATCH)])


def growth(samples: Samples) -> float:
    """Resident memory after some epochs, of that after the first."""
    resident = []
    for _ in range(NUM_EPOCHS):
        for start in range(0, len(samples) - BATCH + 1, BATCH):
            samples.batch(np.arange(start, start + BATCH), np.ones(BATCH, bool), None)
        resident.append(resident_bytes())
    return resident[-1] / resident[0]
