"""Simulation: all that decides simulated events, as one frozen tree; every default lives here, with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hpc_nuvlm.config import Fraction, Part, PositiveInt

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
NotNegativeInt = Annotated[int, Field(ge=0)]
Corner = tuple[float, float, float]
# Total energy of a muon at rest, rounded up
MUON_AT_REST_GEV = 0.10566


def _listed(value: Any) -> Any:
    """One path or name as a list of it."""
    return [value] if isinstance(value, str | Path) else value


class Flux(Part):
    """Energies of the neutrinos."""

    kind: Literal["uniform", "power_law", "csv"] = "uniform"
    # Our own generator makes no event below 0.1 GeV or below the threshold of what is asked for, and none above 50 GeV
    low_gev: NotNegative = 0.0
    # None: 10, the published set-up; or the last line of a CSV
    high_gev: Positive | None = None
    # power_law: events per GeV ~ energy ** index
    index: float = -2.0
    # csv: two columns, energy [GeV] and flux per GeV (any scale); a first line of names is allowed
    file: Path | None = None
    # True: the spectrum is a flux, and events follow flux x cross section; False: that of the events (published set-up)
    times_cross_section: bool = False


class Bombs(Part):
    """Particles from one point, without a neutrino: simulate/bombs.py."""

    # PDG code -> share of the particles
    particles: dict[int, NotNegative] = Field(
        {11: 1.0, -11: 1.0, 13: 1.0, -13: 1.0, 211: 1.0, -211: 1.0, 2212: 2.0, 22: 2.0, 111: 1.0}
    )
    # How many there are, each number as likely as another
    least: PositiveInt = 1
    most: PositiveInt = 4
    # Kinetic energies, uniform in their logarithm
    low_mev: Positive = 30.0
    high_mev: Positive = 3000.0

    @model_validator(mode="after")
    def _limits_are_in_order(self):
        if self.least > self.most or self.low_mev > self.high_mev:
            raise ValueError("least must not be above most, nor low_mev above high_mev; exchange them")
        return self


class Interactions(Part):
    """What interacts with argon, and how. The energy range of the published set-up: arXiv:2508.19376."""

    flux: Flux = Flux()
    # PDG code of the neutrino -> share of the events
    flavours: dict[int, NotNegative] = Field({12: 0.5, 14: 0.5})
    # Share of charged-current events; None: by the cross sections at each energy
    cc_fraction: Fraction | None = None
    # Files of a real generator (GENIE gst or gRooTracker) used instead of our own; event i is entry i
    files: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = ()
    # Final-state interactions of pions and nucleons inside the nucleus
    fsi: bool = True
    # Particle bombs instead of neutrinos: of what is above, nothing is then looked at. Their events have no class
    bombs: Bombs | None = None

    @model_validator(mode="after")
    def _one_source(self):
        if self.bombs is not None and self.files:
            raise ValueError("bombs and files are both given, and events come from one of them; leave out one")
        return self


class Geometry(Part):
    """Boxes in space; None: the detector's active volume."""

    # Liquid argon; what leaves it is lost
    argon_low_mm: Corner | None = None
    argon_high_mm: Corner | None = None
    # Vertices are uniform in here
    vertex_low_mm: Corner | None = None
    vertex_high_mm: Corner | None = None


class Cosmics(Part):
    """Muons from the sky, laid over each event; off by default. Sources: simulate/cosmics.py."""

    # Mean number of muons that enter through the top of the argon in one readout. At the surface: muons_per_s of the
    # box (simulate/cosmics.py) times the readout's length, 46 in 4.5 ms for simulate-dune.yaml; underground: none.
    mean_muons: NotNegative = 0.0
    # They come at times uniform in here, relative to the interaction (which is at 0): 2.25 ms is a drift of 3.6 m
    earliest_us: float = -2250.0
    latest_us: float = 2250.0
    # Total energies
    least_energy_gev: Annotated[float, Field(ge=MUON_AT_REST_GEV)] = 1.0
    greatest_energy_gev: Positive = 1000.0

    @model_validator(mode="after")
    def _limits_are_in_order(self):
        if self.earliest_us > self.latest_us or self.least_energy_gev >= self.greatest_energy_gev:
            raise ValueError(
                "earliest_us must not be above latest_us, and least_energy_gev must be below greatest_energy_gev; "
                "exchange them"
            )
        return self


