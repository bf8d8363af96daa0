"""check(): all about a training that can be found wrong before it waits in a queue, on a machine without its devices.

The configuration, the datasets, what splits share, one batch through the model, and the job as Slurm would get it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.trial import try_step
from hpc_nuvlm.engine.world import alone
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.store import Dataset, open_dataset
from hpc_nuvlm.submission import Size, chain_of, describe_chain
from hpc_nuvlm.training import build_data, build_learner, num_learned, num_views


def check(run: Run, config: Path, overrides: tuple[str, ...], home: Path) -> Iterator[tuple[str, str]]:
    """(what, finding) one after the other; UserError at the first that is wrong. Nothing is written."""
    yield "configuration", f"{config}: {run.model.family}, to {run.folder}"
    dataset = open_dataset(run.data.dataset)
    yield "dataset", told_of(dataset)
    for more in run.data.more:
        yield "dataset", told_of(open_dataset(more.dataset))
    yield "leakage", told_of_leakage(dataset)
    plan, training, validation = build_data(run, dataset)
    yield "order", f"{plan.num_events} events, {plan.steps_per_epoch} steps an epoch, {run.schedule.epochs} epochs"
    size = min(run.batch.per_rank, len(training))
    share = plan.share(0, 0, 1)
    batch = training.batch(share.indices[:size], share.valid[:size], share.epoch)
    lit = float((batch.image_BVHW > 0).float().mean())
    if lit == 0:
        raise UserError(f"view: no pixel of the first {size} training events is lit; the window lies beside their hits")
    pictures = " x ".join(map(str, batch.image_BVHW.shape))
    yield "batch", f"pictures {pictures}, {100 * lit:.1f} % of the pixels lit; {len(validation)} events to validate on"
    yield "model", told_of_step(run, dataset, batch)
    jobs = chain_of(config, overrides, run, Size(), None, None)
    yield "job", describe_chain(jobs, home).partition("\n")[0]


def told_of(dataset: Dataset) -> str:
    splits = ", ".join(f"{name} {len(dataset.split(name))}" for name in dataset.splits)
    return (
        f"{dataset.folder}: {dataset.manifest.detector.name}; {splits}; fingerprint {dataset.manifest.fingerprint[:12]}"
    )


def told_of_leakage(dataset: Dataset) -> str:
    """UserError if an event is in two splits."""
    of: dict[str, str] = {}
    for name in dataset.splits:
        for key in dataset.split(name).event_keys():
            if of.setdefault(key, name) != name:
                raise UserError(
                    f"{dataset.folder}: event {key} is in the splits {of[key]} and {name}; pack the dataset again"
                )
    return f"none of {len(of)} events is in two splits"


def told_of_step(run: Run, dataset: Dataset, batch) -> str:
    """Loss and gradients of one batch, computed here."""
    task = build_learner(run, num_views(run, dataset), alone())
    loss = try_step(task, batch)
    return f"{num_learned(task):,} parameters to learn; loss {loss:.3f}, and gradients for all of them"
