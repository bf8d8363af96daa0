"""DUNE far-detector CVN pixel maps (github.com/DUNE/dune-cvn, supplement of PRD 102, 092003).

An event is a file `eventN.gz`: a raw zlib stream (not gzip, whatever the name says) of 750 000 bytes,
uint8, shape (3 views U, V, Z; 500 wires; 500 time bins). Truth comes from `labels.csv`, in the folder
or up to three levels above it, and from `eventN.info` beside the map; where both exist they must agree.
`labels.csv` may list more events than the folder holds, never fewer. The release's own list,
`partition.p`, is a pickle and is refused: loading a pickle runs whatever code it holds.

Particle counts stop at 3, which means "3 or more"; counts in `.info` go further and are cut to match.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.event import Event, Hits, Identity, Truth, label_of

MAP_SHAPE = (3, 500, 500)
MAP_BYTES = math.prod(MAP_SHAPE)
# zlib adds 5 bytes per 16 KiB block to data that it cannot compress
LARGEST_FILE_BYTES = MAP_BYTES + 4096
EVENT_FILE = re.compile(r"event(\d+)\.gz")
LABELS_NAME = "labels.csv"
LABELS_LEVELS = 3
PICKLE_NAMES = ("partition.p", "partition.pkl")

FLAVOUR_PDG = {0: 14, 1: 12, 2: 16}
NC_FLAVOUR = 3
INTERACTIONS = {0: "qe", 1: "res", 2: "dis", 3: "other", -1: None}
LARGEST_COUNT = 3
COUNTS = {"proton": "protons", "pion": "pions", "pi0": "pizeros", "neutron": "neutrons"}
COLUMNS = ("path", "flavour", "interaction", "is_antinu", *COUNTS.values())

INFO_LINES = 15
# First line of `.info`: 4 * flavour + interaction, and 13 for every neutral current
NC_INFO_CODE = 13
NU_PDG = (12, 14, 16, -12, -14, -16)


@dataclass(frozen=True)
class Row:
    """One line of labels.csv: what it says, and where it says so."""

    where: str
    fields: dict[str, str]

    def integer(self, column: str, allowed: tuple[int, ...]) -> int:
        return _integer(self.fields[column], f"{self.where}, column {column!r}", allowed)


@dataclass(frozen=True)
class Catalogue:
    """labels.csv: rows by path, relative to the folder that holds it."""

    folder: Path
    rows: dict[str, Row]

    def row(self, file: Path) -> Row:
        name = file.relative_to(self.folder).as_posix()
        if name not in self.rows:
            raise FormatError(
                f"{self.folder / LABELS_NAME}: column 'path' has no row {name!r} for {file}; "
                "add the row, or move the map away"
            )
        return self.rows[name]


def recognizes(path: Path) -> bool:
    if path.is_dir():
        return any((path / name).is_file() for name in PICKLE_NAMES) or next(_event_files(path), None) is not None
    return path.name in PICKLE_NAMES or EVENT_FILE.fullmatch(path.name) is not None


def read(path: Path) -> Iterator[Event]:
    """Events of a folder or of a single map, ordered by folder and event number."""
    path = path.absolute()
    catalogue = _find_catalogue(_folder(path))
    for file in list_files(path):
        yield _read_event(file, catalogue)


def list_files(path: Path) -> list[Path]:
    """The map itself, or all maps in a folder and below it, ordered by folder and event number; their labels exist."""
    path = path.absolute()
    if path.name in PICKLE_NAMES:
        raise _pickle_refused(path)
    folder = _folder(path)
    files = sorted(_event_files(path), key=lambda file: (file.parent, _event_number(file))) if path.is_dir() else [path]
    if not files and not any((folder / name).is_file() for name in PICKLE_NAMES):
        raise FormatError(f"{path}: holds no eventN.gz; name the folder of the maps")
    if _find_catalogue(folder) is None:
        _check_infos(path, files)
    return files


def _check_infos(path: Path, files: list[Path]) -> None:
    """That labels come from an .info for every map, or for none."""
    without = [file for file in files if not _info_path(file).is_file()]
    if without and len(without) < len(files):
        raise FormatError(
            f"{without[0]}: has no {without[0].stem}.info, but other maps in {path} have one; "
            f"add it, or write {LABELS_NAME}"
        )
    for name in PICKLE_NAMES:
        if len(without) == len(files) and (_folder(path) / name).is_file():
            raise _pickle_refused(_folder(path) / name)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _pickle_refused(path: Path) -> FormatError:
    return FormatError(
        f"{path}: is a Python pickle, which can run any code when loaded, and is never read; write its labels "
        f"to {LABELS_NAME} with columns {', '.join(COLUMNS)}, or put eventN.info beside each map"
    )


def _event_files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("event*.gz") if EVENT_FILE.fullmatch(file.name))


def _event_number(file: Path) -> int:
    match = EVENT_FILE.fullmatch(file.name)
    if match is None:
        raise FormatError(f"{file}: the name gives no event number; a map is called eventN.gz")
    return int(match.group(1))


def _info_path(file: Path) -> Path:
    return file.with_suffix(".info")


def _read_event(file: Path, catalogue: Catalogue | None) -> Event:
    compressed, pixels = _read_map(file)
    row = catalogue.row(file) if catalogue else None
    if (
        row
        and row.fields.get("sha1_pixels")
        and not hashlib.sha1(pixels).hexdigest().startswith(row.fields["sha1_pixels"])
    ):
        raise FormatError(
            f"{file}: pixels are not those that {row.where} describes (sha1_pixels differs); "
            "restore the file, or correct the row"
        )
    charge = np.frombuffer(pixels, np.uint8).reshape(MAP_SHAPE)
    plane, wire, time_bin = np.nonzero(charge)
    hits = Hits("pixels", {"plane": plane, "row": wire, "column": time_bin, "charge": charge[plane, wire, time_bin]})
    truth = _truth(row, _read_info(file))
    return Event(hits, truth, Identity(hashlib.sha256(compressed).hexdigest(), _event_number(file)))


def _read_map(file: Path) -> tuple[bytes, bytes]:
    """The file's bytes, and the pixels that they inflate to; never more than a map is inflated."""
    num_bytes = file.stat().st_size
    if num_bytes > LARGEST_FILE_BYTES:
        raise FormatError(
            f"{file}: has {num_bytes} bytes; a map of {MAP_BYTES} pixels takes at most {LARGEST_FILE_BYTES}; "
            "this is another kind of file"
        )
    compressed = file.read_bytes()
    inflater = zlib.decompressobj()
    try:
        pixels = inflater.decompress(compressed, MAP_BYTES + 1)
    except zlib.error as error:
        raise FormatError(
            f"{file}: is not a zlib stream ({error}); fetch the file again, or compress it with zlib"
        ) from error
    problem = None
    if len(pixels) > MAP_BYTES:
        problem = f"inflates to more than {MAP_BYTES} bytes"
    elif not inflater.eof:
        problem = f"is cut short after {len(pixels)} pixels"
    elif len(pixels) < MAP_BYTES:
        problem = f"inflates to {len(pixels)} bytes"
    elif inflater.unused_data:
        problem = f"goes on for {len(inflater.unused_data)} bytes after the end of its stream"
    if problem:
        raise FormatError(f"{file}: {problem}; a map is exactly {MAP_BYTES} bytes {MAP_SHAPE}; fetch the file again")
    return compressed, pixels


