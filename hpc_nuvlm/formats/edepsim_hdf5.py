"""edep-sim events as DUNE's `dumpTree`/`convert_edepsim_to_h5` write them: HDF5 with a `segments` table.

Two spellings exist: `eventID, trackID, pdgId` (2021) and `event_id, traj_id, pdg_id` (2x2). Energy is in
MeV, positions in cm, times in us. Truth comes from `mc_hdr`, where the file has it: energies in MeV, and
charged current told by the outgoing lepton, because early converters set isCC only for particles and
not for antiparticles. An event with several interactions (a spill) has no one truth and gets none.
The vertex is read from `vertices` if that table has `t_vert`: converters without it wrote mm or cm.

An event is read when it is asked for; memory holds the event numbers and one event.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.event import Event, Hits, Identity, Truth, label_of

SUFFIXES = (".h5", ".hdf5")
MM_PER_CM = 10.0
GEV_PER_MEV = 1e-3
# deflate, the strongest filter that HDF5 itself has, shrinks at most 1032 times
LARGEST_COMPRESSION = 1032

EVENT_ID = ("event_id", "eventID")
# Our column -> its spellings, preferred first. Where there is a t0, it is the time of the deposit, and t is 0 until a
# detector simulation writes the drift time into it.
HIT_COLUMNS = {
    "x_mm": ("x",),
    "y_mm": ("y",),
    "z_mm": ("z",),
    "energy_mev": ("dE",),
    "time_us": ("t0", "t"),
    "track_id": ("traj_id", "trackID"),
    "pdg": ("pdg_id", "pdgId", "pdgID"),
}
LEPTON_PDG = (11, 13, 15)
# Coherent events may also be flagged quasi-elastic, so it is asked first
MODE_FLAGS = {"isCOH": "coh", "isMEC": "mec", "isQES": "qe", "isRES": "res", "isDIS": "dis"}
HEADER_COLUMNS = ("isCC", "isQES", "isMEC", "isRES", "isDIS", "isCOH", "Enu", "nu_pdg")


@dataclass(frozen=True)
class Table:
    """A one-dimensional HDF5 table, and for each event the rows [start, stop) that it has there."""

    where: str
    data: h5py.Dataset
    rows: dict[int, tuple[int, int]]

    def column(self, spellings: tuple[str, ...]) -> str:
        for name in spellings:
            if name in self.data.dtype.names:
                return name
        raise FormatError(
            f"{self.where}: has no column {' or '.join(spellings)}, only {', '.join(self.data.dtype.names)}; "
            "convert the file again with a current dumpTree"
        )

    def of(self, event: int) -> np.ndarray:
        start, stop = self.rows.get(event, (0, 0))
        return self.data[start:stop]


def recognizes(path: Path) -> bool:
    return bool(_files_of(path))


def read(path: Path) -> Iterator[Event]:
    """Events of a file, or of all such files in a folder by name; within a file by event number."""
    for file in list_files(path):
        yield from _read_file(file)


def list_files(path: Path) -> list[Path]:
    """The file itself, or all such files in a folder, by name."""
    files = _files_of(path) if path.is_dir() else [path]
    if not files:
        raise FormatError(f"{path}: holds no HDF5 file with a table 'segments'; name another folder")
    return files


def _files_of(path: Path) -> list[Path]:
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in candidates if file.suffix in SUFFIXES and file.is_file() and _has_segments(file)]


def _has_segments(file: Path) -> bool:
    if not h5py.is_hdf5(file):
        return False
    with _open(file) as content:
        return "segments" in content


def _open(file: Path) -> h5py.File:
    try:
        return h5py.File(file)
    except OSError as error:
        raise FormatError(f"{file}: is no readable HDF5 file ({error}); fetch it again") from error


def _read_file(file: Path) -> Iterator[Event]:
    with file.open("rb") as stream:
        source = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        with _open(file) as content:
            segments = _table(file, content, "segments")
            header = _table(file, content, "mc_hdr") if "mc_hdr" in content else None
            vertices = _table(file, content, "vertices") if "vertices" in content else None
            columns = {name: segments.column(spellings) for name, spellings in HIT_COLUMNS.items()}
            for number in sorted(segments.rows.keys() | (header.rows.keys() if header else set())):
                yield Event(
                    _hits(segments.of(number), columns), _truth(number, header, vertices), Identity(source, number)
                )
    except (OSError, RuntimeError) as error:
        raise FormatError(f"{file}: cannot be read to the end ({error}); fetch it again") from error


def _table(file: Path, content: h5py.File, name: str) -> Table:
    """Check a table before anything of it is read."""
    where = f"{file}: {name}"
    data = content.get(name)
    if not isinstance(data, h5py.Dataset) or data.ndim != 1 or data.dtype.names is None:
        raise FormatError(
            f"{where}: is {data}; a one-dimensional table must be there; convert the file again with dumpTree"
        )
    if data.dtype.hasobject:
        raise FormatError(
            f"{where}: has columns of references or strings ({data.dtype}), as event-display files do; "
            "give the edep-sim file that it was made from"
        )
    if data.external or data.is_virtual:
        raise FormatError(f"{where}: keeps its rows in other files; copy them into one file (h5repack) first")
    stored = data.id.get_storage_size()
    if data.nbytes > LARGEST_COMPRESSION * stored:
        raise FormatError(
            f"{where}: declares {data.shape[0]} rows, {data.nbytes} bytes, but stores {stored}; no filter shrinks more "
            f"than {LARGEST_COMPRESSION} times; the file is damaged or made to harm; fetch it again"
        )
    table = Table(where, data, {})
    numbers = data.fields(table.column(EVENT_ID))[:].astype(np.int64) if len(data) else np.empty(0, np.int64)
    return Table(where, data, _row_ranges(where, numbers))


def _row_ranges(where: str, numbers: np.ndarray) -> dict[int, tuple[int, int]]:
    """Event number -> rows [start, stop), from the event number of each row."""
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
    stops = np.append(starts[1:], len(numbers))[: len(starts)]
    ranges = dict(zip(numbers[starts].tolist(), zip(starts.tolist(), stops.tolist(), strict=True), strict=True))
    if len(ranges) != len(starts):
        raise FormatError(
            f"{where}: rows of one event are not together ({len(starts)} runs, {len(ranges)} events); "
            "sort the table by event"
        )
    return ranges


def _hits(rows: np.ndarray, columns: dict[str, str]) -> Hits:
    values = {name: rows[spelling] for name, spelling in columns.items()}
    for axis in ("x_mm", "y_mm", "z_mm"):
        values[axis] = values[axis] * MM_PER_CM
    return Hits("deposits", values)


def _truth(number: int, header: Table | None, vertices: Table | None) -> Truth:
    vertex_mm = _vertex_mm(number, vertices)
    rows = header.of(number) if header else ()
    if len(rows) != 1:
        return Truth(vertex_mm=vertex_mm)
    for name in HEADER_COLUMNS:
        header.column((name,))
    row = rows[0]
    names = row.dtype.names
    nu_pdg = int(row["nu_pdg"])
    is_cc = abs(int(row["lep_pdg"])) in LEPTON_PDG if "lep_pdg" in names else bool(row["isCC"])
    return Truth(
        label=label_of(nu_pdg, is_cc),
        nu_pdg=nu_pdg,
        is_cc=is_cc,
        mode=next((mode for flag, mode in MODE_FLAGS.items() if row[flag]), "other"),
        nu_energy_gev=float(row["Enu"]) * GEV_PER_MEV,
        lepton_energy_gev=float(row["Elep"]) * GEV_PER_MEV if "Elep" in names else math.nan,
        vertex_mm=vertex_mm,
    )


def _vertex_mm(number: int, vertices: Table | None) -> tuple[float, float, float]:
    rows = vertices.of(number) if vertices else ()
    if len(rows) != 1 or "t_vert" not in rows.dtype.names:
        return Truth().vertex_mm
    return tuple(float(rows[0][vertices.column((name,))]) * MM_PER_CM for name in ("x_vert", "y_vert", "z_vert"))
