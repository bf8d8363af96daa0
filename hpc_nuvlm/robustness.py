"""study(): how the scores of finished runs fall on worse events, without retraining.

Every run meets the same damage at the same levels: degrade() changes the hits before a model's view draws them. What
cannot be done to hits, such as another recombination, comes as further datasets (response.variant of a simulation).
What is measured is kept in OUT/robustness.json, and never measured twice.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from hpc_nuvlm.config import Run
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.engine.predict import predict
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.event import Event
from hpc_nuvlm.metrics import Estimate, score
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.report.degradation import Measured, Panel, degradation_table, plot_degradation
from hpc_nuvlm.report.predictions import published
from hpc_nuvlm.report.tables import format_estimate
from hpc_nuvlm.runs import load_best, open_run, weights_digest
from hpc_nuvlm.sample import Split
from hpc_nuvlm.store import Dataset, open_dataset
from hpc_nuvlm.training import samples_of
from hpc_nuvlm.views.degrade import Degradation, degrade, noise_scale

RESULTS_NAME, PICTURE_NAME = "robustness.json", "robustness.png"
# Raised whenever equal settings do another damage, so that old and new numbers cannot be mixed
STUDY_VERSION = 1
# Field of Degradation -> its levels; that of unchanged events is among them
LEVELS: dict[str, tuple[float, ...]] = {
    "resolution": (1.0, 2.0, 4.0, 8.0, 16.0),
    "noise_hits": (0.0, 50.0, 100.0, 200.0, 400.0),
    "dead": (0.0, 0.02, 0.05, 0.1, 0.2),
    "gain": (0.6, 0.8, 1.0, 1.2, 1.4),
    "pixel_noise": (0.0, 0.1, 0.2, 0.4),
}
TITLES = {
    "resolution": ("Resolution", "side of a block (native pixels)"),
    "noise_hits": ("Noise hits", "hits added to each view"),
    "dead": ("Dead rows", "fraction of the readout rows"),
    "gain": ("Gain", "factor on the charge"),
    "pixel_noise": ("Charge noise", "relative, r.m.s."),
}
UNCHANGED, OTHER_DATASET = "unchanged", "dataset"
# The scale of noise hits is measured on this many events, from the first on
NUM_SCALE_EVENTS = 100


@dataclass(frozen=True)
class Request:
    """What is studied: runs on the split of a dataset, and on the same split of others, by name; results go to out."""

    runs: tuple[Path, ...]
    dataset: Path
    split: str
    also: dict[str, Path]
    out: Path


@dataclass(frozen=True)
class Case:
    """One point of a panel: the events of a dataset, changed by settings."""

    damage: str
    level: float | str
    dataset: Dataset
    settings: Degradation

    def key(self, weights: str, split: str) -> str:
        """What an entry of the results is found by; two cases that are the same events have one key."""
        fingerprint = self.dataset.manifest.fingerprint
        return f"{weights[:16]}/{fingerprint[:16]}/{split}/{self.damage}/{self.level}"


class DegradedSplit:
    """A split whose events are degraded as they are read."""

    def __init__(self, split: Split, settings: Degradation, detector: Detector):
        self.fingerprint = split.fingerprint
        self._split, self._settings, self._detector = split, settings, detector

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> Event:
        return degrade(self._split[index], self._settings, self._detector)

    def labels(self) -> list[str | None]:
        return self._split.labels()


def study(request: Request, world: World, stop: StopRequest) -> int:
    """Measure what the results lack, then write picture and table; the exit code says whether it came to the end."""
    runs = open_runs(request.runs)
    cases, left_out = list_cases(request)
    digests = {name: weights_digest(run) for name, run in runs.items()}
    # Every rank goes by what the first one read
    results = world.gather(load_results(request.out / RESULTS_NAME))[0]
    for name, run in runs.items():
        missing = [case for case in cases if case.key(digests[name], request.split) not in results]
        task = load_best(run, cases[0].dataset.manifest.detector.num_views).to(world.device) if missing else None
        for case in missing:
            if any(world.gather(stop.received is not None)):
                _tell(world, f"{request.out}: stopped; the same command continues here")
                return EXIT_REQUEUE
            measured = measure(task, run, case, request.split, world)
            entry = {"run": name, "damage": case.damage, "level": case.level, "dataset": str(case.dataset.folder)}
            results[case.key(digests[name], request.split)] = entry | asdict(measured)
            if world.main:
                write_results(request.out / RESULTS_NAME, results)
            _tell(world, f"{name}: {case.damage} {case.level}: accuracy {format_estimate(measured.accuracy)}")
    if world.main:
        curves = {
            name: {
                (case.damage, case.level): _measured(results[case.key(digests[name], request.split)]) for case in cases
            }
            for name in runs
        }
        report(request, curves, left_out)
    world.barrier()
    return 0


def open_runs(folders: tuple[Path, ...]) -> dict[str, Run]:
    runs = {run.folder.name: run for run in map(open_run, folders)}
    if len(runs) < len(folders):
        raise ConfigError(f"runs {', '.join(map(str, folders))}: two have the same folder name; rename one")
    return runs


def parse_also(texts: list[str]) -> dict[str, Path]:
    """NAME=DATASET of the command line."""
    also: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder) or name in (*also, UNCHANGED):
            raise ConfigError(
                f"--also {text}: write it as NAME=DATASET, with another name for each, and none called {UNCHANGED}"
            )
        also[name] = Path(folder)
    return also


def list_cases(request: Request) -> tuple[list[Case], dict[str, str]]:
    """All cases, the unchanged events first; and the damages that mean nothing for these events, with the reason."""
    dataset = open_dataset(request.dataset)
    detector, split = dataset.manifest.detector, dataset.split(request.split)
    threshold, mean = noise_scale([split[index] for index in range(min(len(split), NUM_SCALE_EVENTS))])
    base = Degradation(noise_threshold=threshold, noise_mean=mean)
    cases, left_out = [Case(UNCHANGED, UNCHANGED, dataset, base)], {}
    for damage, levels in LEVELS.items():
        kind = type(getattr(base, damage))
        changed = [level for level in levels if level != getattr(base, damage)]
        try:
            settings = [replace(base, **{damage: kind(level)}) for level in changed]
            degrade(split[0], settings[0], detector)
        except ConfigError as error:
            left_out[damage] = str(error)
            continue
        cases += [Case(damage, level, dataset, one) for level, one in zip(changed, settings)]
    for name, folder in request.also.items():
        other = open_dataset(folder)
        other.split(request.split)
        if other.manifest.detector.num_views != detector.num_views:
            raise ConfigError(
                f"--also {name}={folder}: has {other.manifest.detector.num_views} views, {request.dataset} has "
                f"{detector.num_views}; a model needs as many as it learned from: name a dataset of the same detector"
            )
        cases.append(Case(OTHER_DATASET, name, other, base))
    return cases, left_out


def measure(task: Task, run: Run, case: Case, split: str, world: World) -> Measured:
    """The run's scores on the case; probabilities as the model gives them, without a temperature."""
    samples = samples_of(run, case.dataset, split)
    samples = replace(samples, split=DegradedSplit(samples.split, case.settings, samples.detector))
    predicted = predict(task, samples, world, run.batch.per_rank)
    probabilities = np.exp(predicted.log_probability)
    scores = score(predicted.truth, probabilities / probabilities.sum(1, keepdims=True), run.data.classes)
    return Measured(scores.accuracy, scores.expected_calibration_error, scores.num_events)


