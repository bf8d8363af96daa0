"""Detector: which views it gives of an event, and how position becomes row and column there.

Every view is a linear map of space: an orthographic projection and a wire plane differ only in their
two direction vectors. Row index = floor((row_axis . position - origin) / pitch_mm), likewise columns;
pixel i covers [i, i + 1), so a hit on an edge belongs to the pixel above it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from hpc_nuvlm.errors import ConfigError


@dataclass(frozen=True)
class ViewPlane:
    """One view: unit directions of its rows and columns in space, and the size of a native pixel."""

    name: str
    row_axis: tuple[float, float, float]
    column_axis: tuple[float, float, float]
    row_pitch_mm: float
    column_pitch_mm: float


@dataclass(frozen=True)
class Symmetry:
    """A mirror of the detector that turns one possible event into another: flips within views, and views exchanged."""

    name: str
    flip_rows: tuple[int, ...] = ()
    flip_columns: tuple[int, ...] = ()
    # permutation[i] is the view that takes place i; empty: none is exchanged
    permutation: tuple[int, ...] = ()


@dataclass(frozen=True)
class Detector:
    """Frozen description, read from configs/detectors/NAME.yaml."""

    name: str
    title: str
    planes: tuple[ViewPlane, ...]
    num_rows: int
    num_columns: int
    # Active volume, half-open [low, high) along x, y, z; None for data without coordinates
    volume_low_mm: tuple[float, float, float] | None
    volume_high_mm: tuple[float, float, float] | None
    # Resolution at which the store keeps positions and energies: half a quantum is the largest error
    quantum_mm: float
    quantum_mev: float
    symmetries: tuple[Symmetry, ...] = ()

    @property
    def num_views(self) -> int:
        return len(self.planes)

    @property
    def projections(self) -> np.ndarray:
        """(num_views, 2, 3): row and column direction of each view."""
        return np.array([[plane.row_axis, plane.column_axis] for plane in self.planes], np.float64)

    @property
    def pitches_mm(self) -> np.ndarray:
        """(num_views, 2): height and width of a native pixel."""
        return np.array([[plane.row_pitch_mm, plane.column_pitch_mm] for plane in self.planes], np.float64)

    @property
    def grid_mm(self) -> np.ndarray:
        """(num_views, 2): position of the low edge of native row and column 0 of a readout of deposits.

        It is centred on the active volume, or on the origin where the detector names no volume.
        """
        low, high = self.volume_low_mm, self.volume_high_mm
        centre_mm = np.zeros(3) if low is None else np.add(low, high) / 2
        return self.projections @ centre_mm - np.array([self.num_rows / 2, self.num_columns / 2]) * self.pitches_mm


def detector_folder() -> Path:
    """configs/detectors of the checkout that this code lies in, or the copy that an installed package carries."""
    checkout = Path(__file__).parent.parent / "configs" / "detectors"
    return checkout if checkout.is_dir() else Path(__file__).parent / "detectors"


def detector_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_detector(name: str, folder: Path) -> Detector:
    """Read FOLDER/NAME.yaml; a ConfigError names the field that is missing, unknown or not usable."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"{path}: no such detector {name!r}; there are {', '.join(detector_names(folder))}")
    return parse_detector(name, yaml.safe_load(path.read_text()), where=str(path))


def parse_detector(name: str, fields: dict, where: str) -> Detector:
    """Build a Detector from plain fields, as a YAML file or a manifest holds them."""
    try:
        planes = tuple(_plane(plane) for plane in fields["planes"])
        volume = fields.get("volume_mm")
        symmetries = tuple(
            Symmetry(**{key: tuple(value) if isinstance(value, list) else value for key, value in symmetry.items()})
            for symmetry in fields.get("symmetries", ())
        )
        detector = Detector(
            name=name,
            title=fields["title"],
            planes=planes,
            num_rows=int(fields["num_rows"]),
            num_columns=int(fields["num_columns"]),
            volume_low_mm=tuple(map(float, volume["low"])) if volume else None,
            volume_high_mm=tuple(map(float, volume["high"])) if volume else None,
            quantum_mm=float(fields["quantum_mm"]),
            quantum_mev=float(fields["quantum_mev"]),
            symmetries=symmetries,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: a field is missing, unknown or has no usable value: {error}") from error
    _check(detector, where)
    return detector


def _plane(fields: dict) -> ViewPlane:
    """A plane gives its axes as vectors, or as a wire angle: wires at `wire_angle_deg` from vertical (y).

    Wires at an angle a from y are parallel to (0, cos a, sin a); the coordinate across them is
    z cos a - y sin a. The other axis of a wire plane is the drift direction x.
    """
    row_axis = fields.get("row_axis")
    column_axis = fields.get("column_axis", (1.0, 0.0, 0.0))
    if row_axis is None:
        angle = math.radians(fields["wire_angle_deg"])
        row_axis = (0.0, -math.sin(angle), math.cos(angle))
    return ViewPlane(
        name=fields["name"],
        row_axis=tuple(map(float, row_axis)),
        column_axis=tuple(map(float, column_axis)),
        row_pitch_mm=float(fields["row_pitch_mm"]),
        column_pitch_mm=float(fields["column_pitch_mm"]),
    )


def _check(detector: Detector, where: str) -> None:
    lengths = np.linalg.norm(detector.projections, axis=-1)
    if not np.allclose(lengths, 1.0, atol=1e-6):
        raise ConfigError(f"{where}: planes: row_axis and column_axis must have length 1, got {lengths.tolist()}")
    if (detector.pitches_mm <= 0).any() or detector.quantum_mm <= 0 or detector.quantum_mev <= 0:
        raise ConfigError(f"{where}: pitches and quanta must be positive")
    for symmetry in detector.symmetries:
        if symmetry.permutation and sorted(symmetry.permutation) != list(range(detector.num_views)):
            raise ConfigError(
                f"{where}: symmetry {symmetry.name!r}: permutation {symmetry.permutation} must name each of "
                f"{detector.num_views} views once"
            )
