"""Detector response: energy deposits -> what is read out.

Recombination (recombination.py); drift to the nearest anode at 1.6 mm/us (W. Walkowiak, NIM A 449 (2000) 288, at
0.5 kV/cm and 87 K); capture, exp(-t / lifetime); diffusion of variance 2 D t; then one of two readouts.

*voxels*: charge on a grid in the active volume, given back in MeV as if all had recombined like a minimum-ionizing
particle's. Positions are true ones: a late deposit is not displaced. Noise is only added where there is charge.
*wires*: hits as a hit finder returns them (wires.py and pulses.py of nuvlm_kernels), drawn into pixel maps by the rule
of the published DUNE maps (windows.py there). A late deposit is displaced along the drift. No reconstruction beyond
hits.

D_L = 6.5 and D_T = 13.5 cm2/s are the smearing of the published set-up (arXiv:2508.19376), 0.9 mm along and 1.3 mm
across "per metre of drift", read as the width after one metre: 0.9 mm = sqrt(2 D_L 625 us). Measured D_L: 3.7 cm2/s at
0.27 kV/cm (P. Abratenko et al. (MicroBooNE), JINST 16 (2021) P09025), more in Y. Li et al., NIM A 816 (2016) 160, to 2
kV/cm.
"""

from __future__ import annotations

import math

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Hits
from hpc_nuvlm.simulate.recombination import MIP_MEV_PER_MM, constants
from hpc_nuvlm.simulate.settings import Response
from hpc_nuvlm.simulate.variants import vary
from nuvlm_kernels import drift as kernel
from nuvlm_kernels import pulses, voxels, windows
from nuvlm_kernels import wires as wire_kernel

# Tracks whose deposits are electrons': they or photons made them
ELECTRON_PDG = (11, -11, 22)
# 1 cm2/s in mm2/us
MM2_PER_US = 1e-4
# Shapes of pulses are prepared for this many drift times, this far apart
NUM_KERNELS, KERNEL_US = 24, 100.0


