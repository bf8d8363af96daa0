"""show(): the tables of a record on the terminal."""

from __future__ import annotations

from rich.console import Console

from hpc_nuvlm.bench.sheets import cost_sheet, stage_sheet
from hpc_nuvlm.report.tables import as_table

# A log file has no width of its own, and a wrapped table cannot be read
LOG_WIDTH = 200


def show(record: dict) -> None:
    console = Console()
    console.width = console.width if console.is_terminal else LOG_WIDTH
    for sheet in (cost_sheet(record), stage_sheet(record)):
        console.print(as_table(sheet))
