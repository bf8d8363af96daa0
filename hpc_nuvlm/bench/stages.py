"""Stages: where the time of a batch goes, from its bytes on disk to new weights, each timed apart.

Reading and drawing are called one after the other; inside of a model, hooks stop the clock at its vision tower. What is
left of a call after its known parts is told as what it must be: collating, or text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from hpc_nuvlm.bench.subject import NO_RATE, Subject, engine_of
from hpc_nuvlm.models.task import evaluating

# Batches that a stage's median is taken over
NUM_BATCHES = 12
# Names of the modules that look at pictures, in the families that do more than that
VISION = ("vision_model", "vision_tower")


def stages_of(subject: Subject, size: int, settle: Callable[[], None]) -> dict[str, float]:
    """Seconds of an event by stage, medians over batches."""
    starts = [start % max(1, subject.num_events - size + 1) for start in range(0, NUM_BATCHES * size, size)]
    engine = engine_of(subject) if subject.case.asked == "train" else None
    rows = [_one_batch(subject, engine, np.arange(start, start + size), settle) for start in starts]
    # The first of them compiles and fills caches
    rows = rows[1:]
    return {name: median(row[name] for row in rows) / size for name in rows[0]}


def _one_batch(subject: Subject, engine, indices: np.ndarray, settle: Callable[[], None]) -> dict[str, float]:
    samples, found = subject.samples, {}
    with clocked(found, "read", settle):
        events = [samples.split[int(index)] for index in indices]
    with clocked(found, "rasterize", settle):
        samples.view.render(events)
    whole: dict[str, float] = {}
    # What was decoded a moment ago is still there, for the batch as well
    with clocked(whole, "read", settle):
        events = [samples.split[int(index)] for index in indices]
    with clocked(whole, "batch", settle):
        batch = samples.batch(indices, np.ones(len(indices), bool), None)
    found["collate"] = max(0.0, whole["batch"] - whole["read"] - found["rasterize"])
    with clocked(found, "copy", settle):
        batch = batch.to(subject.world.device)
    vision: dict[str, float] = {}
    with at_vision(subject.task, vision, settle), clocked(whole, "forward", settle):
        if engine is None:
            with evaluating(subject.task):
                subject.task.predict(batch, subject.case.asked == "explain")
        else:
            engine.task.train()
            subject.task.loss(batch)
    found["vision"] = vision.get("vision", whole["forward"])
    if vision:
        found["text"] = max(0.0, whole["forward"] - found["vision"])
    if engine is not None:
        _training_stages(subject, engine, batch, whole["forward"], found, settle)
    return found


def _training_stages(subject: Subject, engine, batch, forward_s: float, found: dict, settle) -> None:
    whole: dict[str, float] = {}
    with clocked(whole, "both", settle):
        engine.backward(batch, len(batch.keys))
    found["backward"] = max(0.0, whole["both"] - forward_s)
    with clocked(found, "optimizer", settle):
        engine.step(NO_RATE)
    if subject.world.size > 1:
        learned = sum(parameter.numel() for parameter in subject.task.trainable().values())
        gradients = torch.zeros(learned, device=subject.world.device)
        # A part of backward or of the optimizer's step, measured by itself
        with clocked(found, "communication", settle):
            dist.all_reduce(gradients)


@contextmanager
def clocked(found: dict[str, float], name: str, settle: Callable[[], None]) -> Iterator[None]:
    settle()
    started_s = time.perf_counter()
    yield
    settle()
    found[name] = time.perf_counter() - started_s


@contextmanager
def at_vision(task: nn.Module, found: dict[str, float], settle: Callable[[], None]) -> Iterator[None]:
    """Meanwhile, the seconds that the task's vision tower takes are added to `found`; nothing, if it is all tower."""
    tower = next((module for name, module in task.named_modules() if name.rpartition(".")[2] in VISION), None)
    if tower is None:
        yield
        return
    started_s = 0.0

    def begin(*_):
        nonlocal started_s
        settle()
        started_s = time.perf_counter()

    def end(*_):
        settle()
        found["vision"] = found.get("vision", 0.0) + time.perf_counter() - started_s

    hooks = tower.register_forward_pre_hook(begin), tower.register_forward_hook(end)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
