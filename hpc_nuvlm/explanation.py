"""explain(): is what a run says of pictures true, is it what it scores, and does it name what it decides by?

Texts are judged as they come, and again without the claims that the model is unsure of. How sure it must be is fitted
on other events than those scored.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.evaluation import Place
from hpc_nuvlm.event import Truth
from hpc_nuvlm.explaining.deletion import Deletion, find_regions, measure_deletion
from hpc_nuvlm.explaining.gallery import choose_examples
from hpc_nuvlm.explaining.sheets import deletion_sheet, kind_sheet, overall_sheet, share_of
from hpc_nuvlm.explaining.sureness import Threshold, check_fitting_events, fit_thresholds, leave_out_unsure
from hpc_nuvlm.explaining.texts import Kept, Speaker, Told, tell
from hpc_nuvlm.rationale import ClaimScores, Ratio, Window, read, read_class, score_claims
from hpc_nuvlm.report.explanations import plot_examples
from hpc_nuvlm.report.predictions import published
from hpc_nuvlm.report.tables import Sheet, as_markdown, as_table
from hpc_nuvlm.runs import load_best, open_run, weights_digest
from hpc_nuvlm.sample import UNLABELLED, Samples
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import samples_of

# Which events are taken where not all are: the same for every run
ORDER_SEED = 0
SAID, STATED, OTHERS = "as written", "unsure left out", "of other events"


@dataclass(frozen=True)
class Request:
    """What is explained, and how sure claims must be to be stated; results go to `out`."""

    run: Path
    scored: Place
    out: Path
    # Where thresholds are fitted; None: on the run's validation split
    fitted: Place | None = None
    # Share of right claims, of each kind, that thresholds aim at
    precision: float = 0.95
    # Events of each split, the first of a fixed permutation; None: all. Where both are one split, thresholds are
    # fitted on the last ones
    num_events: int | None = None
    # File for the tables; None: none is written
    markdown: Path | None = None


@dataclass(frozen=True)
class Asked:
    """Events of one split, as the run sees them, and what is true of them."""

    samples: Samples
    index: tuple[int, ...]
    keys: tuple[str, ...]
    truths: list[Truth]
    windows: list[Window]


@dataclass(frozen=True)
class Explained:
    """`claims`: scores of texts as written, and without unsure claims; each against the truth of other events too."""

    told: Told
    # Texts without unsure claims
    stated: list[str]
    thresholds: dict[str, Threshold]
    claims: dict[str, ClaimScores]
    # Share of texts whose class is the scored one; those that name none are not among them
    agreement: Ratio
    num_without_class: int
    accuracy_of_text: Ratio
    accuracy_of_score: Ratio
    deletion: Deletion


def explain(request: Request, world: World) -> None:
    """Write texts, tables and pictures of the events to the folder `out`; print the tables."""
    if not 0 < request.precision < 1:
        raise ConfigError(f"--precision {request.precision}: must lie between 0 and 1")
    run = open_run(request.run)
    fitted_place = request.fitted or Place(run.data.dataset, run.data.validation_split)
    scored = ask(run, request.scored, request.num_events)
    fitted = ask(run, fitted_place, request.num_events, from_end=fitted_place == request.scored)
    # Before texts are written, which takes long
    check_fitting_events(fitted.keys, fitted.truths, scored.keys)
    views = max(asked.samples.detector.num_views for asked in (scored, fitted))
    speaker = Speaker(load_best(run, views).to(world.device), world, run.batch.per_rank)
    weights = weights_digest(run)
    told = hear(speaker, scored, request.out / "texts.jsonl", weights)
    told_fitted = hear(speaker, fitted, request.out / "texts-for-thresholds.jsonl", weights)
    thresholds = fit_thresholds(told_fitted, fitted.truths, fitted.windows, request.precision, scored.keys)
    result = judge_texts(speaker, scored, told, thresholds)
    if world.main:
        sheets = [
            overall_sheet(result.claims, result.agreement),
            kind_sheet({name: result.claims[name] for name in (SAID, STATED)}, thresholds),
            deletion_sheet(result.deletion),
        ]
        write(request, describe(request, fitted_place, result, run.data.classes), sheets)
        plot_examples(request.out / "examples.png", choose_examples(scored, told, result.stated))


def ask(run: Run, place: Place, num_events: int | None, from_end: bool = False) -> Asked:
    """The events of a split, or the first of a fixed permutation of them, or the last."""
    samples = samples_of(run, open_dataset(place.dataset), place.split, unlabelled=True)
    view, detector = samples.view, samples.detector
    order = np.random.default_rng(ORDER_SEED).permutation(len(samples))
    index = (order[::-1] if from_end else order)[:num_events].tolist()
    if len(index) < 2:
        raise UserError(f"{place}: {len(index)} events are too few to compare texts of events; give at least 2")
    events = [samples.split[number] for number in index]
    names = tuple(plane.name for plane in detector.planes)
    windows = [Window(view.windows([event])[0], view.extent, names) for event in events]
    keys = tuple(event.identity.key for event in events)
    return Asked(samples, tuple(index), keys, [event.truth for event in events], windows)


def hear(speaker: Speaker, asked: Asked, path: Path, weights: str) -> Told:
    events = f"{asked.samples.split.fingerprint} {asked.samples.view.view.model_dump_json()}"
    return tell(speaker, asked.samples, asked.index, Kept(path, weights, events))


def judge_texts(speaker: Speaker, scored: Asked, told: Told, thresholds: dict[str, Threshold]) -> Explained:
    stated = leave_out_unsure(told, thresholds)
    others = np.roll(np.arange(len(told.keys)), 1).tolist()
    truths, windows = ([values[other] for other in others] for values in (scored.truths, scored.windows))
    claims = {}
    for name, texts in ((SAID, told.texts), (STATED, stated)):
        claims[name] = score_claims(texts, scored.truths, scored.windows)
        claims[f"{name}, {OTHERS}"] = score_claims(texts, truths, windows)
    classes = scored.samples.classes
    named = [read_class(text, classes) for text in stated]
    named = np.array([UNLABELLED if name is None else classes.index(name) for name in named])
    known = told.label != UNLABELLED
    regions = find_regions(scored.samples, told, [plane.name for plane in scored.samples.detector.planes])
    groups = {
        "all": np.ones(len(named), bool),
        "region stated": np.array([any(claim.kind == "region" for claim in read(text)) for text in stated]),
        **{name: told.predicted == number for number, name in enumerate(classes)},
    }
    return Explained(
        told,
        stated,
        thresholds,
        claims,
        agreement=share_of(int((named == told.predicted).sum()), len(named)),
        num_without_class=int((named == UNLABELLED).sum()),
        accuracy_of_text=share_of(int((named == told.label)[known].sum()), int(known.sum())),
        accuracy_of_score=share_of(int((told.predicted == told.label)[known].sum()), int(known.sum())),
        deletion=measure_deletion(speaker, scored.samples, told, regions, groups),
    )


def describe(request: Request, fitted: Place, result: Explained, classes: tuple[str, ...]) -> dict:
    """What was judged, and all that was found, as plain fields; None: infinite, or undefined."""
    fields = {
        "run": request.run.name,
        "scored": {"dataset": str(request.scored.dataset), "split": request.scored.split},
        "fitted": {"dataset": str(fitted.dataset), "split": fitted.split},
        "num_events": len(result.told.keys),
        "wanted_precision": request.precision,
        "thresholds": {kind: asdict(threshold) for kind, threshold in result.thresholds.items()},
        "claims": {name: scores.to_json() for name, scores in result.claims.items()},
        "num_without_class": result.num_without_class,
        "deletion": asdict(result.deletion),
    }
    shares = ("agreement", "accuracy_of_text", "accuracy_of_score")
    fields |= {name: asdict(getattr(result, name)) for name in shares}
    rows = zip(result.told.keys, result.told.predicted.tolist(), result.told.texts, result.stated)
    texts = [
        {"id": key, "predicted": classes[number], "text": text, "stated": stated} for key, number, text, stated in rows
    ]
    return _finite(fields | {"texts": texts})


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(request: Request, fields: dict, sheets: list[Sheet]) -> None:
    with published(request.out / "explanation.json") as file:
        file.write(json.dumps(fields, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n")
    if request.markdown is not None:
        with published(request.markdown) as file:
            file.write("\n".join(map(as_markdown, sheets)).encode())
    console = Console()
    # A log file has no width of its own, and a wrapped table cannot be read.
    console.width = max(console.width, 170) if not console.is_terminal else console.width
    for sheet in sheets:
        console.print(as_table(sheet))
