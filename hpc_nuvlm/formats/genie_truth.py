"""What both of GENIE's file formats share: from four-vectors in GeV to an Interaction.

Four-vectors are (px, py, pz, E) [GeV], as StdHep orders them.
"""

from __future__ import annotations

import math

import numpy as np

from hpc_nuvlm.errors import FormatError
from hpc_nuvlm.interaction import Interaction

MEV_PER_GEV = 1000.0
# Mean of proton and neutron mass; Review of Particle Physics 2024 (938.272 and 939.565 MeV)
NUCLEON_MASS_GEV = 0.9389187
# Interactions with a nucleon, or two, for which an invariant mass of the hadrons has a meaning
NUCLEON_MODES = ("qe", "res", "dis", "mec")
CHARGED_LEPTONS = (11, 13, 15)
NEUTRINOS = (12, 14, 16)
# Stored numbers are rounded: a nucleus of 11 GeV and mass shell may miss each other by this much
MASS_SHELL_GEV = 1e-3
# GENIE's own particles, for instance the energy and momentum that binding took (2000000101), are on no mass shell
SMALLEST_PSEUDO_PARTICLE = 2_000_000_000


def invariants(neutrino: np.ndarray, lepton: np.ndarray, mode: str | None) -> tuple[float, float, float]:
    """Q2 [GeV2], W [GeV] and y, from the neutrino and the outgoing lepton alone, as an experiment defines them.

    Q2 = -(k - k')2, y = (E - E') / E, W2 = M2 + 2 M (E - E') - Q2 with the struck nucleon at rest (Review of Particle
    Physics, Structure functions, eq. 18.1). These are the branches Q2, y and W of a gst file; its Q2s, ys and Ws, which
    the generator drew on a nucleon that moved, differ. W is NaN where no nucleon was struck or W2 < 0.
    """
    q = neutrino - lepton
    q2 = float(q[:3] @ q[:3] - q[3] ** 2)
    y = float(q[3] / neutrino[3]) if neutrino[3] > 0 else math.nan
    w2 = NUCLEON_MASS_GEV**2 + 2 * NUCLEON_MASS_GEV * float(q[3]) - q2
    w = math.sqrt(w2) if mode in NUCLEON_MODES and w2 >= 0 else math.nan
    return q2, w, y


def interaction_of(where: str, pdg: np.ndarray, four_vectors: np.ndarray, **truth) -> Interaction:
    """Particles (P,) and their four-vectors (P, 4), all born in the vertex at time 0, with what else is known."""
    pdg = np.asarray(pdg, np.int64)
    if len(pdg) != len(four_vectors):
        raise FormatError(
            f"{where}: {len(pdg)} PDG codes for {len(four_vectors)} momenta; the file is damaged; fetch it again"
        )
    momentum, energy = four_vectors[:, :3], four_vectors[:, 3]
    if (np.abs(pdg) > np.iinfo(np.int32).max).any() or (pdg == 0).any():
        raise FormatError(f"{where}: PDG codes {pdg.tolist()}: 0 is none; the file is damaged; fetch it again")
    slow = (energy + MASS_SHELL_GEV < np.linalg.norm(momentum, axis=1)) & (np.abs(pdg) < SMALLEST_PSEUDO_PARTICLE)
    if slow.any():
        raise FormatError(
            f"{where}: particle {int(np.argmax(slow))} (PDG {pdg[slow][0]}) has momentum {momentum[slow][0].tolist()} "
            f"GeV and energy {energy[slow][0]:g} GeV, which must not be less; the file is damaged; fetch it again"
        )
    return Interaction(
        pdg=pdg.astype(np.int32),
        momentum_mev=momentum * MEV_PER_GEV,
        energy_mev=energy * MEV_PER_GEV,
        position_mm=np.zeros((len(pdg), 3)),
        time_ns=np.zeros(len(pdg)),
        final_state=tuple(zip(pdg.tolist(), energy.tolist(), strict=True)),
        **truth,
    )