class Wires(Part):
    """From electrons to the pixels of a wire readout. Defaults: fitted to 1,000 published DUNE far-detector maps."""

    # Electrons that make a pixel value of 1 on a plane of gain 1; values end at 255
    electrons_per_count: Positive = 740.0
    largest_value: PositiveInt = 255
    # Of each plane, in the detector's order: gain; width (sigma) of a pulse after shaping and deconvolution, before
    # diffusion; charge of a pulse of that width whose peak just makes a hit
    gain: tuple[Positive, ...] = (0.956, 0.956, 1.0)
    shaping_us: tuple[Positive, ...] = (1.5, 1.5, 1.35)
    threshold_electrons: tuple[NotNegative, ...] = (5700.0, 5700.0, 5000.0)
    # A hit's charge is wrong by noise plus this share of it (sigma); noise alone moves it over the threshold
    noise_electrons: NotNegative = 700.0
    resolution: NotNegative = 0.08
    # Hits of noise alone, mean number per view
    noise_hits: NotNegative = 0.0
    # Of each plane: the last `gap_wires` of every `gap_period` wires are dark, the gap between anode assemblies
    gap_period: tuple[PositiveInt, ...] = (404, 404, 485)
    gap_wires: tuple[NotNegativeInt, ...] = (0, 0, 5)
    # Where the window of the map lies: "scan" as in the published maps (nuvlm_kernels/windows.py), "first": the first
    # hit
    placement: Literal["scan", "first"] = "scan"
    # Views counted from the far end before the window is placed, as V is in the published maps
    reversed_views: tuple[str, ...] = ("V",)


class Response(Part):
    """From deposited energy to what is read out. simulate/response.py tells each model's source."""

    # voxels: deposits on a grid (pixelated readout); wires: hits on wires and time bins
    kind: Literal["voxels", "wires"] = "voxels"
    # One named change of all that follows, for degradation studies (simulate/variants.py); None: nominal
    variant: str | None = None
    # Or several, of which each event is read out by one, drawn uniformly: names of variants, and "nominal" for no
    # change; "all" alone: nominal and every variant that changes something here. The fact `variant` tells which
    variants: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    # Charge that recombines: Birks law, modified box model, or none
    recombination: Literal["none", "birks", "box"] = "box"
    # Factor on the strength of recombination (Birks k, box beta)
    recombination_strength: Positive = 1.0
    field_kv_per_cm: Positive = 0.5
    drift_mm_per_us: Positive = 1.6
    # Mean life of a drifting electron; None: none is lost
    lifetime_us: Positive | None = 3000.0
    diffusion_longitudinal_cm2_per_s: NotNegative = 6.5
    diffusion_transverse_cm2_per_s: NotNegative = 13.5
    # x of the planes that collect the charge; it drifts to the nearest one
    anodes_x_mm: tuple[float, ...] = (0.0,)
    # Longest piece of a track that drifts as one
    step_mm: Positive = 2.5
    gain: Positive = 1.0
    # Share of the wires (or pixels of the anode) that are dead; dead_seed decides which, for all events alike
    dead_fraction: Fraction = 0.0
    dead_seed: int = 1
    # Voxels only: size along x, y, z; noise (sigma) of a voxel that holds charge; least and greatest charge kept
    voxel_mm: tuple[Positive, Positive, Positive] = (1.0, 5.0, 5.0)
    noise_electrons: NotNegative = 0.0
    threshold_electrons: NotNegative = 0.0
    saturation_electrons: Positive | None = None
    # Wires only
    wires: Wires = Wires()

    @model_validator(mode="after")
    def _one_way_to_vary(self):
        if self.variant is not None and self.variants:
            raise ValueError("variant and variants are both given; leave out one")
        return self


class Simulation(Part):
    """One simulated dataset; event i is a function of this and i alone."""

    detector: str
    events: PositiveInt = 1000
    seed: NotNegativeInt = 1
    interactions: Interactions = Interactions()
    geometry: Geometry = Geometry()
    cosmics: Cosmics = Cosmics()
    response: Response = Response()
    # Events with fewer hits are left out, and counted: an experiment would not select them
    least_hits: Annotated[int, Field(ge=0)] = 0
    # Share of the events that each split gets
    split: dict[str, Fraction] = Field({"train": 0.8, "val": 0.1, "test": 0.1})
    # Events in a shard: the unit of work of one process
    shard_events: PositiveInt = 256
