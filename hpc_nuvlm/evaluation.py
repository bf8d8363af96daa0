"""evaluate(): one protocol for every family: the same events, the same scores, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rich.console import Console

from hpc_nuvlm.config import Run, load_run
from hpc_nuvlm.engine.predict import Predicted, predict
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.metrics import Scores, apply_temperature, fit_temperature, score
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.report.plots import plot_confusion, plot_reliability, plot_roc
from hpc_nuvlm.report.predictions import Predictions, write_predictions, write_scores
from hpc_nuvlm.report.tables import comparison_table, paired_table
from hpc_nuvlm.sample import Samples
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import load_best
from hpc_nuvlm.views.image import ImageView


def evaluate(folders: list[Path], dataset: Path, split: str, world: World, explain: bool, as_json: bool) -> None:
    """Score each run's best weights on a split; writes RUN/evaluation-SPLIT/, prints the table of all runs."""
    runs = [open_run(folder) for folder in folders]
    names = [run.folder.name for run in runs]
    if len(set(names)) < len(names):
        raise ConfigError(f"runs {', '.join(map(str, folders))}: two have the same folder name; rename one")
    scores, predictions, reports = {}, {}, {}
    for run, name in zip(runs, names):
        predictions[name], calibration = predict_run(run, dataset, split, world, explain)
        scores[name] = score(predictions[name].truth, predictions[name].probabilities, run.data.classes)
        reports[name] = {"run": name, "split": split, "dataset": str(dataset), **calibration}
        if world.main:
            write_report(run.folder / f"evaluation-{split}", name, predictions[name], scores[name], reports[name])
    if world.main:
        show(scores, predictions, reports, as_json)


def open_run(folder: Path) -> Run:
    """The configuration that a run was made with, at the place where its folder lies now."""
    if not (folder / "run.yaml").is_file():
        raise ConfigError(f"{folder}: is no run folder (it holds no run.yaml); give the folder that training wrote")
    return load_run(folder / "run.yaml").model_copy(update={"folder": folder})


def predict_run(
    run: Run, dataset: Path, split: str, world: World, explain: bool
) -> tuple[Predictions, dict[str, float]]:
    """Predictions on the split; and the temperature that the run's own validation split asks for, with its effect."""
    opened = open_dataset(dataset)
    task = load_best(run, opened.manifest.detector.num_views).to(world.device)
    predicted = _predict_split(task, run, opened.split(split), opened.manifest.detector, world, explain)
    own = open_dataset(run.data.dataset)
    validation = _predict_split(task, run, own.split(run.data.validation_split), own.manifest.detector, world, False)
    temperature = fit_temperature(validation.log_probability, validation.truth)
    calibrated = score(predicted.truth, apply_temperature(predicted.log_probability, temperature), run.data.classes)
    probabilities = np.exp(predicted.log_probability)
    predictions = Predictions(
        ids=tuple(predicted.keys),
        truth=predicted.truth,
        probabilities=probabilities / probabilities.sum(1, keepdims=True),
        classes=run.data.classes,
        text=None if predicted.text is None else tuple(predicted.text),
        time_s=predicted.time_s,
    )
    return predictions, {
        "temperature": temperature,
        "calibrated_expected_calibration_error": calibrated.expected_calibration_error,
        "calibrated_brier": calibrated.brier,
    }


def _predict_split(task: Task, run: Run, split, detector, world: World, explain: bool) -> Predicted:
    samples = Samples(split, ImageView(run.view, detector), detector, run.data.classes)
    return predict(task, samples, world, run.batch.per_rank, explain)


def write_report(folder: Path, name: str, predictions: Predictions, scores: Scores, extra: dict) -> None:
    folder.mkdir(exist_ok=True)
    write_predictions(folder / "predictions.parquet", predictions)
    write_scores(folder / "scores.json", scores, extra)
    plot_confusion(folder / "confusion.png", scores, name)
    plot_roc(folder / "roc.png", predictions, scores, name)
    plot_reliability(folder / "reliability.png", predictions, scores, name)


def show(
    scores: dict[str, Scores], predictions: dict[str, Predictions], reports: dict[str, dict], as_json: bool
) -> None:
    if as_json:
        print(json.dumps({name: {**reports[name], "scores": scores[name].to_json()} for name in scores}))
        return
    console = Console()
    # A log file has no width of its own, and a wrapped table cannot be read.
    console.width = max(console.width, 150) if not console.is_terminal else console.width
    console.print(comparison_table(scores))
    if len(scores) > 1:
        console.print(paired_table(predictions))
