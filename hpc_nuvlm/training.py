"""train(): assemble what a Run names (dataset, model, engine) and fit it; the body of launch/train.py."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from hpc_nuvlm.config import More, Run, View
from hpc_nuvlm.context import ContextLines, check_context, open_context, require_rows
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.loop import Fit, fit
from hpc_nuvlm.engine.plain import Engine, PlainEngine
from hpc_nuvlm.engine.preflight import preflight
from hpc_nuvlm.engine.record import Recorder
from hpc_nuvlm.engine.state import Position
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, StopRequest
from hpc_nuvlm.engine.watchdog import Watchdog
from hpc_nuvlm.engine.world import World, is_lost_connection
from hpc_nuvlm.errors import ConfigError, LostRankError, StoreError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.distillation import Distillation, Teacher
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.runs import begin_with, load_best, open_run
from hpc_nuvlm.sample import Joined, Samples, Source
from hpc_nuvlm.store import Dataset, open_dataset
from hpc_nuvlm.store.plan import Plan
from hpc_nuvlm.store.subset import per_class
from hpc_nuvlm.views.image import ImageView


def train(run: Run, world: World, stop: StopRequest) -> int:
    """Train to the end, or to a stop in good order; the exit code says which. Continues what the run folder holds."""
    dataset = open_dataset(run.data.dataset)
    plan, training, validation = build_data(run, dataset)
    task = build_learner(run, num_views(run, dataset), world)
    # One that hangs here is named soon
    soon_s = run.engine.meet_within_s
    with Watchdog(run.folder / "heartbeats", world.rank, world.size, stop, soon_s, soon_s):
        preflight(run.folder, world, plan.fingerprint, num_learned(task))
    position = Position(0, 0, plan.fingerprint, plan.seed)
    engine, position = build_engine(run, task, world, position, newest_checkpoint(run, world))
    recorder = Recorder(run, world, position.step, plan.steps_per_epoch * run.schedule.epochs)
    recorder.note(describe(run, world, plan, task, position))
    limits_s = run.engine.hang_after_s, run.engine.stop_within_s
    try:
        with Watchdog(run.folder / "heartbeats", world.rank, world.size, stop, *limits_s) as watchdog:
            job = Fit(run, engine, world, training, validation, plan, recorder, stop, watchdog)
            position, done = fit_with_others(job, position)
    finally:
        recorder.close()
    if world.main and done:
        folder = export_best(run, dataset)
        score = f"best validation accuracy {position.best_score:.3f}"
        recorder.note(f"{run.folder}: done after step {position.step}; {score}, its weights in {folder}")
    world.barrier()
    if not done:
        # Every rank, whichever was asked
        why = stop.received.name if stop.received else "another rank was asked to"
        recorder.note(f"stopped after step {position.step} ({why}); the same command continues here")
        return EXIT_REQUEUE
    return 0


def fit_with_others(job: Fit, position: Position) -> tuple[Position, bool]:
    """fit(); LostRankError, which names the rank, where another one is gone."""
    try:
        return fit(job, position)
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        raise LostRankError(f"{job.watchdog.lost()}; start the same command again to continue") from error


def newest_checkpoint(run: Run, world: World) -> Path | None:
    """The newest checkpoint that is whole, as rank 0 found it; it says which are not."""
    found, problem = None, None
    if world.main:
        try:
            found = state.newest_good(run.folder, lambda text: print(f"warning: {text}", file=sys.stderr, flush=True))
        except StoreError as error:
            problem = str(error)
    found, problem = world.gather((found, problem))[0]
    if problem is not None:
        raise StoreError(problem)
    return found


def num_views(run: Run, dataset: Dataset) -> int:
    """The most views that an event of the run has."""
    return max(
        opened.manifest.detector.num_views
        for opened in (dataset, *(open_dataset(more.dataset) for more in run.data.more))
    )


def build_data(run: Run, dataset: Dataset) -> tuple[Plan, Source, Samples]:
    """Reading order, training and validation samples. No other split is opened."""
    if run.schedule.shuffle_images and run.data.more:
        raise ConfigError(
            "schedule.shuffle_images exchanges pictures within one dataset, and data.more names others; empty data.more"
        )
    context = open_context(run.data.context)
    validation_split = dataset.split(run.data.validation_split)
    require_rows(context, validation_split)
    training = _training(run, More(dataset=run.data.dataset), dataset, context)
    validation = Samples(validation_split, training.view, training.detector, run.data.classes, context=context)
    fingerprint = training.split.fingerprint
    if run.data.more:
        others = (_training(run, more, open_dataset(more.dataset), context) for more in run.data.more)
        training = Joined((training, *others))
        fingerprint = sha256(" ".join(part.split.fingerprint for part in training.sources).encode()).hexdigest()
    plan = Plan(fingerprint, run.seed, len(training), run.batch.global_size)
    if run.schedule.shuffle_images:
        training = replace(training, picture_of=shuffled(plan))
    return plan, training, validation


def _training(run: Run, source: More, dataset: Dataset, context: ContextLines | None) -> Samples:
    """Training events of one dataset, as many of each class as asked for."""
    split, detector = dataset.split(run.data.train_split), dataset.manifest.detector
    if run.data.per_class is not None:
        split = per_class(split, run.data.classes, run.data.per_class, run.seed)
    check_context(context, split)
    tell = getattr(run.model, "rationale_weight", 0) > 0
    return Samples(
        split,
        ImageView(source.view or run.view, detector),
        detector,
        run.data.classes,
        run.augment,
        run.seed,
        tell=tell,
        # Only one that tells or is taught can learn from events without a class
        unlabelled=tell or run.distill is not None,
        teacher_view=_teacher_view(run, source.dataset, detector),
        context=context,
    )


def _teacher_view(run: Run, dataset: Path, detector: Detector) -> ImageView | None:
    """How the run's teacher sees events of a dataset: as when it was trained on them, else as its own."""
    if run.distill is None:
        return None
    return ImageView(view_of(open_run(run.distill.teacher), dataset), detector)


