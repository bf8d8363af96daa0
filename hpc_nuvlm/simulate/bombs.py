"""Particle bombs: a few particles from one point, of all kinds and in all directions, without a neutrino.

They fill a dataset with pictures that no generator weights by its models. Energies are log-uniform.
"""

from __future__ import annotations

import numpy as np

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.interaction import Interaction
from hpc_nuvlm.simulate.decays import is_short_lived
from hpc_nuvlm.simulate.settings import Bombs
from hpc_nuvlm.simulate.species import MASS_GEV
from hpc_nuvlm.simulate.transport import SPECIES_OF_PDG


class BombMaker:
    """Bombs by settings; a ConfigError for particles that neither transport nor decays know."""

    def __init__(self, settings: Bombs):
        shares = {pdg: share for pdg, share in settings.particles.items() if share > 0.0}
        unknown = sorted(pdg for pdg in shares if not (pdg in SPECIES_OF_PDG or is_short_lived(pdg)))
        if unknown or not shares:
            raise ConfigError(
                f"interactions.bombs.particles is {settings.particles}: name particles by PDG code "
                f"({', '.join(map(str, SPECIES_OF_PDG))}, or short-lived ones) with at least one share above 0"
            )
        self._settings = settings
        self._pdg = np.array(list(shares), np.int32)
        self._mass_mev = np.array([1e3 * MASS_GEV[abs(pdg)] for pdg in shares])
        self._share = np.array(list(shares.values())) / sum(shares.values())

    def generate(self, rng: np.random.Generator) -> Interaction:
        """One bomb: particles drawn one by one, kinetic energies log-uniform, directions isotropic."""
        settings = self._settings
        number = int(rng.integers(settings.least, settings.most + 1))
        chosen = rng.choice(len(self._pdg), number, p=self._share)
        kinetic_mev = np.exp(rng.uniform(np.log(settings.low_mev), np.log(settings.high_mev), number))
        cosine, azimuth = rng.uniform(-1.0, 1.0, number), rng.uniform(0.0, 2.0 * np.pi, number)
        sine = np.sqrt(1.0 - cosine**2)
        direction = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
        mass_mev = self._mass_mev[chosen]
        return Interaction(
            pdg=self._pdg[chosen],
            momentum_mev=direction * np.sqrt(kinetic_mev * (kinetic_mev + 2.0 * mass_mev))[:, None],
            energy_mev=kinetic_mev + mass_mev,
            position_mm=np.zeros((number, 3)),
            time_ns=np.zeros(number),
        )