def _find_catalogue(folder: Path) -> Catalogue | None:
    for candidate in (folder, *folder.parents[:LABELS_LEVELS]):
        if (candidate / LABELS_NAME).is_file():
            return _read_catalogue(candidate, (candidate / LABELS_NAME).stat().st_mtime_ns)
    return None


# Whoever reads the maps of a folder one by one does not read its list as often
@functools.lru_cache(4)
def _read_catalogue(folder: Path, _changed_ns: int) -> Catalogue:
    path = folder / LABELS_NAME
    rows: dict[str, Row] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        reader = csv.DictReader(stream)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise FormatError(f"{path}: line 1 has no column {', '.join(missing)}; it must name {', '.join(COLUMNS)}")
        for fields in reader:
            where = f"{path}: line {reader.line_num}"
            if None in fields or None in fields.values():
                raise FormatError(
                    f"{where}: has another number of columns than line 1 ({len(reader.fieldnames)}); correct it"
                )
            if fields["path"] in rows:
                raise FormatError(
                    f"{where}, column 'path': {fields['path']!r} was listed before; delete one of the two rows"
                )
            rows[fields["path"]] = Row(where, fields)
    return Catalogue(folder, rows)


def _truth(row: Row | None, info: Truth | None) -> Truth:
    """Truth by labels.csv, completed by .info, after a check that they agree."""
    if row is None:
        return info or Truth()
    flavour = row.integer("flavour", (*FLAVOUR_PDG, NC_FLAVOUR))
    is_cc = flavour != NC_FLAVOUR
    # -1 is unknown: the release does not say it of neutral currents
    sign = {0: 1, 1: -1, -1: None}[row.integer("is_antinu", (0, 1, -1))]
    nu_pdg = FLAVOUR_PDG[flavour] * sign if is_cc and sign else None
    counts = {name: row.integer(column, tuple(range(LARGEST_COUNT + 1))) for name, column in COUNTS.items()}
    label = "nc" if not is_cc else label_of(FLAVOUR_PDG[flavour], is_cc)
    mode = INTERACTIONS[row.integer("interaction", tuple(INTERACTIONS))]
    if info is None:
        return Truth(label, nu_pdg, is_cc, mode, counts=counts)
    if (label, mode, counts) != (info.label, info.mode, info.counts) or nu_pdg not in (None, info.nu_pdg):
        raise FormatError(
            f"{row.where}: says {label}, {mode}, {counts}, but the .info file says {info.label}, {info.mode}, "
            f"{info.counts}; correct one, or move the .info file away"
        )
    return info


