"""Foreign files into Events: one module per format, each reads and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.event import Event
from hpc_nuvlm.formats import dune_cvn, edepsim_hdf5


@dataclass(frozen=True)
class Format:
    """A foreign format: how to tell it from others, and how to read a file or folder of it, lazily."""

    name: str
    # Detector that the files were made for, when the user names none
    default_detector: str
    recognizes: Callable[[Path], bool]
    # The files of a path, in the order in which `read` reads them; each can be read alone
    list_files: Callable[[Path], list[Path]]
    read: Callable[[Path], Iterator[Event]]


FORMATS = {
    "dune_cvn": Format("dune_cvn", "dune_fd_cvn", dune_cvn.recognizes, dune_cvn.list_files, dune_cvn.read),
    "edepsim_hdf5": Format(
        "edepsim_hdf5", "paper_lartpc", edepsim_hdf5.recognizes, edepsim_hdf5.list_files, edepsim_hdf5.read
    ),
}


def detect(paths: Iterable[Path]) -> Format:
    """The one format of all paths; FormatError if a path has none, or if they differ."""
    found = {Path(path): _detect_one(Path(path)) for path in paths}
    if not found:
        raise FormatError("no input was given; name at least one file or folder")
    if len({form.name for form in found.values()}) > 1:
        kinds = ", ".join(f"{path} is {form.name}" for path, form in found.items())
        raise FormatError(f"inputs are of different formats: {kinds}; pack each format into a dataset of its own")
    return next(iter(found.values()))


def read_events(paths: Iterable[Path], name: str | None = None) -> Iterator[Event]:
    """Events of all paths in the given order; `name` forces a format, else each path tells its own."""
    if name is not None and name not in FORMATS:
        raise FormatError(f"format {name!r} is unknown; use one of {', '.join(FORMATS)}")
    for path in map(Path, paths):
        form = FORMATS[name] if name is not None else _detect_one(path)
        yield from form.read(path)


def list_files(paths: Iterable[Path], name: str) -> list[Path]:
    """The files that hold the events of the paths, in the order of read_events."""
    return [file for path in paths for file in FORMATS[name].list_files(Path(path))]


def _detect_one(path: Path) -> Format:
    if not path.exists():
        raise FormatError(f"{path}: no such file or folder; check the path")
    for form in FORMATS.values():
        if form.recognizes(path):
            return form
    raise FormatError(
        f"{path}: holds none of the formats that can be read ({', '.join(FORMATS)}); "
        "name another path, or convert it to one of these (GENIE files hold interactions, not events: give them to "
        "`nuvlm simulate` as interactions.files)"
    )
