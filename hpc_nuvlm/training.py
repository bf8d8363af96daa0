"""train(): assemble what a Run names (dataset, model, engine) and fit it; the body of launch/train.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from hpc_nuvlm.config import Run
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.loop import Fit, fit
from hpc_nuvlm.engine.plain import Engine, PlainEngine
from hpc_nuvlm.engine.record import Recorder
from hpc_nuvlm.engine.state import Position
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.sample import Samples
from hpc_nuvlm.store import Dataset, open_dataset
from hpc_nuvlm.store.plan import Plan
from hpc_nuvlm.views.image import ImageView


def train(run: Run, world: World, stop: StopRequest) -> int:
    """Train to the end, or to a stop in good order; the exit code says which. Continues what the run folder holds."""
    dataset = open_dataset(run.data.dataset)
    plan, training, validation = build_data(run, dataset)
    task = build_task(run, dataset.manifest.detector.num_views)
    newest = state.checkpoints(run.folder)[-1:]
    world.barrier()  # every rank has looked before rank 0 writes
    position = Position(0, 0, plan.fingerprint, plan.seed)
    engine, position = build_engine(run, task, world, position, newest[0] if newest else None)
    recorder = Recorder(run, world, position.step, plan.steps_per_epoch * run.schedule.epochs)
    recorder.note(describe(run, world, plan, task, position))
    try:
        position, done = fit(Fit(run, engine, world, training, validation, plan, recorder, stop), position)
    finally:
        recorder.close()
    if world.main and done:
        folder = export_best(run, dataset)
        score = f"best validation accuracy {position.best_score:.3f}"
        recorder.note(f"{run.folder}: done after step {position.step}; {score}, its weights in {folder}")
    world.barrier()
    if stop.received is not None and not done:
        recorder.note(f"stopped after step {position.step} ({stop.received.name}); the same command continues here")
        return EXIT_REQUEUE
    return 0


def build_data(run: Run, dataset: Dataset) -> tuple[Plan, Samples, Samples]:
    """Reading order, training and validation samples. No other split is opened."""
    detector = dataset.manifest.detector
    view = ImageView(run.view, detector)
    train_split = dataset.split(run.data.train_split)
    validation_split = dataset.split(run.data.validation_split)
    plan = Plan(train_split.fingerprint, run.seed, len(train_split), run.batch.global_size)
    training = Samples(
        train_split,
        view,
        detector,
        run.data.classes,
        run.augment,
        run.seed,
        picture_of=shuffled(plan) if run.schedule.shuffle_images else None,
    )
    return plan, training, Samples(validation_split, view, detector, run.data.classes)


def shuffled(plan: Plan) -> np.ndarray:
    """For each event another one, whose picture it gets: all pictures are used once, classes and pictures unrelated."""
    order = np.random.default_rng(plan.seed).permutation(plan.num_events)
    return order[np.argsort(np.roll(order, 1))]


def build_engine(
    run: Run, task: Task, world: World, fresh: Position, checkpoint: Path | None
) -> tuple[Engine, Position]:
    """The engine, standing where the checkpoint stands, or fresh if there is none."""
    tensors, position = (None, fresh)
    if checkpoint is not None:
        tensors, position = state.load_checkpoint(checkpoint)
        state.require_same(position, fresh.fingerprint, fresh.seed, checkpoint)
        # Before DeepSpeed makes its own copies
        state.load_values(task, tensors.values, checkpoint)
    engine = PlainEngine(run, task, world) if run.engine.kind == "plain" else _zero(run, task, world)
    if tensors is not None:
        engine.restore(tensors, position.step)
    return engine, position


def _zero(run: Run, task: Task, world: World) -> Engine:
    # Importing DeepSpeed takes seconds, and a plain run needs none of it.
    from hpc_nuvlm.engine.zero import ZeroEngine

    return ZeroEngine(run, task, world)


def describe(run: Run, world: World, plan: Plan, task: Task, position: Position) -> str:
    """Two lines that say what is about to run, with every derived number spelled out."""
    learned = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in task.trainable().values())
    share = -(-plan.global_size // world.size)
    at_a_time = min(share, run.batch.per_rank)
    engine = f"ZeRO-{run.engine.stage}" if run.engine.kind == "zero" else "plain"
    start = f"continues after step {position.step}" if position.step else "starts"
    return (
        f"{run.folder}: {start}; {run.model.family}, {learned:,} parameters to learn; {engine}, "
        f"{run.engine.precision}, {world.size} x {world.device.type}\n"
        f"{plan.num_events} events, {plan.steps_per_epoch} steps an epoch, {run.schedule.epochs} epochs; global batch "
        f"{plan.global_size} = {world.size} ranks x {share}, computed {at_a_time} at a time"
    )


def load_best(run: Run, num_views: int) -> Task:
    """The model of a finished or stopped run, with the weights that did best on validation."""
    best = run.folder / "best"
    tensors, _ = state.load_checkpoint(best)
    task = build_task(run, num_views)
    state.load_values(task, tensors.values, best)
    return task


def export_best(run: Run, dataset: Dataset) -> Path:
    """Write RUN/model (whole weights) or RUN/adapter (peft form), replacing an older one."""
    adapters = getattr(run.model, "lora", None) is not None
    folder = run.folder / ("adapter" if adapters else "model")
    shutil.rmtree(folder, ignore_errors=True)
    load_best(run, dataset.manifest.detector.num_views).export(folder)
    return folder
