"""Pictures of a benchmark: what accuracy costs, where the time goes, and what more ranks bring."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpc_nuvlm.report.degradation import RUN_STYLES
from hpc_nuvlm.report.predictions import published

GUIDE_COLOR = "0.55"
RESOLUTION_DPI = 160
MICROSECONDS = 1e6


def plot_pareto(path: Path, rows: list[dict], title: str) -> bool:
    """Accuracy against seconds of an event, for rows that have both; False if there are none, and no picture."""
    judged = [row for row in rows if row["accuracy"] is not None]
    if not judged:
        return False
    figure, axes = _figure(title)
    axes.set_xscale("log")
    for (color, marker, _), row in zip(cycle(RUN_STYLES), judged):
        accuracy = row["accuracy"]
        error = np.maximum([[accuracy["value"] - accuracy["low"]], [accuracy["high"] - accuracy["value"]]], 0)
        seconds = [row["seconds_per_event"]]
        axes.errorbar(seconds, [accuracy["value"]], error, color=color, fmt=marker, capsize=3, label=_name(row))
    front = _front(judged)
    axes.step(
        *zip(*front), where="post", color=GUIDE_COLOR, linestyle=":", linewidth=1.2, label="the best for its cost"
    )
    axes.set(xlabel="seconds an event", ylabel="accuracy, with 95 % interval")
    _legend(axes)
    _save(figure, path)
    return True


def plot_stages(path: Path, rows: list[dict], title: str) -> None:
    """Share of each stage in the time of an event, a bar a row; its total beside it."""
    figure, axes = _figure(title)
    stages = list(dict.fromkeys(stage for row in rows for stage in row["stages_s"]))
    places, left = np.arange(len(rows))[::-1], np.zeros(len(rows))
    total = np.array([sum(row["stages_s"].values()) for row in rows])
    for (color, _, _), stage, hatch in zip(cycle(RUN_STYLES), stages, cycle(("", "//", "..", "xx"))):
        share = np.array([row["stages_s"].get(stage, 0.0) for row in rows]) / total
        axes.barh(places, share, left=left, color=color, hatch=hatch, edgecolor="white", linewidth=0.5, label=stage)
        left += share
    for place, microseconds in zip(places, total * MICROSECONDS):
        axes.text(1.01, place, f"{microseconds:,.0f} µs", va="center", fontsize=9)
    names = axes.set_yticks(places, [_name(row) for row in rows])
    for name in names:
        name.label1.set_parse_math(False)
    axes.set(xlabel="share of an event's time, each stage timed apart", xlim=(0, 1.15))
    axes.grid(False, axis="y")
    axes.spines["bottom"].set_bounds(0, 1)
    _legend(axes)
    _save(figure, path)


def plot_scaling(path: Path, rows: list[dict], title: str) -> bool:
    """Events a second against ranks, by model; dotted: as many times the first. False if no model has several."""
    curves: dict[str, list[dict]] = {}
    for row in rows:
        curves.setdefault(row["model"], []).append(row)
    curves = {model: sorted(found, key=lambda row: row["ranks"]) for model, found in curves.items()}
    curves = {model: found for model, found in curves.items() if len({row["ranks"] for row in found}) > 1}
    if not curves:
        return False
    figure, axes = _figure(title)
    for (color, marker, line), (model, found) in zip(cycle(RUN_STYLES), curves.items()):
        ranks = np.array([row["ranks"] for row in found])
        speed = np.array([row["events_per_second"] for row in found])
        axes.plot(ranks, speed / speed[0], color=color, marker=marker, linestyle=line, label=model)
        axes.plot(ranks, ranks / ranks[0], color=GUIDE_COLOR, linestyle=":", linewidth=1.2)
    axes.set(xlabel="ranks", ylabel="events a second, against the fewest ranks", ylim=(0, None))
    axes.set_xticks(sorted({row["ranks"] for row in rows}))
    _legend(axes)
    _save(figure, path)
    return True


def _front(rows: list[dict]) -> list[tuple[float, float]]:
    """(seconds, accuracy) of those that no cheaper row is as good as, by cost."""
    front: list[tuple[float, float]] = []
    for row in sorted(rows, key=lambda row: row["seconds_per_event"]):
        if not front or row["accuracy"]["value"] > front[-1][1]:
            front.append((row["seconds_per_event"], row["accuracy"]["value"]))
    return front


def _name(row: dict) -> str:
    return f"{row['case']}, {row['batch']}"


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=13, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(axes: Axes) -> None:
    legend = axes.figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _save(figure: Figure, path: Path) -> None:
    with published(path) as file:
        figure.savefig(file, format="png", dpi=RESOLUTION_DPI)