def _read_info(file: Path) -> Truth | None:
    """Truth by eventN.info, None if there is no such file."""
    path = _info_path(file)
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace") as stream:
        lines = stream.read(LARGEST_FILE_BYTES).split()
    if len(lines) != INFO_LINES:
        raise FormatError(
            f"{path}: has {len(lines)} values; eventN.info has {INFO_LINES} lines of one; fetch the file again"
        )
    code = _integer(lines[0], f"{path}: line 1", (*range(4 * NC_FLAVOUR), NC_INFO_CODE))
    nu_pdg = _integer(lines[7], f"{path}: line 8", NU_PDG)
    is_cc = code != NC_INFO_CODE
    if is_cc and FLAVOUR_PDG[code // 4] != abs(nu_pdg):
        raise FormatError(
            f"{path}: line 1 is interaction {code}, line 8 neutrino {nu_pdg}: two flavours; fetch the file again"
        )
    counts = {name: min(_count(lines[8 + i], f"{path}: line {9 + i}"), LARGEST_COUNT) for i, name in enumerate(COUNTS)}
    return Truth(
        label=label_of(nu_pdg, is_cc),
        nu_pdg=nu_pdg,
        is_cc=is_cc,
        mode=INTERACTIONS[code % 4] if is_cc else None,
        nu_energy_gev=_energy_gev(lines[1], f"{path}: line 2"),
        lepton_energy_gev=_energy_gev(lines[2], f"{path}: line 3"),
        counts=counts,
    )


def _integer(text: str, where: str, allowed: tuple[int, ...]) -> int:
    if text not in map(str, allowed):
        raise FormatError(f"{where}: is {text[:40]!r}; it must be one of {', '.join(map(str, allowed))}; correct it")
    return int(text)


def _count(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise FormatError(f"{where}: is {text[:40]!r}; it must be a number of particles; correct it")
    return int(text)


def _energy_gev(text: str, where: str) -> float:
    try:
        energy_gev = float(text)
    except ValueError:
        energy_gev = math.nan
    if not 0 <= energy_gev < math.inf:
        raise FormatError(f"{where}: is {text[:40]!r}; it must be an energy in GeV; correct it")
    return energy_gev
