"""Study: one question, many runs. A YAML file names runs by configuration and overrides, over a grid; each is trained
by the launcher as a person would, scored on the same events, and becomes a row of a table.

It can be stopped and started again: a run that is scored is not touched, one that is trained is only scored, one that
was interrupted continues. What is scored is in the study's record alone: with it a study goes on without the runs, on
another machine too. Searches are studies scored on validation events.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from hpc_nuvlm.config import load_run
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, StopRequest
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.settings import Part, PositiveInt

Tell = Callable[[str], None]
# How often a training is asked whether it has ended, and a stop is passed on to it
POLL_S = 0.5


class Family(Part):
    """Runs of one configuration: one for every case and every combination of the values in `grid`."""

    # Must tell runs apart: {KEY} stands for a value of the grid, by the last part of its key
    name: str
    config: Path
    # Overrides of every run, those that change together, and those that take several values
    set: dict[str, Any] = Field({})
    cases: tuple[dict[str, Any], ...] = ({},)
    grid: dict[str, tuple[Any, ...]] = Field({})


class Scored(Part):
    """Events that every run is scored on, and those that calibration is fitted on (see launch/evaluate.py)."""

    dataset: Path
    split: str
    # own: the validation events that its weights were chosen on; none: as where these are what is scored
    calibrate: str = "own"


class Study(Part):
    """What is asked, and of which runs."""

    title: str
    # Runs go to FOLDER/NAME, the record and the table to FOLDER/study.json and study.md
    folder: Path
    families: tuple[Family, ...]
    score: Scored
    # Name of the family whose lowest validation loss others are timed by, in steps; None: the table says no steps
    baseline: str | None = None
    # Processes that train one run together
    processes: PositiveInt = 2


@dataclass(frozen=True)
class Trial:
    """One run of a study."""

    name: str
    config: Path
    overrides: tuple[str, ...]
    values: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of everything that decides the trial: what its configuration says, comments aside, and its overrides."""
        text = json.dumps([yaml.safe_load(self.config.read_text()), *self.overrides])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def trials_of(study: Study) -> list[Trial]:
    """All runs, in order; ConfigError if two have the same name or a configuration is not there."""
    trials = []
    for family in study.families:
        if not family.config.is_file():
            raise ConfigError(f"families: {family.config}: no such file; name a configuration of a run")
        for case, *combination in itertools.product(family.cases, *family.grid.values()):
            values = case | dict(zip(family.grid, combination))
            short = {key.rpartition(".")[2]: value for key, value in values.items()}
            name = _name(family.name, short)
            fixed = {**family.set, **values, "folder": str(study.folder / name)}
            # A value may name another run of the study
            settings = {key: _filled(value, short, study.folder) for key, value in fixed.items()}
            overrides = tuple(f"{key}={json.dumps(value)}" for key, value in settings.items())
            trials.append(Trial(name, family.config, overrides, values))
    known = [table_name(family) for family in study.families]
    if study.baseline not in (None, *known):
        raise ConfigError(f"baseline: no family is called {study.baseline!r}; there are {', '.join(known)}")
    names = [trial.name for trial in trials]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"families: several runs are called {twice[0]!r}; put {{KEY}} of their grid into the name")
    return trials


def _name(template: str, values: Mapping[str, Any]) -> str:
    try:
        return template.format(**values)
    except (KeyError, IndexError) as error:
        raise ConfigError(
            f"families: name {template!r}: the grid has no key {error}; it has {', '.join(values)}"
        ) from error


def _filled(value: Any, short: Mapping[str, Any], folder: Path) -> Any:
    """Strings with {KEY} of the grid and {folder} of the study put in."""
    return value.format(folder=folder, **short) if isinstance(value, str) and "{" in value else value


def run_study(study: Study, stop: StopRequest, tell: Tell) -> int:
    """Train and score what is missing, and write the record after every trial; 0, or the exit code of a stop."""
    record_path = study.folder / "study.json"
    record = read_record(record_path)
    trials = trials_of(study)
    for trial in trials:
        # A mistake in the last is told before hours are spent on the first
        load_run(trial.config, trial.overrides)
    for number, trial in enumerate(trials, 1):
        known = record.get(trial.name)
        if known and known["digest"] == trial.digest and known["scored_on"] == str(study.score):
            continue
        tell(f"{study.folder}: {trial.name}, {number} of {len(trials)}")
        code, seconds = train_trial(study, trial, stop)
        if code == EXIT_REQUEUE or stop.received is not None:
            tell(f"stopped in {trial.name}; the same command continues here")
            return EXIT_REQUEUE
        if code:
            raise UserError(f"{trial.name}: training ended with exit code {code}; its message is above")
        record[trial.name] = row_of(study, trial, seconds)
        write_record(record_path, record)
        (study.folder / "study.md").write_text(table_of(study, record))
    tell(table_of(study, record))
    return 0


