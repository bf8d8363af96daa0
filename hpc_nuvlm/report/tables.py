"""Tables that set runs side by side: rich tables for a terminal, Markdown for pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from rich.table import Table
from rich.text import Text
from scipy.stats import binomtest

from hpc_nuvlm.calibration import CalibrationScores, Quality
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.metrics import Estimate, Scores
from hpc_nuvlm.paired import PairedAuc, delong, mcnemar
from hpc_nuvlm.report import class_title
from hpc_nuvlm.report.predictions import Predictions

UNDEFINED = "–"


@dataclass(frozen=True)
class Sheet:
    """What a table says; `note` stands below it."""

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str | None = None


def as_table(sheet: Sheet) -> Table:
    table = Table(title=sheet.title, title_justify="left", caption=sheet.note, caption_justify="left")
    for i, name in enumerate(sheet.header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in sheet.rows:
        # Text, because rich would take a run name with brackets for markup
        table.add_row(*map(Text, row))
    return table


def as_markdown(sheet: Sheet) -> str:
    """The title as bold text, the table, the note."""
    lines = [sheet.header, ["---", *["---:"] * (len(sheet.header) - 1)], *sheet.rows]
    table = "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)
    return f"**{sheet.title}**\n\n{table}" + (f"\n{sheet.note}.\n" if sheet.note else "")


def comparison(runs: dict[str, Scores]) -> Sheet:
    """One row per run; the interval is the 95 % bootstrap interval, a dash is an undefined value."""
    _refuse_none(runs)
    classes = _classes_of(runs.values())
    rows = [[name, *_score_cells(scores, classes)] for name, scores in runs.items()]
    return Sheet("Scores, accuracy with its 95 % interval", ["run", *_score_header(classes)], rows)


def per_class(runs: dict[str, Scores]) -> Sheet:
    """One row per run and class; intervals of precision and recall are Wilson's, 95 %."""
    _refuse_none(runs)
    rows = []
    for run, scores in runs.items():
        predicted = np.sum(scores.confusion, axis=0).tolist()
        for i, (name, found) in enumerate(scores.per_class.items()):
            right = scores.confusion[i][i]
            fractions = (_fraction(right, predicted[i]), _fraction(right, found.num_events))
            numbers = map(_number, (found.f1, found.auc))
            rows.append([run, class_title(name), f"{found.num_events:,}", *fractions, *numbers])
    header = ["run", "class", "events", "precision (purity)", "recall (efficiency)", "F1", "AUC"]
    return Sheet("By class, with 95 % intervals", header, rows)


def per_slice(kind: str, runs: dict[str, dict[str, Scores]]) -> Sheet | None:
    """One row per slice and run, slices together; `kind` heads their column. None if truth told no slices."""
    _refuse_none(runs)
    names = list(dict.fromkeys(name for slices in runs.values() for name in slices))
    if not names:
        return None
    classes = _classes_of(scores for slices in runs.values() for scores in slices.values())
    rows = [
        [name, run, *_score_cells(slices[name], classes)]
        for name in names
        for run, slices in runs.items()
        if name in slices
    ]
    title = f"By {kind}, accuracy with its 95 % interval"
    return Sheet(title, [kind, "run", *_score_header(classes)], rows)


def calibrations(runs: dict[str, CalibrationScores]) -> Sheet:
    """One row per run: errors before and after calibration, and how often sets of classes hold the true one."""
    _refuse_none(runs)
    (first, *_) = runs.values()
    header = ["run", "fitted on", "temperature", "ECE", "Brier", "set holds truth", "mean size"]
    header += ["by class: set holds truth", "mean size"]
    nominal = f"{100 * first.conformal.nominal:g} %"
    note = f"before → after the temperature; sets shall hold the true class of {nominal} of the events"
    if first.prior_corrected is not None:
        header[5:5] = ["accuracy, priors moved", "ECE, priors moved"]
        note += f"; priors moved: {first.prior_corrected.kind}"
    return Sheet("Calibration", header, [_calibration_row(name, scores) for name, scores in runs.items()], note)