def load_results(path: Path) -> dict[str, dict]:
    """What was measured before, by key; nothing if there is no file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
        version, results = content["version"], content["results"]
        for entry in results.values():
            _measured(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is damaged: {error!r}; remove it, or name another folder with --out") from error
    if version != STUDY_VERSION:
        raise UserError(
            f"{path}: was written by version {version} of the study, this is {STUDY_VERSION}, and their numbers cannot "
            "be compared; name another folder with --out"
        )
    return results


def write_results(path: Path, results: dict[str, dict]) -> None:
    content = {"version": STUDY_VERSION, "results": results}
    try:
        with published(path) as file:
            file.write(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another folder with --out") from error


def report(request: Request, curves: dict[str, dict[tuple[str, float | str], Measured]], left_out: dict) -> None:
    """Write the picture, print the table."""
    panels = list_panels(request, curves, left_out)
    num_events = next(iter(curves.values()))[UNCHANGED, UNCHANGED].num_events
    title = f"{request.dataset.name}, {request.split}: {num_events:,} events"
    plot_degradation(request.out / PICTURE_NAME, panels, title)
    console = Console()
    # A log file has no width of its own, and a wrapped table cannot be read
    console.width = max(console.width, 150) if not console.is_terminal else console.width
    console.print(degradation_table(panels, title))
    for damage, reason in left_out.items():
        console.print(f"left out: {damage}: {reason}", markup=False, highlight=False, soft_wrap=True)


def list_panels(request: Request, curves: dict[str, dict], left_out: dict) -> list[Panel]:
    panels = []
    neutral = {field.name: float(field.default) for field in fields(Degradation)}
    for damage, levels in LEVELS.items():
        if damage in left_out:
            continue
        places = [(UNCHANGED,) * 2 if level == neutral[damage] else (damage, level) for level in levels]
        drawn = {run: tuple(points[place] for place in places) for run, points in curves.items()}
        panels.append(Panel(*TITLES[damage], levels, neutral[damage], drawn, doubling=damage == "resolution"))
    if request.also:
        places = [(UNCHANGED,) * 2, *((OTHER_DATASET, name) for name in request.also)]
        drawn = {run: tuple(points[place] for place in places) for run, points in curves.items()}
        levels = (UNCHANGED, *request.also)
        panels.append(Panel("Other datasets", "", levels, UNCHANGED, drawn))
    return panels


def _measured(entry: dict) -> Measured:
    accuracy = Estimate(**entry["accuracy"])
    return Measured(accuracy, entry["expected_calibration_error"], entry["num_events"])


def _tell(world: World, text: str) -> None:
    if world.main:
        print(text, flush=True)