def train_trial(study: Study, trial: Trial, stop: StopRequest) -> tuple[int, float]:
    """Exit code of the launcher, and how long it took [s]: little, where the run was trained before."""
    # torchrun finds a free port by itself, so that studies can run beside each other
    many = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={study.processes}"]
    launcher = [sys.executable, *(many if study.processes > 1 else [])]
    started_s = time.monotonic()
    process = subprocess.Popen([*launcher, "launch/train.py", str(trial.config), *trial.overrides])
    told = False
    while process.poll() is None:
        if stop.received is not None and not told:
            # Once: a second one would mean now
            process.send_signal(signal.SIGTERM)
            told = True
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_S)
    return process.returncode, time.monotonic() - started_s


def row_of(study: Study, trial: Trial, seconds: float) -> dict:
    """Scores of a trained run, and how it got there."""
    folder = study.folder / trial.name
    command = [sys.executable, "launch/evaluate.py", str(folder), "--data", str(study.score.dataset)]
    command += ["--split", study.score.split, "--calibrate", study.score.calibrate, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{trial.name}: scoring failed: {done.stderr.strip()}")
    scores = json.loads(done.stdout)[trial.name]["scores"]
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    curve = [
        {"step": line["step"], "loss": line["loss"], "accuracy": line["accuracy"]}
        for line in lines
        if line["kind"] == "validation"
    ]
    return {
        "digest": trial.digest,
        "scored_on": str(study.score),
        "values": dict(trial.values),
        "validation_accuracy": max(point["accuracy"] for point in curve),
        "validation": curve,
        "accuracy": scores["accuracy"],
        "macro_auc": scores["macro_auc"],
        "expected_calibration_error": scores["expected_calibration_error"],
        "seconds": round(seconds, 1),
    }


def read_record(path: Path) -> dict[str, dict]:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}; remove the file, and its runs are scored again") from error


def write_record(path: Path, record: dict[str, dict]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n")
    partial.rename(path)


def steps_to_reach(curve: list[dict], loss: float) -> int | None:
    """The first step whose validation loss is at most `loss`; None if it never is."""
    return next((point["step"] for point in curve if point["loss"] <= loss), None)


def table_of(study: Study, record: dict[str, dict]) -> str:
    """Markdown: a row for each setting, its seeds together: mean and standard deviation over them."""
    groups = groups_of(study, record)
    bars = {setting: lowest_loss(rows) for (name, setting), rows in groups.items() if name == study.baseline}
    lines = [f"# {study.title}", "", f"Scored on {study.score.dataset}, split {study.score.split}.", ""]
    timed = f" steps to the lowest loss of {study.baseline} |" if study.baseline else ""
    lines += [f"| run | setting | seeds | validation accuracy | accuracy | macro AUC | ECE |{timed}"]
    lines += ["|---|---|---:|---:|---:|---:|---:|" + ("---:|" if timed else "")]
    for (name, setting), rows in groups.items():
        told = ", ".join(f"{key} {value}" for key, value in setting) or "–"
        numbers = [[row["validation_accuracy"] for row in rows]]
        numbers += [[row[key]["value"] for row in rows] for key in ("accuracy", "macro_auc")]
        numbers += [[row["expected_calibration_error"] for row in rows]]
        cells = [*map(spread, numbers), *([steps_of(rows, bars.get(setting))] if timed else [])]
        lines.append(f"| {name} | {told} | {len(rows)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def groups_of(study: Study, record: dict[str, dict]) -> dict[tuple, list[dict]]:
    """Rows of the record that differ in their seed alone, by family and setting."""
    groups: dict[tuple, list[dict]] = {}
    for family in study.families:
        for trial in trials_of(study.model_copy(update={"families": (family,), "baseline": None})):
            if trial.name in record:
                setting = tuple((key, value) for key, value in trial.values.items() if key != "seed")
                groups.setdefault((table_name(family), setting), []).append(record[trial.name])
    return groups


def table_name(family: Family) -> str:
    """What the table calls a family: its name without the seed."""
    return family.name.replace("-{seed}", "")


def lowest_loss(rows: list[dict]) -> float:
    """Mean over seeds of the lowest validation loss [nats]."""
    return statistics.fmean(min(point["loss"] for point in row["validation"]) for row in rows)


def steps_of(rows: list[dict], loss: float | None) -> str:
    """After how many steps each seed first had at most this loss when it was validated."""
    if loss is None:
        return "–"
    steps = [steps_to_reach(row["validation"], loss) for row in rows]
    return ", ".join("never" if step is None else str(step) for step in steps)


def spread(values: list[float]) -> str:
    """Mean, and the standard deviation of one value where there are several."""
    mean = statistics.fmean(values)
    return f"{mean:.3f} ± {statistics.stdev(values):.3f}" if len(values) > 1 else f"{mean:.3f}"
