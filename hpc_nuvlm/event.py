"""Event: hits, truth and identity, the contract that every other module speaks.

Hits are of one of two kinds. *Deposits* are energy depositions in space, from simulation or 3D
reconstruction. *Pixels* are charges on a readout grid, for data that was only ever an image. Both
are named columns of equal length, so that store and kernels treat them alike.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

from hpc_nuvlm.errors import UserError

LABELS = ("nue_cc", "numu_cc", "nutau_cc", "nc")
MODES = ("qe", "res", "dis", "coh", "mec", "other")
NUM_AXES = 3

# column -> (dtype, required)
COLUMNS = {
    "deposits": {
        "x_mm": (np.float32, True),
        "y_mm": (np.float32, True),
        "z_mm": (np.float32, True),
        "energy_mev": (np.float32, True),
        "time_us": (np.float32, False),
        "track_id": (np.int32, False),
        "pdg": (np.int32, False),
    },
    "pixels": {
        "plane": (np.uint8, True),
        "row": (np.uint16, True),
        "column": (np.uint16, True),
        "charge": (np.float32, True),
    },
}
CHARGE_COLUMN = {"deposits": "energy_mev", "pixels": "charge"}


@dataclass(frozen=True, eq=False)
class Hits:
    """Columns of one kind of hit, each of shape (num_hits,) and of the dtype that COLUMNS names."""

    kind: str
    columns: dict[str, np.ndarray]

    def __post_init__(self):
        if self.kind not in COLUMNS:
            raise UserError(f"hits: kind {self.kind!r} is unknown; use one of {', '.join(COLUMNS)}")
        schema = COLUMNS[self.kind]
        unknown = sorted(set(self.columns) - set(schema))
        missing = sorted(name for name, (_, required) in schema.items() if required and name not in self.columns)
        if unknown or missing:
            raise UserError(f"hits of kind {self.kind!r}: missing columns {missing}, unknown columns {unknown}")
        converted = {name: np.ascontiguousarray(self.columns[name], schema[name][0]) for name in self.columns}
        lengths = {name: column.shape for name, column in converted.items()}
        if len(set(lengths.values())) != 1 or any(len(shape) != 1 for shape in lengths.values()):
            raise UserError(
                f"hits of kind {self.kind!r}: columns must be 1-dimensional and of equal length, got {lengths}"
            )
        object.__setattr__(self, "columns", converted)

    def __len__(self) -> int:
        return len(self.charge)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    @property
    def charge(self) -> np.ndarray:
        """What an image sums: energy [MeV] of deposits, charge [detector units] of pixels."""
        return self.columns[CHARGE_COLUMN[self.kind]]


@dataclass(frozen=True)
class Truth:
    """What a generator knows of an event. Unknown is None, NaN or an empty mapping, never a made-up 0."""

    label: str | None = None
    nu_pdg: int | None = None
    is_cc: bool | None = None
    mode: str | None = None
    nu_energy_gev: float = math.nan
    lepton_energy_gev: float = math.nan
    # Squared four-momentum transfer, invariant hadronic mass (struck nucleon taken at rest), and the share of the
    # neutrino's energy that is not the outgoing lepton's
    q2_gev2: float = math.nan
    w_gev: float = math.nan
    inelasticity: float = math.nan
    # Energy that hadrons can leave in a detector, neutrons left out; simulate/truth.py defines it
    available_energy_gev: float = math.nan
    vertex_mm: tuple[float, float, float] = (math.nan,) * NUM_AXES
    # Final-state particles by name (proton, pion, pi0, neutron). Formats that cap a count say so in their docstring.
    counts: dict[str, int] = field(default_factory=dict)
    # (pdg, kinetic or total energy as the format gives it [GeV]) of each primary, if known
    particles: tuple[tuple[int, float], ...] | None = None
    # What can be seen of the event, by name, as simulate/facts.py defines it; a fact that is not known is not there
    facts: dict[str, float | int | bool | str] = field(default_factory=dict)

    def __post_init__(self):
        for name, value, allowed in (("label", self.label, LABELS), ("mode", self.mode, MODES)):
            if value is not None and value not in allowed:
                raise UserError(
                    f"truth.{name} is {value!r}; it must be one of {', '.join(allowed)}, or None if unknown"
                )


@dataclass(frozen=True)
class Identity:
    """Where an event comes from: digest of its source file, and its numbers there (None if it has none)."""

    source: str
    event: int
    run: int | None = None
    subrun: int | None = None

    @property
    def key(self) -> str:
        """Short name, unique within a dataset; safe as a file name: no dot, no slash."""
        numbers = "-".join("x" if number is None else str(number) for number in (self.run, self.subrun, self.event))
        return f"{self.source[:16]}-{numbers}"


@dataclass(frozen=True)
class Event:
    hits: Hits
    truth: Truth
    identity: Identity

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the hits alone: equal for equal pictures, whatever their file or label.

        Hits are sorted first, so two files that list the same hits in another order are equal too.
        """
        required = [self.hits[name] for name, (_, needed) in COLUMNS[self.hits.kind].items() if needed]
        order = np.lexsort(required[::-1])
        digest = hashlib.sha256(self.hits.kind.encode())
        for column in required:
            digest.update(column[order].tobytes())
        return digest.hexdigest()


def label_of(nu_pdg: int | None, is_cc: bool | None) -> str | None:
    """The class of an interaction: nc for neutral current, else by neutrino flavour; None if either is unknown.

    PDG Monte Carlo numbers: 12 nue, 14 numu, 16 nutau, negative for antineutrinos.
    """
    if is_cc is False:
        return "nc"
    if is_cc is None or nu_pdg is None:
        return None
    return {12: "nue_cc", 14: "numu_cc", 16: "nutau_cc"}.get(abs(nu_pdg))
