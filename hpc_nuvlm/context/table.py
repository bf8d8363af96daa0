"""Table: what the user knows of each event, from a CSV or Parquet file with one row an event.

Rows are found by the event's `key` (as predictions.parquet names it) or by its numbers `run`, `subrun`, `event`, of
which those that an event does not have are left out or empty. Every other column is a field. An empty cell is unknown.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from hpc_nuvlm.context.measured import UNKNOWN
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Identity

KEY = "key"
NUMBERS = ("run", "subrun", "event")
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ ]{0,39}")
# Nothing that a tokenizer could take for a token with a meaning of its own, as <|image|>, and no second line
CELL_TEXT = re.compile(r"[\w .,:/+()%-]{1,40}", re.ASCII)
# A number of a column of fractions has so many digits
NUM_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Column:
    """Cells of one field: str, bool, int or float; None where it is unknown."""

    cells: tuple

    @cached_property
    def is_number(self) -> bool:
        return any(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in self.cells)

    @cached_property
    def signed(self) -> bool:
        return self.is_number and any(cell is not None and cell < 0 for cell in self.cells)

    @cached_property
    def num_digits(self) -> int:
        """Digits of its largest whole number, an even number of them."""
        digits = len(str(max(abs(cell) for cell in self.cells if cell is not None)))
        return digits + digits % 2

    def text(self, row: int | None) -> str:
        """A cell as it is said: a number as long as the others of its column."""
        cell = None if row is None else self.cells[row]
        if cell is None:
            return UNKNOWN
        if isinstance(cell, bool):
            return "yes" if cell else "no"
        if isinstance(cell, str):
            return cell
        sign = ("-" if cell < 0 else "+") if self.signed else ""
        if isinstance(cell, int):
            return sign + pairs(abs(cell), self.num_digits)
        digits, exponent = scientific(abs(cell))
        return f"{sign}{pairs(digits, NUM_DIGITS)}e{exponent}"


@dataclass(frozen=True, eq=False)
class Table:
    """The columns that are used, and the row of each event by its key or by its numbers; `names`: of all columns."""

    path: Path
    names: tuple[str, ...]
    columns: dict[str, Column]
    rows: dict[str | tuple, int]
    by_key: bool

    def row(self, identity: Identity) -> int | None:
        """The row of an event; None if there is none."""
        return self.rows.get(identity.key if self.by_key else (identity.run, identity.subrun, identity.event))


def pairs(number: int, num_digits: int) -> str:
    """Digits two by two, zeros in front: (1432, 6) -> "00 14 32". Each pair is one token, or as many as any other."""
    digits = f"{number:0{num_digits}d}"
    return " ".join(digits[start : start + 2] for start in range(0, len(digits), 2))


def scientific(value: float) -> tuple[int, int]:
    """NUM_DIGITS digits and the power of ten that they are multiplied by; (0, 0) for 0."""
    digits, _, exponent = f"{value:.{NUM_DIGITS - 1}e}".partition("e")
    return (int(digits.replace(".", "")), int(exponent) - NUM_DIGITS + 1) if value else (0, 0)


def read_table(path: Path, fields: Sequence[str]) -> Table:
    """These columns of the table in a file; ConfigError names column, row (1 is the first) and what is wrong."""
    arrow = _read(path)
    names = arrow.column_names
    for name in fields:
        if name not in names or name in (KEY, *NUMBERS):
            there = [other for other in names if other not in (KEY, *NUMBERS)]
            close = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(there) or 'none'}"
            raise ConfigError(f"{path}: no column {name!r}, which data.context.fields names; {hint}")
    needed = [name for name in names if name in (KEY, *NUMBERS, *fields)]
    twice = sorted({name for name in needed if needed.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: column {twice[0]!r} is there twice; rename one")
    cells = {name: _cells(arrow.column(name), f"{path}: column {name!r}") for name in needed}
    columns = {name: Column(cells[name]) for name in fields}
    for name, column in columns.items():
        _check_column(name, column, path)
    return Table(path, tuple(names), columns, _rows(cells, arrow.num_rows, path), KEY in cells)


def _read(path: Path) -> pa.Table:
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"data.context.table = '{path}': must be a .csv or .parquet file")
    if not path.is_file():
        raise ConfigError(f"data.context.table = '{path}': no such file; give a table with one row an event")
    try:
        if path.suffix == ".parquet":
            return pa.parquet.read_table(path)
        return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as {path.suffix[1:]}: {error}") from error


def _cells(column: pa.ChunkedArray, where: str) -> tuple:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_temporal(kind):
        column, kind = column.cast(pa.string()), pa.string()
    known = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    if not any(is_kind(kind) for is_kind in (*known, pa.types.is_string, pa.types.is_large_string)):
        raise ConfigError(f"{where}: holds {kind}; it must hold text, numbers, times or yes and no: leave it out")
    return tuple(_known(cell) for cell in column.to_pylist())


def _known(cell):
    empty = (isinstance(cell, float) and not math.isfinite(cell)) or (isinstance(cell, str) and not cell.strip())
    return None if empty else cell.strip() if isinstance(cell, str) else cell


def _rows(cells: dict[str, tuple], num_rows: int, path: Path) -> dict[str | tuple, int]:
    if KEY in cells:
        names = list(map(str, cells[KEY]))
    elif "event" in cells:
        names = list(zip(*(cells.get(number, (None,) * num_rows) for number in NUMBERS)))
    else:
        raise ConfigError(
            f"{path}: has no column that names its event; add {KEY!r}, or {', '.join(map(repr, NUMBERS))}"
        )
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) < num_rows:
        row = next(row for row, name in enumerate(names) if rows[name] != row)
        raise ConfigError(f"{path}: row {row + 1} and row {rows[names[row]] + 1} are of the same event {names[row]}")
    return rows


def _check_column(name: str, column: Column, path: Path) -> None:
    if not FIELD_NAME.fullmatch(name):
        raise ConfigError(
            f"{path}: column {name!r}: the name stands in a question, and must be up to 40 letters, digits, blanks "
            "and underscores; rename it"
        )
    for row, cell in enumerate(column.cells):
        if isinstance(cell, str) and not CELL_TEXT.fullmatch(cell):
            raise ConfigError(
                f"{path}: column {name!r}, row {row + 1} holds {cell[:60]!r}, which stands in a question; it must be "
                "up to 40 letters, digits, blanks and . , : / + - ( ) %: write it otherwise, or leave the column out"
            )
