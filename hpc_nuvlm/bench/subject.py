"""Subject: the model of a case with the events that it is asked about, and the calls that are timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch

from hpc_nuvlm.bench.settings import Bench, Case
from hpc_nuvlm.config import Run, load_run
from hpc_nuvlm.engine.plain import Engine, PlainEngine
from hpc_nuvlm.engine.predict import predict
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.metrics import Estimate, score
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import Task, evaluating
from hpc_nuvlm.runs import load_best, open_run
from hpc_nuvlm.sample import Batch, Samples
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import num_views, samples_of

# Rate of the steps that are timed: so small that weights stay as they are
NO_RATE = 0.0


@dataclass(frozen=True)
class Subject:
    case: Case
    run: Run
    task: Task
    samples: Samples
    world: World

    @property
    def num_events(self) -> int:
        return len(self.samples)


def open_subject(bench: Bench, case: Case, world: World) -> Subject:
    """The model with the weights of its run, or random ones, and the events of the benchmark."""
    overrides = tuple(f"{key}={value}" for key, value in case.set.items())
    run = open_run(case.run) if case.run is not None else load_run(case.config, overrides)
    dataset = open_dataset(bench.dataset)
    views = num_views(run, dataset) if case.run is None else dataset.manifest.detector.num_views
    task = build_task(run, views) if case.run is None else load_best(run, views)
    if case.form != "torch":
        # onnxruntime is an extra, and cases of torch do without
        from hpc_nuvlm.bench.exported import Exported

        task = Exported(task, case.run, case.form)
    return Subject(case, run, task.to(world.device), samples_of(run, dataset, bench.split), world)


def batches_of(subject: Subject, size: int, num_events: int) -> list[Batch]:
    """The first events of the split in batches of a size, on the device; the last ones that fill none are left out."""
    count = min(num_events, subject.num_events) // size * size
    whole = range(0, count, size)
    return [
        subject.samples.batch(np.arange(start, start + size), np.ones(size, bool), None).to(subject.world.device)
        for start in whole
    ]


def call_of(subject: Subject, batches: list[Batch]) -> Callable[[], object]:
    """What is timed: one batch after the other, again and again."""
    turns: Iterator[Batch] = cycle(batches)
    if subject.case.asked == "train":
        engine = engine_of(subject)
        return lambda: train_step(engine, next(turns))
    explain = subject.case.asked == "explain"

    def ask():
        with evaluating(subject.task):
            return subject.task.predict(next(turns), explain)

    return ask


def engine_of(subject: Subject) -> Engine:
    """As the run is trained: by ZeRO, or plain."""
    if subject.run.engine.kind == "plain":
        return PlainEngine(subject.run, subject.task, subject.world)
    # Importing DeepSpeed takes seconds, and asking for labels needs none of it
    from hpc_nuvlm.engine.zero import ZeroEngine

    return ZeroEngine(subject.run, subject.task, subject.world)


def train_step(engine: Engine, batch: Batch) -> None:
    engine.task.train()
    engine.backward(batch, len(batch.keys))
    engine.step(NO_RATE)


def settle_of(world: World) -> Callable[[], None]:
    """Waits for an accelerator, which computes on after a call has returned."""
    return torch.cuda.synchronize if world.device.type == "cuda" else lambda: None


def accuracy_of(subject: Subject, size: int) -> Estimate | None:
    """Of the very weights that are timed; None for random ones."""
    if subject.case.run is None and not subject.case.judged:
        return None
    found = predict(subject.task, subject.samples, subject.world, size)
    return score(found.truth, np.exp(found.log_probability), subject.run.data.classes).accuracy
