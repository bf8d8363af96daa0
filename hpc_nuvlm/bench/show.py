"""What launch/benchmark.py does with records: makes one, shows it, sets two side by side."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from hpc_nuvlm.bench.benchmark import benchmark, load_bench, read_record, write_record
from hpc_nuvlm.bench.ratios import Ratio, ratio_sheet
from hpc_nuvlm.bench.sheets import comparison_sheet, cost_sheet, stage_sheet
from hpc_nuvlm.report.costs import plot_pareto, plot_scaling, plot_stages
from hpc_nuvlm.report.tables import Sheet, as_table

# A log file has no width of its own, and a wrapped table cannot be read
LOG_WIDTH = 200


def run_and_show(config: Path, overrides: tuple[str, ...], out: Path | None) -> None:
    bench = load_bench(config, overrides)
    record = benchmark(bench, config, overrides, lambda text: print(text, file=sys.stderr, flush=True))
    show([cost_sheet(record), stage_sheet(record)])
    if out is not None:
        write_record(record, out)
        draw(record, out)


def draw(record: dict, out: Path) -> None:
    """Pictures beside the record, where there is something to show: RECORD-pareto.png, -stages.png, -scaling.png."""
    path = {kind: out.with_name(f"{out.stem}-{kind}.png") for kind in ("pareto", "stages", "scaling")}
    plot_pareto(path["pareto"], record["rows"], record["title"])
    plot_stages(path["stages"], record["rows"], record["title"])
    plot_scaling(path["scaling"], record["rows"], record["title"])


def compare(before: Path, after: Path) -> None:
    show([comparison_sheet(read_record(before), read_record(after))])


def show_ratios(title: str, ratios: list[Ratio]) -> None:
    note = "" if ratios else "Nothing was compared: the peer is not installed"
    show([ratio_sheet(title, ratios, note)])


def show(sheets: list[Sheet]) -> None:
    console = Console()
    console.width = console.width if console.is_terminal else LOG_WIDTH
    for sheet in sheets:
        console.print(as_table(sheet))
