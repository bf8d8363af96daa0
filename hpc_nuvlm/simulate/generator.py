"""Generator: neutrino interactions on argon, from flux to the particles that leave the nucleus.

The chain of models is that of GENIE's older tunes (C. Andreopoulos et al., Nucl. Instrum. Meth. A614 (2010) 87), each
in a simplified form whose module tells what it leaves out. Below LOWEST_EVENT_GEV cross sections on argon are those of
nuclear levels, which are not here: no event is made there.
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.cross_sections import CrossSections
from hpc_nuvlm.simulate.flux import Spectrum
from hpc_nuvlm.simulate.fsi import leave
from hpc_nuvlm.simulate.kinematics import Hard, hard_process, outgoing_lepton
from hpc_nuvlm.simulate.nucleus import ARGON, Nucleus
from hpc_nuvlm.simulate.relativity import FourVector, Vector, length
from hpc_nuvlm.simulate.settings import Interactions

LOWEST_EVENT_GEV, HIGHEST_EVENT_GEV = 0.1, 50.0
NEUTRINOS = (12, 14, 16, -12, -14, -16)
# A cross section [1e-38 cm2 per nucleus] that counts as none
CLOSED = 1e-6
# Draws of energy and process before a set-up is called impossible
NUM_TRIES = 1000


class Generator:
    """Interactions by settings; all tables are made here, so that an event is only random numbers."""

    def __init__(self, settings: Interactions, nucleus: Nucleus = ARGON, beam: Vector = (0.0, 0.0, 1.0)):
        self.settings, self.nucleus = settings, nucleus
        self.beam = tuple(x / length(beam) for x in beam)
        shares = {pdg: share for pdg, share in settings.flavours.items() if share > 0.0}
        unknown = sorted(pdg for pdg in shares if pdg not in NEUTRINOS)
        if unknown or not shares:
            raise ConfigError(
                f"interactions.flavours is {settings.flavours}: name neutrinos by PDG code "
                f"({', '.join(map(str, NEUTRINOS))}) with at least one share above 0"
            )
        self.flavours = list(shares)
        self.cumulative = np.cumsum(list(shares.values())) / sum(shares.values())
        self.cross_sections = {pdg: CrossSections(pdg, nucleus) for pdg in shares}
        self.spectra = {pdg: Spectrum(settings.flux, self._weight(pdg)) for pdg in shares}
        highest_gev = max(spectrum.high_gev for spectrum in self.spectra.values())
        if highest_gev > HIGHEST_EVENT_GEV:
            raise ConfigError(
                f"interactions.flux reaches {highest_gev:g} GeV; the models end at {HIGHEST_EVENT_GEV:g} GeV; "
                "set flux.high_gev"
            )

    def _weight(self, pdg: int):
        """Factor of the flux at each energy: the cross section, or just whether there is any."""

        def weight(energies: np.ndarray) -> np.ndarray:
            found = self._open(pdg, energies)
            return found if self.settings.flux.times_cross_section else (found > 0.0).astype(float)

        return weight

    def _open(self, pdg: int, energy: np.ndarray) -> np.ndarray:
        """Total cross section [1e-38 cm2] of what is asked for; 0 where a current that is asked for has none."""
        share, table = self.settings.cc_fraction, self.cross_sections[pdg]
        charged, neutral = table.total(energy, True), table.total(energy, False)
        closed = energy < LOWEST_EVENT_GEV
        if share is not None:
            closed |= ((share > 0.0) & (charged < CLOSED)) | ((share < 1.0) & (neutral < CLOSED))
        return np.where(closed, 0.0, charged + neutral)

    def generate(self, rng: np.random.Generator) -> Interaction:
        """One interaction; a function of the settings and the state of rng alone."""
        for _ in range(NUM_TRIES):
            pdg = self.flavours[int(np.searchsorted(self.cumulative, rng.random(), side="right"))]
            energy = self.spectra[pdg].draw(rng)
            hard = self.interact(pdg, energy, rng)
            if hard is not None:
                return self.finish(pdg, energy, hard, rng)
        raise ConfigError("interactions: no event came out in 1000 tries; raise flux.high_gev above the threshold")

    def interact(self, pdg: int, energy_gev: float, rng: np.random.Generator) -> tuple[bool, Hard] | None:
        """(charged current?, hard process) of one neutrino; None if all that was tried is closed at this energy."""
        table, neutrino = self.cross_sections[pdg], self._neutrino(energy_gev)
        for _ in range(20):
            is_cc = self._is_cc(table, energy_gev, rng)
            parts = np.cumsum(table.parts(energy_gev, is_cc))
            if parts[-1] <= 0.0:
                continue
            number = int(np.searchsorted(parts, rng.random() * parts[-1], side="right"))
            process = table.by_current[is_cc][0][min(number, len(parts) - 1)]
            hard = hard_process(process, pdg, neutrino, self.nucleus, rng)
            if hard is not None:
                return is_cc, hard
        return None

    def _neutrino(self, energy_gev: float) -> FourVector:
        return (energy_gev, *(energy_gev * x for x in self.beam))

    def _is_cc(self, table: CrossSections, energy_gev: float, rng: np.random.Generator) -> bool:
        share = self.settings.cc_fraction
        if share is None:
            charged = table.total(energy_gev, True)
            share = charged / max(charged + table.total(energy_gev, False), 1e-30)
        return bool(rng.random() < share)

    def finish(self, pdg: int, energy_gev: float, made: tuple[bool, Hard], rng: np.random.Generator) -> Interaction:
        """Final-state interactions, and the truth of the event; taus, K0 and the like are left for decays.py."""
        is_cc, hard = made
        hadrons = hard.hadrons
        if self.settings.fsi and hard.mode != "coh":
            hadrons = leave(hadrons, hard.forms, self.nucleus, rng)
        particles = [(outgoing_lepton(pdg, is_cc), hard.lepton[1]), *hadrons]
        lepton_gev = hard.lepton[1][0]
        count = len(particles)
        return Interaction(
            pdg=np.array([code for code, _ in particles], np.int32),
            momentum_mev=1e3 * np.array([p[1:] for _, p in particles]),
            energy_mev=1e3 * np.array([p[0] for _, p in particles]),
            position_mm=np.zeros((count, 3)),
            time_ns=np.zeros(count),
            nu_pdg=pdg,
            is_cc=is_cc,
            mode=hard.mode,
            nu_energy_gev=energy_gev,
            lepton_energy_gev=lepton_gev,
            q2_gev2=hard.q2_gev2,
            w_gev=hard.w_gev,
            inelasticity=1.0 - lepton_gev / energy_gev,
            target_pdg=self.nucleus.pdg,
            final_state=tuple((code, p[0]) for code, p in particles),
        )
