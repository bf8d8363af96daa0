"""Prediction over a whole split, shared out over the ranks; used for validation and for evaluation alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.engine.world import World
from hpc_nuvlm.models.task import Said, Task, evaluating
from hpc_nuvlm.sample import Source


@dataclass(frozen=True)
class Predicted:
    """One row per event, in the order of the split."""

    keys: list[str]
    truth: np.ndarray  # (N,) int64
    log_probability: np.ndarray  # (N, C) float64
    said: list[Said] | None
    # Seconds per event: its batch read, rasterized and computed, divided by the events in it
    time_s: np.ndarray

    @property
    def text(self) -> list[str] | None:
        return None if self.said is None else [said.text for said in self.said]


def predict(
    task: Task,
    samples: Source,
    world: World,
    per_rank: int,
    explain: bool = False,
    pause: Callable[[], bool] | None = None,
) -> Predicted | None:
    """Every event once; every rank computes equally many batches, as ZeRO-3 needs, and gets the whole result.

    `pause` is called before every batch; where it returns True, on all ranks alike, there is no result (None).
    """
    rows = {}
    with evaluating(task):
        for start in range(0, len(samples), per_rank * world.size):
            if pause is not None and pause():
                return None
            started_s = time.perf_counter()
            indices = np.arange(start, start + per_rank) + world.rank * per_rank
            valid = indices < len(samples)
            batch = samples.batch(np.where(valid, indices, 0), valid, epoch=None)
            prediction = task.predict(batch.to(world.device), explain)
            log_probability = prediction.log_probability_BC.double().cpu().numpy()
            time_s = (time.perf_counter() - started_s) / len(indices)
            for row in np.flatnonzero(valid):
                said = prediction.said[row] if prediction.said else None
                rows[int(indices[row])] = (batch.keys[row], int(batch.label_B[row]), log_probability[row], said, time_s)
    merged = {index: row for part in world.gather(rows) for index, row in part.items()}
    keys, truth, log_probability, said, time_s = zip(*(merged[index] for index in range(len(samples))))
    told = list(said) if all(said) else None
    return Predicted(list(keys), np.array(truth), np.stack(log_probability), told, np.array(time_s))
