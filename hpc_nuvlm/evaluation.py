"""evaluate(): one protocol for every family: the same events, the same scores, side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from hpc_nuvlm.calibration import Calibrated, CalibrationScores, Judged, Options, calibrate
from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.predict import Predicted, predict
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Truth
from hpc_nuvlm.metrics import Scores, score
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.report import tables
from hpc_nuvlm.report.plots import plot_confusion, plot_reliability, plot_roc
from hpc_nuvlm.report.predictions import Predictions, published, write_predictions, write_scores
from hpc_nuvlm.runs import load_best, open_run
from hpc_nuvlm.slices import by_energy, by_mode, score_slices
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import samples_of

OWN, NONE = "own", "none"


@dataclass(frozen=True)
class Place:
    """One split of one dataset."""

    dataset: Path
    split: str

    def __str__(self) -> str:
        return f"{self.dataset}:{self.split}"


@dataclass(frozen=True)
class Request:
    """What is scored, and what is made of it."""

    scored: Place
    options: Options
    # Events that calibration is fitted on: OWN (the run's validation split), NONE, or DATASET:SPLIT
    calibrate: str = OWN
    explain: bool = False
    as_json: bool = False
    # File for all tables; None: none is written
    markdown: Path | None = None
    # Fields of data.context that read "unknown", beside those that a run hides itself
    hide: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluated:
    """One run on the scored events; `slices` by what they are slices of, then by name."""

    predictions: Predictions
    scores: Scores
    slices: dict[str, dict[str, Scores]]
    # Where calibration was fitted, and what it did; None: it was left out
    calibrated_on: Place | None
    calibration: CalibrationScores | None


def evaluate(folders: list[Path], request: Request, world: World) -> None:
    """Score each run's best weights on a split; writes RUN/evaluation-SPLIT[-HIDDEN]/, prints the table of all runs."""
    runs = {run.folder.name: run for run in (hide_fields(open_run(folder), request.hide) for folder in folders)}
    if len(runs) < len(folders):
        raise ConfigError(f"runs {', '.join(map(str, folders))}: two have the same folder name; rename one")
    places = {name: calibration_place(request.calibrate, run) for name, run in runs.items()}
    truths = read_truths(request.scored)
    results = {}
    for name, run in runs.items():
        results[name] = evaluate_run(run, request, places[name], truths, world)
        if world.main:
            folder = run.folder / "-".join(["evaluation", request.scored.split, *request.hide])
            write_report(folder, name, results[name], describe(name, results[name], request))
    if world.main:
        show(results, request)


def hide_fields(run: Run, names: tuple[str, ...]) -> Run:
    """The run with these fields of its context hidden too; a run without context is as it was."""
    context = run.data.context
    if context is None or not names:
        return run
    hidden = context.model_copy(update={"hide": tuple(dict.fromkeys((*context.hide, *names)))})
    return run.model_copy(update={"data": run.data.model_copy(update={"context": hidden})})


def calibration_place(text: str, run: Run) -> Place | None:
    """Where the events lie that a run is calibrated on; None: nowhere, calibration is left out."""
    if text == NONE:
        return None
    if text == OWN:
        return Place(run.data.dataset, run.data.validation_split)
    dataset, _, split = text.rpartition(":")
    if not (dataset and split):
        raise ConfigError(f"--calibrate {text}: write it as DATASET:SPLIT, for instance datasets/dune:val, or {NONE}")
    return Place(Path(dataset), split)


def read_truths(place: Place) -> list[Truth]:
    """What is known of every event of the split, in its order."""
    return [event.truth for event in open_dataset(place.dataset).split(place.split)]


def evaluate_run(run: Run, request: Request, place: Place | None, truths: list[Truth], world: World) -> Evaluated:
    """Predict the scored events, and those that calibration is fitted on; then score."""
    views = open_dataset(request.scored.dataset).manifest.detector.num_views
    task = load_best(run, views).to(world.device)
    predicted = predict_split(task, run, request.scored, world, request.explain)
    calibrated, calibration = None, None
    if place is not None:
        reference = predict_split(task, run, place, world, explain=False)
        calibrated, calibration = calibrate(_judged(reference), _judged(predicted), run.data.classes, request.options)
    predictions = predictions_of(predicted, run.data.classes, calibrated)
    scored = (predictions.truth, predictions.probabilities, predictions.classes)
    slices = {
        "energy": score_slices(*scored, by_energy(np.array([truth.nu_energy_gev for truth in truths]))),
        "mode": score_slices(*scored, by_mode([truth.mode for truth in truths])),
    }
    return Evaluated(predictions, score(*scored), slices, place, calibration)


