"""How scores fall as events get worse: one panel a kind of damage, one curve a run; as a picture and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from rich.table import Table
from rich.text import Text

from hpc_nuvlm.metrics import Estimate
from hpc_nuvlm.report.predictions import published
from hpc_nuvlm.report.tables import format_estimate

# Okabe and Ito's colours; markers and line styles tell the runs apart in grey
RUN_STYLES = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"),
    ("#E69F00", "v", "-"),
    ("#56B4E9", "P", "--"),
    ("#000000", "X", "-."),
)
GUIDE_COLOR = "0.55"
RESOLUTION_DPI = 160
MOST_COLUMNS = 3
# Runs at the same named level stand side by side, this far apart in all
SPREAD = 0.4


@dataclass(frozen=True)
class Measured:
    """What one run scores on the events at one level."""

    accuracy: Estimate
    expected_calibration_error: float
    num_events: int


@dataclass(frozen=True)
class Panel:
    """One kind of damage. Levels are numbers, or names, which no curve connects."""

    title: str
    # Label of the levels, with their unit
    axis: str
    levels: tuple[float, ...] | tuple[str, ...]
    # The level at which nothing is done
    unchanged: float | str
    # Run -> what it scores at each level
    curves: dict[str, tuple[Measured, ...]]
    # Levels double from one to the next
    doubling: bool = False


def degradation_table(panels: list[Panel], title: str) -> Table:
    """One row per level; of each run the accuracy with its 95 % interval, and the expected calibration error."""
    runs = list(panels[0].curves)
    table = Table(title=Text(title), title_justify="left")
    table.add_column("damage")
    table.add_column("level", justify="right")
    for run in runs:
        table.add_column(Text(f"{run}\naccuracy"), justify="right")
        table.add_column("ECE", justify="right")
    for panel in panels:
        for i, level in enumerate(panel.levels):
            row = [panel.title if i == 0 else "", level if isinstance(level, str) else f"{level:g}"]
            for run in runs:
                measured = panel.curves[run][i]
                row += [format_estimate(measured.accuracy), f"{measured.expected_calibration_error:.3f}"]
            # Text, because rich would take a name with brackets for markup
            table.add_row(*map(Text, row), end_section=i == len(panel.levels) - 1)
    return table


def plot_degradation(path: Path, panels: list[Panel], title: str) -> None:
    """Accuracy against level in each panel, with 95 % intervals as bands; dotted: unchanged."""
    num_columns = min(MOST_COLUMNS, len(panels))
    num_rows = -(-len(panels) // num_columns)
    figure = Figure(figsize=(4.2 * num_columns, 3.5 * num_rows + 0.9), layout="constrained")
    grid = figure.subplots(num_rows, num_columns, sharey=True, squeeze=False)
    styles = dict(zip(panels[0].curves, cycle(RUN_STYLES)))
    for axes, panel in zip(grid.ravel(), panels):
        draw = _draw_names if isinstance(panel.unchanged, str) else _draw_curves
        draw(axes, panel, styles)
        axes.set(xlabel=panel.axis)
        axes.set_title(panel.title, fontsize=12, parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(labelleft=True)
    for axes in grid[:, 0]:
        axes.set(ylabel="accuracy")
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    # A name is no formula: $ would start one
    figure.suptitle(title, fontsize=13, parse_math=False)
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle=line, markersize=5)
        for color, marker, line in styles.values()
    ]
    legend = figure.legend(handles, list(styles), loc="outside lower center", ncols=min(4, len(styles)), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    with published(path) as file:
        figure.savefig(file, format="png", dpi=RESOLUTION_DPI)


def _draw_curves(axes: Axes, panel: Panel, styles: dict[str, tuple[str, str, str]]) -> None:
    if panel.doubling:
        axes.set_xscale("log", base=2)
    axes.axvline(panel.unchanged, color=GUIDE_COLOR, linestyle=":", linewidth=1.2)
    for run, measured in panel.curves.items():
        color, marker, line = styles[run]
        value, low, high = _estimates(measured)
        axes.fill_between(panel.levels, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(panel.levels, value, color=color, marker=marker, linestyle=line, markersize=5)
    axes.set_xticks(panel.levels, [f"{level:g}" for level in panel.levels])
    axes.minorticks_off()


def _draw_names(axes: Axes, panel: Panel, styles: dict[str, tuple[str, str, str]]) -> None:
    places = np.arange(len(panel.levels), dtype=float)
    offsets = np.linspace(-SPREAD / 2, SPREAD / 2, len(panel.curves)) if len(panel.curves) > 1 else (0.0,)
    for offset, (run, measured) in zip(offsets, panel.curves.items()):
        color, marker, _ = styles[run]
        value, low, high = _estimates(measured)
        axes.errorbar(
            places + offset,
            value,
            np.maximum([value - low, high - value], 0),
            color=color,
            fmt=marker,
            markersize=5,
            capsize=3,
        )
    names = axes.set_xticks(places, panel.levels, rotation=20, ha="right")
    for name in names:
        name.label1.set_parse_math(False)
    axes.set_xlim(-0.6, len(places) - 0.4)


def _estimates(measured: tuple[Measured, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracy and the ends of its interval at each level."""
    rows = [(one.accuracy.value, one.accuracy.low, one.accuracy.high) for one in measured]
    return tuple(np.array(rows, np.float64).T)
