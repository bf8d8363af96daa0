"""Pictures of one scored run, one PNG each: confusion matrix, ROC curves, reliability.

Figures are made without pyplot: it keeps global state and may look for a display.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from hpc_nuvlm.metrics import Reliability, Scores, reliability
from hpc_nuvlm.report import class_title
from hpc_nuvlm.report.predictions import Predictions, published
from hpc_nuvlm.report.tables import UNDEFINED, format_estimate

# Okabe and Ito's colours, told apart with any colour vision; the line style tells them apart in grey.
# A class keeps its colour in every picture, whichever other classes were scored.
CLASS_STYLES = {
    "nue_cc": ("#0072B2", "-"),
    "numu_cc": ("#D55E00", "--"),
    "nutau_cc": ("#009E73", "-."),
    "nc": ("#CC79A7", ":"),
}
OTHER_STYLES = (("#E69F00", "-"), ("#56B4E9", "--"), ("#000000", "-."), ("#999999", ":"))
BAR_COLOR = "#0072B2"
GUIDE_COLOR = "0.55"
RESOLUTION_DPI = 160


def plot_confusion(path: Path, scores: Scores, run_name: str) -> None:
    """Each row, a true class, sums to 100 %: the diagonal is the recall; counts below the percentages."""
    counts = np.array(scores.confusion)
    rows = counts.sum(1, keepdims=True)
    fraction = counts / np.maximum(rows, 1)
    names = [class_title(name) for name in scores.classes]
    figure, axes = _figure(scores, run_name)
    image = axes.imshow(fraction, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        percent = f"{100 * fraction[row, column]:.1f} %" if rows[row, 0] else UNDEFINED
        ink = "white" if fraction[row, column] > 0.55 else "black"
        axes.text(column, row - 0.07, percent, ha="center", va="center", color=ink, fontsize=15, fontweight="bold")
        axes.text(column, row + 0.2, f"{count:,}", ha="center", va="center", color=ink, fontsize=11)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), [f"{name}\n({num:,})" for name, num in zip(names, rows[:, 0], strict=True)])
    axes.set(xlabel="predicted class", ylabel="true class (events)")
    axes.tick_params(length=0, labelsize=12)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="fraction of the true class")
    bar.outline.set_visible(False)
    _save(figure, path)


def plot_roc(path: Path, predictions: Predictions, scores: Scores, run_name: str) -> None:
    """Each class against the rest; the legend gives its AUC, and says where it is undefined."""
    figure, axes = _figure(scores, run_name)
    for name, (color, line), column in zip(
        scores.classes, _styles(scores.classes), predictions.probabilities.T, strict=True
    ):
        auc = scores.per_class[name].auc
        if auc is None:
            axes.plot([], [], color=color, linestyle=line, label=f"AUC undefined: {class_title(name)}")
            continue
        is_class = predictions.truth == scores.classes.index(name)
        false_positive, true_positive, _ = roc_curve(is_class, column)
        label = f"AUC {auc:.3f}: {class_title(name)}"
        axes.plot(false_positive, true_positive, color=color, linestyle=line, linewidth=2.2, label=label)
    axes.plot([0, 1], [0, 1], color=GUIDE_COLOR, linewidth=1, label="no skill")
    axes.set(xlabel="false positive rate", ylabel="true positive rate (efficiency)")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    title = f"macro AUC {format_estimate(scores.macro_auc)}"
    axes.legend(loc="lower right", title=title, frameon=False, alignment="left")
    _tidy(axes)
    _save(figure, path)


def plot_reliability(path: Path, predictions: Predictions, scores: Scores, run_name: str) -> None:
    """Accuracy against confidence, with Wilson 68 % intervals, over a histogram; beside it after calibration."""
    shown = {"": predictions.probabilities}
    if predictions.calibrated is not None:
        shown = {"before calibration: ": predictions.probabilities, "after: ": predictions.calibrated.probabilities}
    figure = Figure(figsize=(6.4 * len(shown), 6.8), layout="constrained")
    columns = figure.subplots(2, len(shown), sharex=True, sharey="row", height_ratios=(3, 1), squeeze=False).T
    _title(columns[0][0], scores, run_name)
    for (upper, lower), (name, probabilities) in zip(columns, shown.items(), strict=True):
        bins = reliability(predictions.truth, probabilities)
        _draw_accuracy(upper, bins)
        upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(-0.02, 1.02))
        title = f"{name}ECE {bins.expected_calibration_error:.3f}"
        upper.legend(loc="best", title=title, frameon=False, alignment="left")
        widths = np.diff(bins.edges)
        lower.bar(bins.edges[:-1], bins.num_events, widths, align="edge", color=BAR_COLOR, edgecolor="white")
        lower.set(xlabel="confidence (probability of the predicted class)", ylabel="events")
        _tidy(upper)
        _tidy(lower)
    _save(figure, path)


def _draw_accuracy(axes: Axes, bins: Reliability) -> None:
    filled = bins.num_events > 0
    num_right, num_events, confidence = bins.num_right[filled], bins.num_events[filled], bins.confidence[filled]
    accuracy = num_right / num_events
    intervals = [
        binomtest(right, total).proportion_ci(0.68, method="wilson")
        for right, total in zip(num_right.tolist(), num_events.tolist(), strict=True)
    ]
    # The Wilson interval holds the accuracy up to rounding, and bars of negative length are refused
    whiskers = np.maximum([[a - i.low, i.high - a] for a, i in zip(accuracy, intervals, strict=True)], 0).T
    axes.plot([0, 1], [0, 1], color=GUIDE_COLOR, linewidth=1, label="perfectly calibrated")
    axes.vlines(
        confidence,
        accuracy,
        confidence,
        color="#D55E00",
        linewidth=5,
        alpha=0.35,
        label="gap; its mean over events is the ECE",
    )
    axes.errorbar(
        confidence,
        accuracy,
        whiskers,
        fmt="o",
        color=BAR_COLOR,
        markersize=6,
        capsize=3,
        label="accuracy, 68 % interval",
    )


def _styles(classes: tuple[str, ...]) -> list[tuple[str, str]]:
    others = [name for name in classes if name not in CLASS_STYLES]
    return [CLASS_STYLES.get(name) or OTHER_STYLES[others.index(name) % len(OTHER_STYLES)] for name in classes]


def _figure(scores: Scores, run_name: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    axes = figure.subplots()
    _title(axes, scores, run_name)
    return figure, axes


def _title(axes: Axes, scores: Scores, run_name: str) -> None:
    title = f"{run_name}\n{scores.num_events:,} events, accuracy {format_estimate(scores.accuracy)}"
    # A name is no formula: $ would start one
    axes.set_title(title, fontsize=13, linespacing=1.4, parse_math=False)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def _save(figure: Figure, path: Path) -> None:
    with published(path) as file:
        figure.savefig(file, format="png", dpi=RESOLUTION_DPI)