def view_of(run: Run, dataset: Path) -> View:
    """How events of a dataset become pictures: as when the run was trained on them, else as its own."""
    trained = (more.view for more in run.data.more if more.dataset.resolve() == dataset.resolve() and more.view)
    return next(trained, run.view)


def samples_of(run: Run, dataset: Dataset, name: str, unlabelled: bool = False) -> Samples:
    """A split of any dataset as the run looks at it, unchanged: to score, not to train on."""
    split, detector = dataset.split(name), dataset.manifest.detector
    context = open_context(run.data.context)
    require_rows(context, split)
    view = ImageView(view_of(run, dataset.folder), detector)
    return Samples(split, view, detector, run.data.classes, unlabelled=unlabelled, context=context)


def shuffled(plan: Plan) -> np.ndarray:
    """For each event another one, whose picture it gets: all pictures are used once, classes and pictures unrelated."""
    order = np.random.default_rng(plan.seed).permutation(plan.num_events)
    return order[np.argsort(np.roll(order, 1))]


def build_learner(run: Run, num_views: int, world: World) -> Task:
    """The model of the run, with the weights that it starts from; beside its teacher, if it has one."""
    student = build_task(run, num_views)
    if run.start is not None:
        begin_with(student, open_run(run.start))
    if run.distill is None:
        return student
    teacher = open_run(run.distill.teacher)
    if teacher.data.classes != run.data.classes:
        raise ConfigError(
            f"distill.teacher = '{teacher.folder}': tells {', '.join(teacher.data.classes)}, and the student learns "
            f"{', '.join(run.data.classes)}; set data.classes to the teacher's, in its order"
        )
    if teacher.data.context not in (None, run.data.context):
        raise ConfigError(
            f"distill.teacher = '{teacher.folder}': was trained with data.context, which its student's events need as "
            "well; set data.context to the teacher's, or name a teacher without one"
        )
    asked = Teacher(load_best(teacher, num_views).to(world.device), teacher.data.context is not None)
    return Distillation(student, asked, run.distill.weight, run.distill.temperature)


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
    learned = num_learned(task)
    share = -(-plan.global_size // world.size)
    at_a_time = min(share, run.batch.per_rank)
    engine = f"ZeRO-{run.engine.stage}" if run.engine.kind == "zero" else "plain"
    start = f"continues after step {position.step}" if position.step else "starts"
    taught = f" from {run.distill.teacher} (weight {run.distill.weight:g})" if run.distill else ""
    return (
        f"{run.folder}: {start}; {run.model.family}, {learned:,} parameters to learn{taught}; {engine}, "
        f"{run.engine.precision}, {world.size} x {world.device.type}\n"
        f"{plan.num_events} events, {plan.steps_per_epoch} steps an epoch, {run.schedule.epochs} epochs; global batch "
        f"{plan.global_size} = {world.size} ranks x {share}, computed {at_a_time} at a time"
    )


def num_learned(task: Task) -> int:
    return sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in task.trainable().values())


def export_best(run: Run, dataset: Dataset) -> Path:
    """Write RUN/model (whole weights) or RUN/adapter (peft form), replacing an older one."""
    adapters = getattr(run.model, "lora", None) is not None
    folder = run.folder / ("adapter" if adapters else "model")
    shutil.rmtree(folder, ignore_errors=True)
    load_best(run, num_views(run, dataset)).export(folder)
    state.share_files(folder)
    return folder
