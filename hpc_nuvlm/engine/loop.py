"""fit(): the training loop. It sees a Task and an Engine, and knows neither the model nor DeepSpeed."""

from __future__ import annotations

import hashlib
import math
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np
import torch

from hpc_nuvlm.config import Optimizer, Run
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.ahead import Ahead
from hpc_nuvlm.engine.memory import peak_memory_mb
from hpc_nuvlm.engine.plain import Engine
from hpc_nuvlm.engine.predict import predict
from hpc_nuvlm.engine.record import Recorder
from hpc_nuvlm.engine.saver import Saver
from hpc_nuvlm.engine.state import Position, Tensors
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.watchdog import Doing, Watchdog
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import CheckpointError, UserError
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
    watchdog: Watchdog
    saver: Saver = field(default_factory=Saver)
    # Samples seen -> this rank's share of the batch that follows
    reader: Ahead[tuple[Share, Batch]] = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "reader", Ahead(self._read, self._following))

    def _read(self, samples_seen: int) -> tuple[Share, Batch]:
        share = self.plan.share(samples_seen, self.world.rank, self.world.size)
        return share, self.training.batch(share.indices, share.valid, share.epoch)

    def _following(self, samples_seen: int) -> int | None:
        following = self.plan.following(samples_seen)
        return following if following < self.plan.num_events * self.run.schedule.epochs else None

    @property
    def total_steps(self) -> int:
        return self.plan.steps_per_epoch * self.run.schedule.epochs


def fit(job: Fit, position: Position) -> tuple[Position, bool]:
    """Train from `position` to the end, or until asked to stop; returns where it stands and whether it is done."""
    schedule = job.run.schedule
    last_step = min(job.total_steps, schedule.stop_after_steps or job.total_steps)
    saved, stopping = position, False
    while True:
        if not stopping and validation_is_due(job, position, last_step):
            position, stopping = validate(job, position)
        ends = stopping or position.step == last_step
        if position != saved and (ends or position.step % schedule.checkpoint_every_steps == 0):
            save(job, position)
            saved = position
        if ends:
            break
        position, stopping = train_step(job, position)
    job.reader.close()
    settle(job)
    job.recorder.memory(position.step, job.world.gather(peak_memory_mb(job.world.device)))
    return position, position.step == last_step and not validation_is_due(job, position, last_step)


def validation_is_due(job: Fit, position: Position, last_step: int) -> bool:
    """Whether this is a place to validate at, and it was not done; so it is after a stop in the middle of it."""
    if position.validated_step == position.step or (position.step == 0 and last_step > 0):
        return False
    epoch, seen = divmod(position.samples_seen, job.plan.num_events)
    # A run that ends inside of an epoch, as asked, is judged where it ends
    return position.step == last_step or (seen == 0 and epoch % job.run.schedule.validate_every_epochs == 0)


def train_step(job: Fit, position: Position) -> tuple[Position, bool]:
    """One optimizer step on one global batch; also tells whether any rank was asked to stop."""
    started_s, step = time.perf_counter(), position.step + 1
    torch.manual_seed(step_seed(job.run.seed, position.samples_seen, job.world.rank))
    job.watchdog.at(step, Doing.READING)
    share, batch = job.reader(position.samples_seen)
    loss_sum, bad = accumulate(job, step, batch, share)
    job.watchdog.at(step, Doing.AGREEING)
    read = events_checksum(key for key, valid in zip(batch.keys, share.valid) if valid)
    mine = [loss_sum, read, len(bad), job.stop.received is not None, job.saver.failed]
    total, all_read, num_bad, num_stops, num_failed = job.world.sum(mine)
    if num_failed:
        settle(job)
    if num_bad:
        refuse_non_finite(job, step, bad)
    rate = learning_rate(job.run.optimizer, position.step, job.total_steps)
    job.watchdog.at(step, Doing.UPDATING)
    job.engine.step(rate)
    position = replace(position, step=step, samples_seen=position.samples_seen + share.num_valid)
    job.recorder.step(
        step,
        loss=total / share.num_valid,
        learning_rate=rate,
        samples_seen=position.samples_seen,
        events=int(all_read),
        seconds=time.perf_counter() - started_s,
    )
    return position, num_stops > 0