def predict_split(task: Task, run: Run, place: Place, world: World, explain: bool) -> Predicted:
    """What the task says of every event of a split, seen as the run sees its own."""
    samples = samples_of(run, open_dataset(place.dataset), place.split)
    return predict(task, samples, world, run.batch.per_rank, explain)


def predictions_of(predicted: Predicted, classes: tuple[str, ...], calibrated: Calibrated | None) -> Predictions:
    probabilities = np.exp(predicted.log_probability)
    return Predictions(
        ids=tuple(predicted.keys),
        truth=predicted.truth,
        probabilities=probabilities / probabilities.sum(1, keepdims=True),
        classes=classes,
        text=None if predicted.text is None else tuple(predicted.text),
        time_s=predicted.time_s,
        calibrated=calibrated,
    )


def describe(name: str, result: Evaluated, request: Request) -> dict:
    """What was scored, and all that was found but the scores, as plain fields."""
    calibration = None
    if result.calibration is not None:
        place = result.calibrated_on
        where = {"dataset": str(place.dataset), "split": place.split}
        calibration = where | result.calibration.to_json()
    return {
        "run": name,
        "split": request.scored.split,
        "dataset": str(request.scored.dataset),
        "hidden_context": list(request.hide),
        "calibration": calibration,
        "slices": {
            kind: {part: scores.to_json() for part, scores in parts.items()} for kind, parts in result.slices.items()
        },
    }


def write_report(folder: Path, name: str, result: Evaluated, extra: dict) -> None:
    folder.mkdir(exist_ok=True)
    write_predictions(folder / "predictions.parquet", result.predictions)
    write_scores(folder / "scores.json", result.scores, extra)
    plot_confusion(folder / "confusion.png", result.scores, name)
    plot_roc(folder / "roc.png", result.predictions, result.scores, name)
    plot_reliability(folder / "reliability.png", result.predictions, result.scores, name)


def show(results: dict[str, Evaluated], request: Request) -> None:
    """Print the tables of all runs, or everything as JSON; write the Markdown that was asked for."""
    if request.markdown is not None:
        with published(request.markdown) as file:
            text = "\n".join(map(tables.as_markdown, [*headlines(results), *details(results)]))
            file.write(text.encode())
    if request.as_json:
        fields = {name: describe(name, result, request) for name, result in results.items()}
        print(json.dumps({name: {**fields[name], "scores": results[name].scores.to_json()} for name in results}))
        return
    console = Console()
    # A log file has no width of its own, and a wrapped table cannot be read.
    console.width = max(console.width, 150) if not console.is_terminal else console.width
    for sheet in headlines(results):
        console.print(tables.as_table(sheet))


def headlines(results: dict[str, Evaluated]) -> list[tables.Sheet]:
    """Runs side by side: scores, calibration, paired tests."""
    sheets = [tables.comparison({name: result.scores for name, result in results.items()})]
    calibrations = {name: result.calibration for name, result in results.items() if result.calibration is not None}
    if calibrations:
        sheets.append(tables.calibrations(calibrations))
    if len(results) > 1:
        sheets.append(tables.paired({name: result.predictions for name, result in results.items()}))
    return sheets


def details(results: dict[str, Evaluated]) -> list[tables.Sheet]:
    """By class; by energy and by mode, where truth knows them."""
    by_class = tables.per_class({name: result.scores for name, result in results.items()})
    titles = {"energy": "true neutrino energy", "mode": "interaction mode"}
    by_slice = [
        tables.per_slice(title, {name: result.slices[kind] for name, result in results.items()})
        for kind, title in titles.items()
    ]
    return [by_class, *filter(None, by_slice)]


def _judged(predicted: Predicted) -> Judged:
    return Judged(tuple(predicted.keys), predicted.truth, predicted.log_probability)
