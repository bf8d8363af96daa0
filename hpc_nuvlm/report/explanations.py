"""Pictures of explained events: each event's views with what the text names, and the text beside the truth."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpc_nuvlm.report.predictions import published

RESOLUTION_DPI = 110
NAMED_COLOR, TRUE_COLOR = "#D55E00", "#009E73"
VIEW_INCHES, LINE_INCHES, LINE_LETTERS = 3.2, 0.17, 140
# Faint pixels are to be seen on paper: levels to this power
GAMMA = 0.5
UNSAID = "(nothing)"
# In the names of classes
GREEK = "νμτ"
# Row and column where something begins, and where it ends, in percent of the picture
Ends = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Example:
    """An event as it is shown: 8-bit pictures (V, H, W), and by plane what the text names and what is true."""

    title: str
    image_VHW: np.ndarray
    planes: tuple[str, ...]
    named: dict[str, Ends]
    half_width_percent: float
    true: dict[str, Ends]
    # (heading, text), written below the pictures
    lines: tuple[tuple[str, str], ...]


def plot_examples(path: Path, examples: Sequence[Example]) -> None:
    """One picture of all examples, one below the other."""
    texts = [_wrapped(example) for example in examples]
    heights = [part for text in texts for part in (VIEW_INCHES + 0.5, LINE_INCHES * (text.count("\n") + 2))]
    num_views = max(len(example.image_VHW) for example in examples)
    figure = Figure(figsize=(VIEW_INCHES * num_views + 0.4, sum(heights)), layout="constrained")
    parts = figure.subfigures(2 * len(examples), 1, height_ratios=heights)
    for number, (example, text) in enumerate(zip(examples, texts)):
        shown, told = parts[2 * number], parts[2 * number + 1]
        shown.suptitle(example.title, fontsize=11, fontweight="bold", parse_math=False)
        for view, axes in enumerate(shown.subplots(1, num_views, squeeze=False)[0]):
            axes.set_axis_off() if view >= len(example.image_VHW) else _draw_view(axes, example, view)
        told.text(0.01, 1.0, text, fontsize=8, va="top", family="monospace", parse_math=False)
    with published(path) as file:
        figure.savefig(file, format="png", dpi=RESOLUTION_DPI)


def _draw_view(axes: Axes, example: Example, view: int) -> None:
    """In percent of the picture, rows upwards."""
    plane = example.planes[view]
    picture = (example.image_VHW[view] / 255) ** GAMMA
    axes.imshow(picture, cmap="Greys", vmin=0, vmax=1, origin="lower", extent=(0, 100, 0, 100), interpolation="nearest")
    if plane in example.true:
        row, column, to_row, to_column = np.array(example.true[plane]) + 0.5
        axes.plot([column, to_column], [row, to_row], color=TRUE_COLOR, linewidth=1, linestyle=":", label="true")
        axes.plot(column, row, "o", color=TRUE_COLOR, markersize=4, fillstyle="none")
    if plane in example.named:
        outline = _band_outline(example.named[plane], example.half_width_percent)
        axes.plot(*outline, color=NAMED_COLOR, linewidth=1.2, label="named")
        row, column = np.array(example.named[plane][:2]) + 0.5
        axes.plot(column, row, "o", color=NAMED_COLOR, markersize=4)
    axes.set(xlim=(0, 100), ylim=(0, 100), xticks=(0, 50, 100), yticks=(0, 50, 100), aspect="equal")
    axes.set_title(plane, fontsize=9, parse_math=False)
    axes.tick_params(labelsize=7)
    if view == 0 and (example.true or example.named):
        axes.legend(fontsize=7, loc="upper right")


def _band_outline(ends: Ends, half_width: float) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows around all points within the half width of a line."""
    begin, end = np.reshape(ends, (2, 2)) + 0.5
    direction = np.arctan2(end[0] - begin[0], end[1] - begin[1])
    around = np.linspace(-np.pi / 2, np.pi / 2, 16)
    angle = direction + np.concatenate([around, around + np.pi, around[:1]])
    middle = np.concatenate([np.tile(end, (16, 1)), np.tile(begin, (16, 1)), end[None]])
    return middle[:, 1] + half_width * np.cos(angle), middle[:, 0] + half_width * np.sin(angle)


def _wrapped(example: Example) -> str:
    width = max(len(heading) for heading, _ in example.lines) + 2
    lines = []
    for heading, text in example.lines:
        # A model may say letters that no font has
        shown = "".join(letter if " " <= letter <= "~" or letter in GREEK else "\ufffd" for letter in text)
        first, *rest = textwrap.wrap(shown, LINE_LETTERS - width) or [UNSAID]
        lines += [f"{heading:<{width}}{first}", *(f"{'':<{width}}{line}" for line in rest)]
    return "\n".join(lines)