class Readout:
    """The response of `detector`; one for all events of a process."""

    def __init__(self, settings: Response, detector: Detector):
        self.settings = vary(settings)
        self.detector = detector
        if not self.settings.anodes_x_mm:
            raise ConfigError("response.anodes_x_mm is empty; name at least one plane that collects the charge")
        self.drift = drift_of(self.settings)
        if self.settings.kind == "voxels":
            self._grid = VoxelGrid(self.settings, detector)
        else:
            self._planes = planes_of(self.settings, detector)
        # (V, 2), in pitches: where row and column 0 of voxels' views lie, or wire of row 0 and time of column 0 in the
        # maps of the event read last, NaN for a view without hits
        self._windows = np.full((detector.num_views, 2), np.nan)
        if self.settings.kind == "voxels":
            self._windows = detector.grid_mm / detector.pitches_mm

    def read(self, trace, rng: np.random.Generator, own: np.ndarray | None = None) -> Hits:
        """Hits of the detector: deposits (voxels) or pixels (wires).

        `own` (N,) bool: segments of the interaction, None: all. Its hits alone decide where a map of wires lies, as
        where a trigger and a cluster of hits told it from cosmic muons.
        """
        return self.read_with_losses(trace, rng, own)[0]

    def read_with_losses(
        self, trace, rng: np.random.Generator, own: np.ndarray | None = None
    ) -> tuple[Hits, dict[str, float]]:
        """Hits, and the electrons that made none, by reason: recombined, captured, outside, dead, below_threshold."""
        lost = np.zeros(kernel.NUM_LOST)
        clouds = self._clouds(trace, slice(None), lost)
        if self.settings.kind == "voxels":
            hits = self._read_voxels(clouds, lost, rng)
        else:
            own_clouds = None if own is None else self._clouds(trace, own, np.zeros(kernel.NUM_LOST))
            hits = self._read_wires(clouds, own_clouds, lost, rng)
        names = ("recombined", "captured", "outside", "dead", "below_threshold")
        return hits, dict(zip(names, lost.tolist(), strict=True))

    def inside(self, trace) -> np.ndarray:
        """(N,) bool: segments whose middle the readout can show.

        Voxels: in the active volume. Wires: in the map of at least two views, for the event that was read last.
        """
        middle = 0.5 * (trace.start_mm + trace.end_mm)
        if self.settings.kind == "voxels":
            return ((middle >= self._grid.low_mm) & (middle < self._grid.high_mm)).all(axis=1)
        size = np.array([self.detector.num_rows, self.detector.num_columns])
        places = self.native(middle)
        return ((places >= 0) & (places < size)).all(axis=2).sum(axis=1) >= min(2, self.detector.num_views)

    def native(self, points_mm: np.ndarray) -> np.ndarray:
        """(N, V, 2): native row and column of points (N, 3) in each view, pixel r being [r, r + 1), or beyond the view.

        Wires: in the maps of the event that was read last, NaN in a view without hits; of a deposit that is not late.
        """
        places = np.einsum("vka,na->nvk", self.detector.projections, points_mm)
        return places / self.detector.pitches_mm - self._windows

    def _clouds(self, trace, chosen: slice | np.ndarray, lost: np.ndarray) -> np.ndarray:
        """What arrives at the anode of the chosen segments."""
        is_electron = np.isin(trace.track_pdg, ELECTRON_PDG)[trace.track] if len(trace.track) else np.zeros(0, bool)
        every = (trace.start_mm, trace.end_mm, trace.energy_mev, trace.time_ns, is_electron)
        segments = [column[chosen] for column in every]
        clouds = np.empty((kernel.count_pieces(*segments[:2], self.drift.step_mm), kernel.NUM_CLOUD))
        return clouds[: kernel.drift_segments(*segments, self.drift, clouds, lost)]

    def _read_voxels(self, clouds: np.ndarray, lost: np.ndarray, rng: np.random.Generator) -> Hits:
        settings, grid = self.settings, self._grid
        voxels.diffuse(clouds, self.drift, rng)
        index, electrons = np.empty((len(clouds), 3), np.int64), np.empty(len(clouds))
        count = voxels.sum_voxels(clouds, grid.low_mm, grid.voxel_mm, grid.shape, self.drift, index, electrons, lost)
        index, electrons = index[:count], electrons[:count]
        freed = electrons.copy()
        saturation = math.inf if settings.saturation_electrons is None else settings.saturation_electrons
        kept = voxels.read_voxels(
            electrons, settings.gain, settings.noise_electrons, settings.threshold_electrons, saturation, rng
        )
        lost[kernel.BELOW_THRESHOLD] += freed[~kept].sum()
        centre = grid.low_mm + (index[kept] + 0.5) * grid.voxel_mm
        energy = electrons[kept] * grid.mev_per_electron
        return Hits(
            "deposits", {"x_mm": centre[:, 0], "y_mm": centre[:, 1], "z_mm": centre[:, 2], "energy_mev": energy}
        )

    def _read_wires(self, clouds, own_clouds, lost: np.ndarray, rng: np.random.Generator) -> Hits:
        parts = [self._read_plane(plane, clouds, own_clouds, lost, rng) for plane in self._planes]
        return Hits("pixels", {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def _read_plane(self, plane: wire_kernel.Plane, clouds, own_clouds, lost, rng) -> dict[str, np.ndarray]:
        wires, size = self.settings.wires, (self.detector.num_rows, self.detector.num_columns)
        wire, time, charge = self._find_hits(plane, clouds, lost, rng)
        row, column, *window = self._place(plane, wire, time)
        if own_clouds is not None:
            own_wire, own_time, _ = self._find_hits(plane, own_clouds, np.zeros(kernel.NUM_LOST), rng)
            if len(own_wire):
                *_, top, begin = self._place(plane, own_wire, own_time)
                row, column, window = *in_window(wire, time, top, begin, size), (top, begin)
        self._windows[plane.number] = window if len(wire) else np.nan
        if wires.noise_hits:
            row, column, charge = with_noise_hits(row, column, charge, plane, wires.noise_hits, size, rng)
        row, column, charge, outside = windows.sum_pixels(row, column, charge, *size)
        lost[kernel.OUTSIDE] += outside
        value = np.minimum(np.ceil(charge / wires.electrons_per_count), wires.largest_value)
        return {"plane": np.full(len(row), plane.number), "row": row, "column": column, "charge": value}

    def _find_hits(self, plane: wire_kernel.Plane, clouds, lost, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Wire, time [columns] and charge [electrons] of the hits."""
        wire, hits = wire_kernel.find_hits(clouds, plane, self.drift, lost, rng)
        return wire, hits[:, pulses.TIME] / pulses.SAMPLES_PER_COLUMN, hits[:, pulses.CHARGE]

    def _place(self, plane: wire_kernel.Plane, wire: np.ndarray, time: np.ndarray):
        """Row and column of the hits in the map that they lay out; the wire and the time [columns] of its corner."""
        wires, detector = self.settings.wires, self.detector
        is_reversed = detector.planes[plane.number].name in wires.reversed_views
        size = detector.num_rows, detector.num_columns
        return windows.place_hits(wire, time, *size, wires.placement == "scan", is_reversed)


class VoxelGrid:
    """The grid of voxels that fills the active volume, and what an electron on it is worth."""

    def __init__(self, settings: Response, detector: Detector):
        if detector.volume_low_mm is None:
            raise ConfigError(
                f"response.kind = 'voxels': detector {detector.name} names no active volume; "
                "give it volume_mm, or choose kind 'wires'"
            )
        self.low_mm, self.high_mm = np.array(detector.volume_low_mm), np.array(detector.volume_high_mm)
        self.voxel_mm = np.array(settings.voxel_mm)
        self.shape = np.ceil((self.high_mm - self.low_mm) / self.voxel_mm - 1e-9).astype(np.int64)
        # Nominal, so that a variant of the response is seen as a change of energy
        nominal = constants(settings.recombination, 0.5)
        survives = kernel.surviving(
            drift_of(settings)._replace(model=nominal[0], birks_a=nominal[1], mm_per_mev=nominal[2]), MIP_MEV_PER_MM
        )
        self.mev_per_electron = kernel.ELECTRON_MEV / survives


def drift_of(settings: Response) -> kernel.Drift:
    """The settings as the kernels take them."""
    model, first, second = constants(settings.recombination, settings.field_kv_per_cm, settings.recombination_strength)
    return kernel.Drift(
        anodes_mm=np.array(sorted(settings.anodes_x_mm)),
        velocity_mm_per_us=settings.drift_mm_per_us,
        loss_per_us=0.0 if settings.lifetime_us is None else 1.0 / settings.lifetime_us,
        longitudinal_mm2_per_us=2.0 * MM2_PER_US * settings.diffusion_longitudinal_cm2_per_s,
        transverse_mm2_per_us=2.0 * MM2_PER_US * settings.diffusion_transverse_cm2_per_s,
        step_mm=settings.step_mm,
        model=model,
        birks_a=first,
        mm_per_mev=second,
        gain=settings.gain,
        dead_fraction=settings.dead_fraction,
        dead_seed=settings.dead_seed,
    )


def planes_of(settings: Response, detector: Detector) -> list[wire_kernel.Plane]:
    """The detector's planes as the kernels take them; a ConfigError if the settings do not fit them."""
    wires = settings.wires
    names = [plane.name for plane in detector.planes]
    per_plane = ("gain", "shaping_us", "threshold_electrons", "gap_period", "gap_wires")
    wrong = [name for name in per_plane if len(getattr(wires, name)) != len(names)]
    wrong += [f"reversed_views: {name!r}" for name in wires.reversed_views if name not in names]
    if wrong:
        raise ConfigError(
            f"response.wires: {', '.join(wrong)}: detector {detector.name} has {len(names)} planes, "
            f"{', '.join(names)}; give one value for each, and their names only"
        )
    sigmas = np.linspace(0.0, wire_kernel.SHARING_SIGMA, wire_kernel.TAIL_STEPS + 1)
    tails = np.array([0.5 * math.erfc(sigma / math.sqrt(2.0)) for sigma in sigmas])
    planes = []
    for number, plane in enumerate(detector.planes):
        sample_mm = plane.column_pitch_mm / pulses.SAMPLES_PER_COLUMN
        shapes, widths = pulse_shapes(settings, wires.shaping_us[number], sample_mm)
        planes.append(
            wire_kernel.Plane(
                number=number,
                row_axis=np.array(plane.row_axis) / plane.row_pitch_mm,
                column_axis=np.array(plane.column_axis) / sample_mm,
                pitch_mm=plane.row_pitch_mm,
                gain=wires.gain[number] * settings.gain,
                tails=tails,
                kernels=shapes,
                widths=widths,
                kernel_us=KERNEL_US,
                threshold=wires.threshold_electrons[number],
                noise=wires.noise_electrons,
                resolution=wires.resolution,
                gap_period=wires.gap_period[number],
                gap_wires=wires.gap_wires[number],
            )
        )
    return planes


def pulse_shapes(settings: Response, shaping_us: float, sample_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian pulses (D, 2 H + 1) of sum 1, for drift times 0, KERNEL_US, ...; and their r.m.s. (D,) [samples]."""
    drift_us = KERNEL_US * np.arange(NUM_KERNELS)
    diffusion_mm2 = 2.0 * MM2_PER_US * settings.diffusion_longitudinal_cm2_per_s * drift_us
    widths = np.sqrt((shaping_us * settings.drift_mm_per_us) ** 2 + diffusion_mm2) / sample_mm
    half = math.ceil(3.0 * widths.max())
    shapes = np.exp(-0.5 * (np.arange(-half, half + 1) / widths[:, None]) ** 2)
    return shapes / shapes.sum(axis=1, keepdims=True), widths


def in_window(wire, time, top: int, begin: float, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of hits in the map that begins at wire `top` and time `begin` [columns]; -1: outside."""
    row, column = wire - top, np.floor(time - begin).astype(np.int64)
    outside = (row < 0) | (row >= size[0]) | (column < 0) | (column >= size[1])
    return np.where(outside, -1, row), np.where(outside, -1, column)


def with_noise_hits(row, column, charge, plane, mean_number, size, rng):
    """Hits and a Poisson number of others anywhere in the map, just above threshold by an exponential of the noise."""
    number = rng.poisson(mean_number)
    extra = plane.threshold + plane.noise * rng.standard_exponential(number)
    return (
        np.concatenate([row, rng.integers(0, size[0], number)]),
        np.concatenate([column, rng.integers(0, size[1], number)]),
        np.concatenate([charge, extra]),
    )