def events_checksum(keys: Iterable[str]) -> int:
    """Sum of CRC-32: of the ranks' sums the sum is that of all, exact to two million events.

    The ledger of a run: who knows the keys can tell from it whether each step read the events that it should have.
    """
    return sum(crc32(key.encode()) for key in keys)


def step_seed(seed: int, samples_seen: int, rank: int) -> int:
    """Seed of dropout and the like in one step: a resumed run draws what the first would have drawn."""
    digest = hashlib.sha256(f"{seed}/{samples_seen}/{rank}".encode()).digest()
    return int.from_bytes(digest[:7], "little")


def accumulate(job: Fit, step: int, batch: Batch, share: Share) -> tuple[float, list[str]]:
    """Gradients of this rank's share; its summed loss, and the events whose loss is not finite."""
    per_rank, loss_sum, bad = job.run.batch.per_rank, 0.0, []
    for start in range(0, len(share.indices), per_rank):
        job.watchdog.at(step, Doing.COMPUTING)
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


def validate(job: Fit, position: Position) -> tuple[Position, bool]:
    """Accuracy and loss on the validation split; the weights of the best accuracy are kept.

    Also tells whether any rank was asked to stop meanwhile; the position is the same then, and validated later.
    """
    job.reader.rest()
    result = predict(
        job.engine.task, job.validation, job.world, job.run.batch.per_rank, pause=lambda: pause(job, position)
    )
    if result is None:
        return position, True
    accuracy = float((result.log_probability.argmax(1) == result.truth).mean())
    loss = float(-result.log_probability[np.arange(len(result.truth)), result.truth].mean())
    job.recorder.validation(position.step, accuracy=accuracy, loss=loss)
    position = replace(position, validated_step=position.step)
    # Among equal accuracies the later: it has seen more.
    if position.best_score is None or accuracy >= position.best_score:
        position = replace(position, best_score=accuracy, best_step=position.step)
        settle(job)
        tensors = replace(job.engine.tensors(), moments={})
        if job.world.main:
            folder = state.checkpoint_folder(job.run.folder, position.step, state.BEST)
            job.saver.submit(state.save_checkpoint, folder, tensors, position)
    return position, False


def pause(job: Fit, position: Position) -> bool:
    """Between two batches of validation: whether any rank was asked to stop."""
    job.watchdog.at(position.step, Doing.VALIDATING)
    return job.world.sum([job.stop.received is not None])[0] > 0


def save(job: Fit, position: Position) -> None:
    """Begin to write a checkpoint; it is published, and older ones go, while training continues."""
    settle(job)
    require_equal_weights(job, position)
    tensors = job.engine.tensors()
    if job.world.main:
        job.saver.submit(publish, job.run, tensors, position)


def publish(run: Run, tensors: Tensors, position: Position) -> None:
    state.save_checkpoint(state.checkpoint_folder(run.folder, position.step), tensors, position)
    state.sweep(run.folder, position, run.schedule.keep_checkpoints)


def settle(job: Fit) -> None:
    """Until all that was begun is written; on every rank an error if it could not be."""
    job.watchdog.at(None, Doing.SAVING)
    error = None
    try:
        job.saver.settle()
    except CheckpointError as caught:
        error = caught
    if job.world.sum([error is not None])[0]:
        raise error or CheckpointError("rank 0 could not write a checkpoint; it says why")


def require_equal_weights(job: Fit, position: Position) -> None:
    """Ranks that were given equal weights and took equal steps hold equal ones, or one of them computes wrongly."""
    told = job.world.gather((socket.gethostname(), job.engine.weights_digest()))
    digests = [digest for _, digest in told]
    (most, _), *others = Counter(digests).most_common()
    if others:
        odd = ", ".join(f"rank {rank} on {host}" for rank, (host, digest) in enumerate(told) if digest != most)
        raise CheckpointError(
            f"step {position.step}: {odd}: other weights than the other ranks', after the same steps; one of them "
            "computes wrongly. Nothing was saved: start again without that node, and the checkpoint before is continued"
        )
