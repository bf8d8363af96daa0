"""Tables that set runs side by side: rich tables for a terminal, Markdown for pages."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from rich.table import Table
from rich.text import Text

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.metrics import Estimate, Scores, mcnemar
from hpc_nuvlm.report import class_title
from hpc_nuvlm.report.predictions import Predictions

UNDEFINED = "–"


def comparison_table(runs: dict[str, Scores]) -> Table:
    """One row per run; the interval is the 95 % bootstrap interval, a dash is an undefined value."""
    return _table("Scores, accuracy with its 95 % interval", *_comparison(runs))


def comparison_markdown(runs: dict[str, Scores]) -> str:
    """`comparison_table` as a Markdown table."""
    header, rows = _comparison(runs)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def paired_table(runs: dict[str, Predictions]) -> Table:
    """One row per pair of runs: events that only one of them has right, and the exact McNemar p-value."""
    if len(runs) < 2:
        raise UserError(f"paired test: there is {len(runs)} run; give at least two that scored the same events")
    _check_same_events(runs)
    rows = []
    for (name_a, a), (name_b, b) in combinations(runs.items(), 2):
        paired = mcnemar(a.truth, a.predicted, b.predicted)
        rows.append([name_a, name_b, str(paired.only_a_right), str(paired.only_b_right), _p_value(paired.p_value)])
    num_events = len(next(iter(runs.values())).truth)
    table = _table(
        f"Paired on {num_events:,} events, exact McNemar", ["run A", "run B", "only A right", "only B right", "p"], rows
    )
    table.caption = f"p is not corrected for the number of tests, {len(rows)}"
    return table


def _comparison(runs: dict[str, Scores]) -> tuple[list[str], list[list[str]]]:
    if not runs:
        raise UserError("comparison: there is no run; give at least one")
    # In order of first appearance: runs may have been trained on different classes
    classes = list(dict.fromkeys(name for scores in runs.values() for name in scores.classes))
    header = ["run", "events", "accuracy", "balanced accuracy", "macro F1", "macro AUC", "ECE"]
    header += [f"recall {class_title(name)}" for name in classes]
    return header, [_comparison_row(name, scores, classes) for name, scores in runs.items()]


def _comparison_row(name: str, scores: Scores, classes: list[str]) -> list[str]:
    macro = (scores.balanced_accuracy.value, scores.macro_f1.value, scores.macro_auc.value)
    recalls = (scores.per_class[name].recall if name in scores.per_class else None for name in classes)
    return [
        name,
        f"{scores.num_events:,}",
        format_estimate(scores.accuracy),
        *map(_number, (*macro, scores.expected_calibration_error, *recalls)),
    ]


def _table(title: str, header: list[str], rows: list[list[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        # Text, because rich would take a run name with brackets for markup
        table.add_row(*map(Text, row))
    return table


def format_estimate(estimate: Estimate) -> str:
    """`0.893 [0.874, 0.911]`; a dash for what is undefined."""
    if estimate.low is None:
        return _number(estimate.value)
    return f"{_number(estimate.value)} [{_number(estimate.low)}, {_number(estimate.high)}]"


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"


def _p_value(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


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
