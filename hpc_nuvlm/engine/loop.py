"""fit(): the training loop. It sees a Task and an Engine, and knows neither the model nor DeepSpeed."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from hpc_nuvlm.config import Optimizer, Run
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.plain import Engine
from hpc_nuvlm.engine.predict import predict
from hpc_nuvlm.engine.record import Recorder
from hpc_nuvlm.engine.state import Position
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.sample import Batch, Source
from hpc_nuvlm.store.plan import Plan, Share


@dataclass(frozen=True)
class Fit:
    """All that the loop works on."""

    run: Run
    engine: Engine
    world: World
    training: Source
    validation: Source
    plan: Plan
    recorder: Recorder
    stop: StopRequest

    @property
    def total_steps(self) -> int:
        return self.plan.steps_per_epoch * self.run.schedule.epochs


def fit(job: Fit, position: Position) -> tuple[Position, bool]:
    """Train from `position` to the end, or until asked to stop; returns where it stands and whether it is done."""
    schedule = job.run.schedule
    last_step = min(job.total_steps, schedule.stop_after_steps or job.total_steps)
    stopping = False
    while position.step < last_step and not stopping:
        position, stopping = train_step(job, position)
        epoch, seen = divmod(position.samples_seen, job.plan.num_events)
        # A run that ends inside of an epoch, as asked, is judged where it ends
        if position.step == last_step or (seen == 0 and epoch % schedule.validate_every_epochs == 0):
            position = validate(job, position)
        if position.step % schedule.checkpoint_every_steps == 0 or position.step == last_step or stopping:
            save(job, position)
    return position, position.step == last_step


def train_step(job: Fit, position: Position) -> tuple[Position, bool]:
    """One optimizer step on one global batch; also tells whether any rank was asked to stop."""
    started_s = time.perf_counter()
    share = job.plan.share(position.samples_seen, job.world.rank, job.world.size)
    torch.manual_seed(step_seed(job.run.seed, position.samples_seen, job.world.rank))
    batch = job.training.batch(share.indices, share.valid, share.epoch)
    loss_sum, bad = accumulate(job, batch, share)
    total, num_bad, num_stops = job.world.sum([loss_sum, len(bad), job.stop.received is not None])
    if num_bad:
        refuse_non_finite(job, position.step + 1, bad)
    rate = learning_rate(job.run.optimizer, position.step, job.total_steps)
    job.engine.step(rate)
    position = replace(position, step=position.step + 1, samples_seen=position.samples_seen + share.num_valid)
    job.recorder.step(
        position.step,
        loss=total / share.num_valid,
        learning_rate=rate,
        samples_seen=position.samples_seen,
        seconds=time.perf_counter() - started_s,
    )
    return position, num_stops > 0


def step_seed(seed: int, samples_seen: int, rank: int) -> int:
    """Seed of dropout and the like in one step: a resumed run draws what the first would have drawn."""
    digest = hashlib.sha256(f"{seed}/{samples_seen}/{rank}".encode()).digest()
    return int.from_bytes(digest[:7], "little")


def accumulate(job: Fit, batch: Batch, share: Share) -> tuple[float, list[str]]:
    """Gradients of this rank's share; its summed loss, and the events whose loss is not finite."""
    per_rank, loss_sum, bad = job.run.batch.per_rank, 0.0, []
    for start in range(0, len(share.indices), per_rank):
        part = batch.part(start, start + per_rank).to(job.world.device)
        losses = job.engine.backward(part, share.num_valid)
        loss_sum += float(losses[part.valid_B].double().sum())
        finite = torch.isfinite(losses) | ~part.valid_B
        bad += [key for key, good in zip(part.keys, finite.tolist()) if not good]
    return loss_sum, bad


def refuse_non_finite(job: Fit, step: int, bad: list[str]) -> None:
    """On every rank, before the optimizer could spread it."""
    everywhere = "; ".join(f"rank {rank}: {', '.join(keys)}" for rank, keys in enumerate(job.world.gather(bad)) if keys)
    raise UserError(
        f"step {step}: the loss is not finite for events {everywhere}; no weight was changed by this step. "
        "Look at these events with nuvlm inspect, or lower optimizer.lr"
    )


def learning_rate(optimizer: Optimizer, step: int, total_steps: int) -> float:
    """Rate of the step that follows `step` finished ones: linear warm-up, then constant or half a cosine to 0."""
    warmup_steps = math.ceil(optimizer.warmup * total_steps)
    if step < warmup_steps:
        return optimizer.lr * (step + 1) / warmup_steps
    if optimizer.schedule == "constant":
        return optimizer.lr
    return optimizer.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, total_steps - warmup_steps)))


def validate(job: Fit, position: Position) -> Position:
    """Accuracy and loss on the validation split; the weights of the best accuracy are kept in `best/`."""
    result = predict(job.engine.task, job.validation, job.world, job.run.batch.per_rank)
    accuracy = float((result.log_probability.argmax(1) == result.truth).mean())
    loss = float(-result.log_probability[np.arange(len(result.truth)), result.truth].mean())
    job.recorder.validation(position.step, accuracy=accuracy, loss=loss)
    # Among equal accuracies the later: it has seen more.
    if position.best_score is None or accuracy >= position.best_score:
        position = replace(position, best_score=accuracy)
        tensors = replace(job.engine.tensors(), moments={})
        if job.world.main:
            state.save_checkpoint(job.run.folder / "best", tensors, position)
    return position


def save(job: Fit, position: Position) -> None:
    tensors = job.engine.tensors()
    if job.world.main:
        state.save_checkpoint(state.checkpoint_folder(job.run.folder, position.step), tensors, position)
        state.keep_last(job.run.folder, job.run.schedule.keep_checkpoints)
    job.world.barrier()
