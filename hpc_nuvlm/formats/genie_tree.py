"""A TTree of numbers, read a chunk of entries at a time; whatever is wrong with the file is a FormatError.

uproot raises errors of two dozen kinds on damaged files, none of which names the branch, so all of them are caught
here, at the border to it, and here alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uproot
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype
from uproot.interpretation.strings import AsStrings

from hpc_nuvlm.errors import FormatError

# A whole basket is inflated to read one entry of it: large enough to do so seldom, small enough for flat memory
CHUNK_ENTRIES = 512
# ROOT writes a basket when it holds some 32 kB, and never more than 30 MB of a cluster unless it was told to
LARGEST_BASKET_BYTES = 1 << 28

# A column is one number an entry, numbers, rows of four numbers, or text
NUMBER, NUMBERS, FOUR_VECTOR, FOUR_VECTORS, TEXT = "number", "numbers", "four numbers", "rows of four numbers", "text"

Row = dict[str, object]


class Tree:
    """The branches `columns` (name -> kind) of one tree in an open file; close it, or use it in a with statement."""

    def __init__(self, path: Path, name: str, tree: uproot.TTree, columns: dict[str, str]):
        self.where = f"{path}: {name}"
        self.columns = columns
        self._path, self._tree = path, tree
        self._start, self._chunk = 0, {}
        with refusing_damage(self.where):
            self._num_entries = int(tree.num_entries)
            for branch, kind in columns.items():
                self._check(branch, kind)

    def __len__(self) -> int:
        return self._num_entries

    def row(self, entry: int) -> Row:
        """Values of all columns at an entry, which must be there."""
        if not self._start <= entry < self._start + self._chunk_length:
            self._read(entry - entry % CHUNK_ENTRIES)
        return {name: values[entry - self._start] for name, values in self._chunk.items()}

    def close(self) -> None:
        self._chunk = {}
        self._tree.file.close()

    @property
    def _chunk_length(self) -> int:
        return len(next(iter(self._chunk.values()), ()))

    def _read(self, start: int) -> None:
        stop = min(start + CHUNK_ENTRIES, len(self))
        chunk = {}
        for name in self.columns:
            where = f"{self.where}: {name}: entries {start} to {stop - 1}"
            with refusing_damage(where):
                branch = self._tree[name]
                self._check_baskets(branch, where, start, stop)
                chunk[name] = branch.array(entry_start=start, entry_stop=stop, library="np", array_cache=None)
            if len(chunk[name]) != stop - start:
                raise FormatError(f"{where}: holds {len(chunk[name])} entries; the file is damaged; fetch it again")
        self._start, self._chunk = start, chunk

    def _check(self, name: str, kind: str) -> None:
        branch = self._tree[name]
        if kind_of(branch.interpretation) != kind:
            raise FormatError(
                f"{self.where}: {name}: is of type {branch.typename}; it must hold {kind}; "
                "write the file again with GENIE's gntpc"
            )
        if branch.num_entries != len(self):
            raise FormatError(
                f"{self.where}: {name}: has {branch.num_entries} entries, the tree {len(self)}; "
                "the file is damaged; fetch it again"
            )

    def _check_baskets(self, branch: uproot.TBranch, where: str, start: int, stop: int) -> None:
        """Refuse what is too large before it is inflated: a few damaged bytes can declare gigabytes."""
        edges = branch.entry_offsets
        for number, (low, high) in enumerate(itertools.pairwise(edges)):
            if low < stop and high > start and number < branch.num_baskets:
                size = branch.basket_uncompressed_bytes(number)
                if not 0 <= size <= LARGEST_BASKET_BYTES:
                    raise FormatError(
                        f"{where}: declares {size} bytes in one basket, limit is {LARGEST_BASKET_BYTES}; "
                        "the file is damaged; fetch it again, or write it with smaller baskets"
                    )


def kind_of(interpretation) -> str | None:
    """Which of the kinds above uproot takes a branch for; None for any other."""
    if isinstance(interpretation, AsStrings):
        return TEXT
    jagged = isinstance(interpretation, AsJagged)
    content = interpretation.content if jagged else interpretation
    if not isinstance(content, AsDtype) or content.to_dtype.base.kind not in "biuf":
        return None
    shape = content.to_dtype.shape
    if shape == ():
        return NUMBERS if jagged else NUMBER
    if shape == (4,):
        return FOUR_VECTORS if jagged else FOUR_VECTOR
    return None


@contextmanager
def refusing_damage(where: str) -> Iterator[None]:
    """FormatError for whatever uproot raises inside."""
    try:
        yield
    except FormatError:
        raise
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [""])[0]
        raise FormatError(
            f"{where}: cannot be read ({type(error).__name__}: {first_line}); the file is damaged; fetch it again"
        ) from error


@contextmanager
def open_root(path: Path) -> Iterator[uproot.ReadOnlyDirectory]:
    """The file's directory; it stays open unless the block raises."""
    if not path.is_file():
        raise FormatError(f"{path}: no such file; check the path")
    with refusing_damage(str(path)):
        directory = uproot.open(path, handler=uproot.MemmapSource, object_cache=None, array_cache=None)
    try:
        yield directory
    except BaseException:
        directory.close()
        raise


def trees_in(directory: uproot.ReadOnlyDirectory, path: Path) -> dict[str, uproot.TTree]:
    """Trees at the top of a file by name, the newest cycle of each."""
    with refusing_damage(str(path)):
        names = directory.classnames(recursive=False, cycle=False)
        return {name: directory[name] for name, kind in names.items() if kind == "TTree"}


def finite(value, where: str, column: str) -> np.ndarray:
    """The value as float64; FormatError if a number in it is infinite or none."""
    numbers = np.asarray(value, np.float64)
    if not np.isfinite(numbers).all():
        raise FormatError(f"{where}: {column}: is {numbers.tolist()}; all numbers must be finite; fetch the file again")
    return numbers
