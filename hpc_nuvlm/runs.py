"""Run folders: the configuration and the best weights of an earlier training, for whoever goes on from them."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path

from hpc_nuvlm.config import Run, load_run
from hpc_nuvlm.engine import state
from hpc_nuvlm.errors import ConfigError, StoreError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import Task

# What the names of a vision tower's parameters begin with, in either family
TOWER_IN_VIT, TOWER_IN_VLM = "members.0.tower.", "model.model.vision_model."


def open_run(folder: Path) -> Run:
    """The configuration that a run was made with, at the place where its folder lies now."""
    if not (folder / "run.yaml").is_file():
        raise ConfigError(f"{folder}: is no run folder (it holds no run.yaml); give the folder that training wrote")
    return load_run(folder / "run.yaml").model_copy(update={"folder": folder})


def best_of(run: Run) -> Path:
    """Where the weights are that did best on validation; ConfigError if there are none yet."""
    found = state.checkpoints(run.folder, state.BEST)
    if not found:
        raise ConfigError(
            f"{run.folder / 'checkpoints'}: holds no {state.BEST}-NNNNNNNN, so the run has not been validated yet; let "
            "it finish an epoch first"
        )
    return found[-1]


def load_best(run: Run, num_views: int) -> Task:
    """The model of a finished or stopped run, with the weights that did best on validation."""
    best = best_of(run)
    tensors, _ = state.load_checkpoint(best)
    task = build_task(run, num_views)
    state.load_values(task, tensors.values, best)
    return task


def weights_digest(run: Run) -> str:
    """SHA-256 (hex) of the run's best weights, and of what decides with them what it predicts: model, view, ..."""
    with (best_of(run) / state.TENSORS).open("rb") as stream:
        digest = file_digest(stream, "sha256")
    context = "" if run.data.context is None else run.data.context.model_dump_json()
    digest.update(f"{run.model.model_dump_json()}{run.view.model_dump_json()}{run.data.classes}{context}".encode())
    return digest.hexdigest()


def begin_with(task: Task, earlier: Run) -> None:
    """Give the model the best weights of an earlier run; ConfigError if that has another model.

    A VLM can begin with its vision tower alone, from a run that learned that.
    """
    best = best_of(earlier)
    values, part = state.load_checkpoint(best)[0].values, ""
    if earlier.model.family == "vit" and any(name.startswith(TOWER_IN_VLM) for name in task.trainable()):
        values, part = tower_of(values), TOWER_IN_VLM
    try:
        state.load_values(task, values, best, part)
    except StoreError as error:
        raise ConfigError(
            f"start = '{earlier.folder}': its model has other parameters than this run's; give the model section of "
            f"{earlier.folder / 'run.yaml'}, and as many views"
        ) from error


def tower_of(values: dict) -> dict:
    """Of the weights of a vit, those of a model's tower, by the names that they have in a VLM."""
    tower = {name.removeprefix(TOWER_IN_VIT): value for name, value in values.items() if name.startswith(TOWER_IN_VIT)}
    return {f"{TOWER_IN_VLM}{name}": value for name, value in tower.items()}
