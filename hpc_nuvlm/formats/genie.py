"""Interactions out of files of the GENIE generator: `gst` and `gRooTracker` trees in ROOT files.

They are no Events: nothing has been transported yet. The beam keeps the direction that it has in the file, and the
file's vertices are left aside: the simulation puts each interaction where its own settings say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.formats import genie_gst, genie_gtrac
from hpc_nuvlm.formats.genie_tree import Tree, open_root, refusing_damage, trees_in
from hpc_nuvlm.interaction import Interaction

KINDS = (genie_gst, genie_gtrac)


class GenieFile:
    """The interactions of one open file, by entry: `len(file)`, `file[i]`. Memory holds one chunk of entries."""

    def __init__(self, tree: Tree, kind: ModuleType):
        self._tree, self._kind = tree, kind

    def __len__(self) -> int:
        return len(self._tree)

    def __getitem__(self, entry: int) -> Interaction:
        """Interaction of entry 0 <= entry < len; a FormatError says how many there are, or names what is damaged."""
        if not 0 <= entry < len(self):
            raise FormatError(f"{self._tree.where}: no entry {entry}; there are {len(self)}, counted from 0")
        return self._kind.interaction(self._tree.row(entry), f"{self._tree.where}: entry {entry}")

    def __enter__(self) -> GenieFile:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._tree.close()


def open_interactions(path: Path) -> GenieFile:
    """The file's `gst` or `gRooTracker` tree, whichever it has; close it, or use it in a with statement."""
    path = Path(path)
    with open_root(path) as directory:
        trees = trees_in(directory, path)
        for kind in KINDS:
            if kind.NAME in trees:
                return GenieFile(_checked(path, kind, trees[kind.NAME]), kind)
        raise FormatError(
            f"{path}: has trees {', '.join(trees) or '(none)'}; one must be {' or '.join(k.NAME for k in KINDS)}; "
            "convert GENIE's own format with gntpc -f gst or gntpc -f rootracker"
        )


def _checked(path: Path, kind: ModuleType, tree) -> Tree:
    with refusing_damage(f"{path}: {kind.NAME}"):
        branches = set(tree.keys())
    if missing := sorted(set(kind.REQUIRED) - branches):
        raise FormatError(
            f"{path}: {kind.NAME}: has no branch {', '.join(missing)}; write the file again with GENIE's gntpc"
        )
    columns = kind.REQUIRED | {name: what for name, what in kind.OPTIONAL.items() if name in branches}
    return Tree(path, kind.NAME, tree, columns)


class InteractionFiles:
    """Interactions of several files in the given order, numbered through; called with a number.

    One file is open at a time, and a file is counted when a number beyond it is first asked for.
    """

    def __init__(self, files: tuple[Path, ...]):
        self._files = tuple(map(Path, files))
        self._lengths: list[int] = []
        self._open: tuple[int, GenieFile] | None = None

    def __call__(self, number: int) -> Interaction:
        """Interaction `number`, which is entry `number` over all files; FormatError beyond the last."""
        first = 0
        for index in range(len(self._files)):
            length = self._length(index)
            if 0 <= number - first < length:
                return self._file(index)[number - first]
            first += length
        raise FormatError(
            f"no interaction {number}: {', '.join(map(str, self._files)) or 'no file'} hold {first}, counted from 0; "
            "ask for fewer events, or give more files"
        )

    def close(self) -> None:
        if self._open:
            self._open[1].close()
        self._open = None

    def _length(self, index: int) -> int:
        if index == len(self._lengths):
            self._lengths.append(len(self._file(index)))
        return self._lengths[index]

    def _file(self, index: int) -> GenieFile:
        if self._open is None or self._open[0] != index:
            self.close()
            self._open = (index, open_interactions(self._files[index]))
        return self._open[1]


def read_interaction(files: tuple[Path, ...]) -> Callable[[int], Interaction]:
    """A function from an event's number to its interaction: entry i over all `files`."""
    return InteractionFiles(files)