def paired(runs: dict[str, Predictions]) -> Sheet:
    """One row per pair of runs: exact McNemar of the predicted classes, DeLong of each class's AUC."""
    if len(runs) < 2:
        raise UserError(f"paired test: there is {len(runs)} run; give at least two that scored the same events")
    _check_same_events(runs)
    rows = [[name_a, name_b, *_pair_cells(a, b)] for (name_a, a), (name_b, b) in combinations(runs.items(), 2)]
    first = next(iter(runs.values()))
    header = ["run A", "run B", "only A right", "only B right", "p"]
    header += [f"AUC {class_title(name)}, A - B (p)" for name in first.classes]
    title = f"Paired on {len(first.truth):,} events: exact McNemar, and DeLong of the AUC"
    return Sheet(title, header, rows, f"p is not corrected for the number of tests, {len(rows) * (len(header) - 4)}")


def format_estimate(estimate: Estimate) -> str:
    """`0.893 [0.874, 0.911]`; a dash for what is undefined."""
    return _with_interval(estimate.value, estimate.low, estimate.high)


def _score_header(classes: list[str]) -> list[str]:
    header = ["events", "accuracy", "balanced accuracy", "macro F1", "macro AUC", "ECE"]
    return header + [f"recall {class_title(name)}" for name in classes]


def _score_cells(scores: Scores, classes: list[str]) -> list[str]:
    macro = (scores.balanced_accuracy.value, scores.macro_f1.value, scores.macro_auc.value)
    recalls = (scores.per_class[name].recall if name in scores.per_class else None for name in classes)
    return [
        f"{scores.num_events:,}",
        format_estimate(scores.accuracy),
        *map(_number, (*macro, scores.expected_calibration_error, *recalls)),
    ]


def _classes_of(scores: Iterator[Scores]) -> list[str]:
    # In order of first appearance: runs may have been trained on different classes
    return list(dict.fromkeys(name for one in scores for name in one.classes))


def _calibration_row(run: str, scores: CalibrationScores) -> list[str]:
    row = [run, f"{scores.num_events:,} events", f"{scores.temperature:.2f}"]
    row += [
        _change(scores.before, scores.after, "expected_calibration_error"),
        _change(scores.before, scores.after, "brier"),
    ]
    if scores.prior_corrected is not None:
        quality = scores.prior_corrected.quality
        row += [_number(quality.accuracy), _number(quality.expected_calibration_error)]
    for found in (scores.conformal, scores.conformal_by_class):
        row += [_with_interval(found.coverage, found.low, found.high), f"{found.mean_size:.2f}"]
    return row


def _change(before: Quality, after: Quality, name: str) -> str:
    return f"{_number(getattr(before, name))} → {_number(getattr(after, name))}"


def _pair_cells(a: Predictions, b: Predictions) -> list[str]:
    found = mcnemar(a.truth, a.predicted, b.predicted)
    cells = [str(found.only_a_right), str(found.only_b_right), _p_value(found.p_value)]
    for i in range(len(a.classes)):
        is_class = a.truth == i
        both = is_class.any() and not is_class.all()
        cells.append(
            _auc_difference(delong(is_class, a.probabilities[:, i], b.probabilities[:, i])) if both else UNDEFINED
        )
    return cells


def _auc_difference(found: PairedAuc) -> str:
    p_value = UNDEFINED if found.p_value is None else _p_value(found.p_value)
    return f"{found.difference:+.3f} ({p_value})"


def _fraction(part: int, whole: int) -> str:
    if not whole:
        return UNDEFINED
    interval = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    return _with_interval(part / whole, interval.low, interval.high)


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    return _number(value) if low is None else f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"


def _p_value(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _refuse_none(runs: dict) -> None:
    if not runs:
        raise UserError("comparison: there is no run; give at least one")


def _check_same_events(runs: dict[str, Predictions]) -> None:
    (first_name, first), *others = runs.items()
    for name, other in others:
        if other.classes != first.classes:
            _refuse_pair(first_name, f"classes {first.classes}", name, f"classes {other.classes}")
        if len(other.ids) != len(first.ids):
            _refuse_pair(first_name, f"{len(first.ids)} events", name, f"{len(other.ids)} events")
        differ = (np.array(first.ids) != np.array(other.ids)) | (first.truth != other.truth)
        if differ.any():
            i = int(differ.argmax())
            _refuse_pair(first_name, _describe(first, i), name, _describe(other, i))


def _refuse_pair(name_a: str, found_a: str, name_b: str, found_b: str) -> None:
    raise UserError(
        f"paired test: {name_a!r} has {found_a}, {name_b!r} has {found_b}; "
        "both must have scored the same events in the same order: evaluate them on the same split"
    )


def _describe(predictions: Predictions, i: int) -> str:
    return f"event {i} with id {predictions.ids[i]!r} and truth {predictions.classes[predictions.truth[i]]!r}"
