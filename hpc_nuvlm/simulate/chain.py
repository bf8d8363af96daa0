"""From an event's number to the event: interaction or bomb, short-lived decays, transport, readout, facts.

Event i has one random stream, seeded by (seed, i), so it is the same in any shard, process or order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import numpy as np

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.event import Event, Identity
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.ancestry import oldest
from hpc_nuvlm.simulate.bombs import BombMaker
from hpc_nuvlm.simulate.cosmics import cosmic_muons
from hpc_nuvlm.simulate.decays import decay_short_lived
from hpc_nuvlm.simulate.facts import truth_of, visible_facts
from hpc_nuvlm.simulate.generator import Generator
from hpc_nuvlm.simulate.regions import Views
from hpc_nuvlm.simulate.response import Readout
from hpc_nuvlm.simulate.settings import Corner, Interactions, Simulation
from hpc_nuvlm.simulate.transport import Trace, Transport
from hpc_nuvlm.simulate.variants import expand

# Interaction number i of the user's files
ReadInteraction = Callable[[int], Interaction]
# What decides how many events there are and where they are stored, but not what is in event i
BOOKKEEPING = {"events", "split", "shard_events", "least_hits"}


class Simulator:
    """Makes the events of `settings`; `read_interaction` is needed where these name files of another generator."""

    def __init__(self, settings: Simulation, detector: Detector, read_interaction: ReadInteraction | None = None):
        if settings.interactions.files and read_interaction is None:
            raise ConfigError("interactions.files names files, and nothing was given to read them with")
        geometry = settings.geometry
        self.settings = settings
        self._argon = box_of("argon", geometry.argon_low_mm, geometry.argon_high_mm, detector)
        self._vertices = box_of("vertex", geometry.vertex_low_mm, geometry.vertex_high_mm, detector)
        check_inside(self._vertices, self._argon)
        self._generator = generator_of(settings.interactions)
        self._read_interaction = read_interaction
        self._transport = Transport(*self._argon)
        self._readouts = {name: Readout(one, detector) for name, one in expand(settings.response).items()}
        self._plane_names = tuple(plane.name for plane in detector.planes)
        self._source = source_digest(settings)

    def event(self, number: int) -> Event:
        """Event `number` >= 0: its hits, its truth with the facts that can be seen, its identity."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.settings.seed, number])))
        interaction = self.interaction(number, rng)
        vertex_mm = tuple(rng.uniform(*self._vertices).tolist())
        cosmics = cosmic_muons(self.settings.cosmics, *self._argon, rng)
        try:
            trace = self._transport.run(overlaid(interaction, vertex_mm, cosmics), vertex_mm, rng)
        except UserError as error:
            raise UserError(f"event {number}: {error}") from error
        name, readout = self._readout(rng)
        hits = readout.read(trace, rng, own_segments(interaction, trace))
        views = Views(self._plane_names, readout.native)
        facts = visible_facts(interaction, trace, readout.inside(trace), self._argon, views)
        if self.settings.response.variants:
            facts["variant"] = name
        return Event(hits, truth_of(interaction, vertex_mm, facts), Identity(self._source, number))

    def _readout(self, rng: np.random.Generator) -> tuple[str, Readout]:
        """The readout of this event and the name of its variant; nothing is drawn where there is no choice."""
        choice = int(rng.integers(len(self._readouts))) if len(self._readouts) > 1 else 0
        return list(self._readouts.items())[choice]

    def interaction(self, number: int, rng: np.random.Generator) -> Interaction:
        """What comes out of the nucleus, short-lived particles decayed."""
        drawn = self._generator.generate(rng) if self._generator else self._read_interaction(number)
        return decay_short_lived(drawn, rng)


def generator_of(settings: Interactions) -> Generator | BombMaker | None:
    """What draws the interactions; None where they are read from files."""
    if settings.bombs is not None:
        return BombMaker(settings.bombs)
    return None if settings.files else Generator(settings)


def overlaid(interaction: Interaction, vertex_mm: Corner, cosmics: Interaction) -> Interaction:
    """The interaction with cosmic primaries after its own; theirs are placed in space, its own from the vertex."""
    if not len(cosmics.pdg):
        return interaction
    joined = {
        name: np.concatenate([getattr(interaction, name), getattr(cosmics, name)])
        for name in ("pdg", "momentum_mev", "energy_mev", "time_ns")
    }
    position_mm = np.concatenate([interaction.position_mm, cosmics.position_mm - np.array(vertex_mm)])
    return replace(interaction, position_mm=position_mm, **joined)


def own_segments(interaction: Interaction, trace: Trace) -> np.ndarray | None:
    """(N,) True for segments of the interaction, False for what is laid over it; None if nothing is."""
    num_own = len(interaction.pdg)
    if len(trace.primary_track) == num_own:
        return None
    return np.isin(oldest(trace.track_parent), trace.primary_track[:num_own])[trace.track]


def box_of(name: str, low_mm: Corner | None, high_mm: Corner | None, detector: Detector) -> tuple[Corner, Corner]:
    """Low and high corner: as given, else the detector's active volume."""
    low_mm = detector.volume_low_mm if low_mm is None else low_mm
    high_mm = detector.volume_high_mm if high_mm is None else high_mm
    if low_mm is None or high_mm is None:
        raise ConfigError(
            f"geometry.{name}_low_mm and {name}_high_mm are not given, and detector {detector.name} names no volume; "
            "give both corners"
        )
    if any(low > high for low, high in zip(low_mm, high_mm, strict=True)):
        raise ConfigError(f"geometry.{name}: low corner {low_mm} is above high corner {high_mm}; exchange them")
    return low_mm, high_mm


def check_inside(vertices_mm: tuple[Corner, Corner], argon_mm: tuple[Corner, Corner]) -> None:
    """A ConfigError if an interaction could be outside of the argon, where nothing is followed."""
    (low_mm, high_mm), (argon_low_mm, argon_high_mm) = vertices_mm, argon_mm
    for low, high, argon_low, argon_high in zip(low_mm, high_mm, argon_low_mm, argon_high_mm, strict=True):
        if low < argon_low or high > argon_high:
            raise ConfigError(
                f"geometry: vertices from {low_mm} to {high_mm} mm are not all in the argon, which is from "
                f"{argon_low_mm} to {argon_high_mm}; set vertex_low_mm and vertex_high_mm inside of it"
            )


def source_digest(settings: Simulation) -> str:
    """SHA-256 (hex) of everything that decides what is in event i: the simulation's counterpart of a file's digest."""
    return sha256(settings.model_dump_json(exclude=BOOKKEEPING).encode()).hexdigest()
