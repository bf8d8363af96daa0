"""Page of a validation: rows of measured and published numbers, comparisons with other simulations, and plots.

The page is written thrice: VALIDATION.md with PNG files for a repository, one self-contained HTML file for a browser,
and JSON for programs.
"""

from __future__ import annotations

import base64
import html
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RESOLUTION_DPI = 80
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}"
STYLE += "td,th{border:1px solid #ccc;padding:.2em .5em;text-align:left}.no{background:#fcc}img{max-width:32em}"


@dataclass(frozen=True)
class Row:
    """One number beside its published value; it passes if the two are at most `allowed` apart (all in `unit`)."""

    section: str
    quantity: str
    value: float
    error: float
    reference: float
    allowed: float
    unit: str
    source: str

    @property
    def passed(self) -> bool:
        return bool(abs(self.value - self.reference) <= self.allowed)

    @property
    def is_precise(self) -> bool:
        """Whether the statistical error leaves the verdict to physics: at most a third of what is allowed."""
        return bool(self.error <= self.allowed / 3)


@dataclass(frozen=True)
class Comparison:
    """One distribution, ours beside another's: means with errors, Kolmogorov-Smirnov distance and p-value."""

    sample: str
    quantity: str
    unit: str
    ours: tuple[float, float]
    theirs: tuple[float, float]
    distance: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Curve:
    """One series of a plot; `style` is points (with error bars, if any), line, or steps (x are then bin edges)."""

    name: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None
    style: str = "points"


@dataclass(frozen=True, eq=False)
class Panel:
    """One plot; `name` is that of its file."""

    name: str
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, eq=False)
class Page:
    command: str
    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]
    comparisons: tuple[Comparison, ...] = ()
    # Paragraphs on how it was measured, and on where and why the comparisons differ
    method: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)


def write_page(folder: Path, page: Page) -> None:
    """Write validation.md, validation.html, validation.json and validation/*.png into the folder."""
    pictures = folder / "validation"
    pictures.mkdir(parents=True, exist_ok=True)
    for panel in page.panels:
        draw(pictures / f"{panel.name}.png", panel)
    (folder / "validation.md").write_text(_markdown(page))
    (folder / "validation.html").write_text(_html(page, pictures))
    rows = [asdict(row) | {"passed": row.passed} for row in page.rows]
    content = {"command": page.command, "rows": rows, "comparisons": [asdict(c) for c in page.comparisons]}
    (folder / "validation.json").write_text(json.dumps(content, indent=1) + "\n")


def draw(path: Path, panel: Panel) -> None:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(panel.curves):
        _draw_curve(axes, curve, COLORS[number % len(COLORS)])
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label, title=panel.title)
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    figure.savefig(path, format="png", dpi=RESOLUTION_DPI)


def _draw_curve(axes: Axes, curve: Curve, color: str) -> None:
    if curve.style == "steps":
        axes.stairs(curve.y, curve.x, color=color, label=curve.name)
        if curve.error is not None:
            middle = (curve.x[1:] + curve.x[:-1]) / 2
            axes.errorbar(middle, curve.y, curve.error, fmt="none", color=color, capsize=2)
    elif curve.style == "line":
        axes.plot(curve.x, curve.y, color=color, label=curve.name)
    else:
        axes.errorbar(curve.x, curve.y, curve.error, fmt="o", color=color, markersize=4.5, capsize=3, label=curve.name)


def row_cells(row: Row) -> list[str]:
    """Quantity, measured, reference, allowed, verdict, source: as a table shows them."""
    return [
        row.quantity,
        f"{number(row.value)} ± {number(row.error, 2)}{'' if row.is_precise else ' (few)'} {row.unit}",
        f"{number(row.reference)} {row.unit}",
        f"± {number(row.allowed, 3)} {row.unit}",
        "pass" if row.passed else "FAIL",
        row.source,
    ]


ROW_HEADER = ["quantity", "simulated", "reference", "allowed", "", "source of the reference"]
COMPARISON_HEADER = ["quantity", "here", "Geant4", "KS distance", "p"]


def number(value: float, digits: int = 4) -> str:
    """Significant digits without an exponent where that reads better."""
    if not np.isfinite(value):
        return str(value)
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e" in text and 1 <= abs(value) < 1e7 else text


def comparison_cells(comparison: Comparison) -> list[str]:
    pairs = (f"{number(mean)} ± {number(error, 2)}" for mean, error in (comparison.ours, comparison.theirs))
    unit = f" [{comparison.unit}]" if comparison.unit else ""
    return [f"{comparison.quantity}{unit}", *pairs, f"{comparison.distance:.3f}", number(comparison.p_value, 2)]


def _tables(page: Page) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, header, rows) of every table of the page."""
    sections = dict.fromkeys(row.section for row in page.rows)
    tables = [(name, ROW_HEADER, [row_cells(row) for row in page.rows if row.section == name]) for name in sections]
    for sample in dict.fromkeys(comparison.sample for comparison in page.comparisons):
        cells = [comparison_cells(c) for c in page.comparisons if c.sample == sample]
        tables.append((f"Beside Geant4: {sample}", COMPARISON_HEADER, cells))
    return tables


def _verdict(page: Page) -> str:
    num_passed = sum(row.passed for row in page.rows)
    return f"{num_passed} of {len(page.rows)} rows pass."


def _markdown(page: Page) -> str:
    lines = ["# Validation of the simulation", "", _verdict(page), f"Made by `{page.command}`.", ""]
    lines += [line for paragraph in page.method for line in (paragraph, "")]
    for title, header, rows in _tables(page):
        lines += [f"## {title}", ""]
        lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in (header,)]
        lines += ["| " + " | ".join("---" for _ in header) + " |"]
        lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in rows] + [""]
    if page.notes:
        lines += ["## Where it differs from Geant4, and why", ""]
        lines += [f"- {note}" for note in page.notes] + [""]
    lines += ["## Plots", ""]
    lines += [line for panel in page.panels for line in (f"![{panel.title}](validation/{panel.name}.png)", "")]
    return "\n".join(lines).rstrip() + "\n"


def _html(page: Page, pictures: Path) -> str:
    parts = [f"<!doctype html><meta charset=utf-8><title>Validation of the simulation</title><style>{STYLE}</style>"]
    parts += ["<h1>Validation of the simulation</h1>", f"<p>{_verdict(page)} Made by <code>"]
    parts += [html.escape(page.command), "</code>.</p>", *(f"<p>{html.escape(text)}</p>" for text in page.method)]
    for title, header, rows in _tables(page):
        parts.append(f"<h2>{html.escape(title)}</h2><table>")
        for line, tag in [(header, "th"), *((row, "td") for row in rows)]:
            failed = " class=no" if "FAIL" in line else ""
            parts.append(f"<tr{failed}>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line) + "</tr>")
        parts.append("</table>")
    if page.notes:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in page.notes)
        parts.append(f"<h2>Where it differs from Geant4, and why</h2><ul>{items}</ul>")
    for panel in page.panels:
        content = base64.b64encode((pictures / f"{panel.name}.png").read_bytes()).decode()
        parts.append(f'<img alt="{html.escape(panel.title)}" src="data:image/png;base64,{content}">')
    return "\n".join(parts) + "\n"
