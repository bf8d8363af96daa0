"""The end of muons: decay with the Michel spectrum, and negative muons in argon's field: cascade, decay or capture.

Left out: polarization, radiative corrections and, for bound muons, the smearing of the spectrum by their motion (a few
MeV at the endpoint) and Huff's factor (decay slower by about 1 %); direct emission of nucleons in capture.
"""

import numpy as np
from numba import njit

from nuvlm_kernels.evaporation import evaporate
from nuvlm_kernels.kinematics import isotropic, push_boosted
from nuvlm_kernels.particles import ELECTRON, MASS_MEV, MUON_MINUS, MUON_PLUS, PHOTON, POSITRON
from nuvlm_kernels.workspace import (
    CAPTURE,
    KINETIC,
    NEUTRINO,
    NUCLEAR,
    RELEASED,
    TIME,
    UX,
    UY,
    UZ,
    X,
    Y,
    Z,
    deposit,
    push,
)

LIFE_NS = 2196.9811
# Negative muons in argon live 537 +- 32 ns, captured at 1.41 +- 0.11 per us (T. Suzuki, D. F. Measday, J. P. Roalsvig,
# Phys. Rev. C 35 (1987) 2212, as commonly quoted, not checked against the original): 1 - 537 / 2197 = 76 % are captured
ARGON_LIFE_NS = 537.0
CAPTURED_SHARE = 1.0 - ARGON_LIFE_NS / LIFE_NS
# Binding in the 1s orbit, (Z alpha)^2 m / 2 with the reduced mass 105.36 MeV (2 % less for the nucleus' size), and the
# K-alpha photon, 3/4 of that for a point nucleus. The rest leaves as softer X-rays and Auger electrons, deposited here
BINDING_MEV = 0.89
K_ALPHA_MEV = 0.644
# 40Ar -> 40Cl: atomic Q of the beta decay 7.48 MeV (atomic masses), + m_e
THRESHOLD_MEV = 7.48 + 0.511
# Fermi gas for the proton that takes up the muon: Fermi momentum of medium nuclei (E. J. Moniz et al., Phys. Rev. Lett.
# 26 (1971) 445: 251 MeV/c at calcium), and an effective mass that gives the mean excitation of 15 to 20 MeV
# (D. F. Measday, Phys. Rep. 354 (2001) 243, as commonly quoted); with the free mass it is 14 MeV
FERMI_MEV = 251.0
EFFECTIVE_MASS_MEV = 0.7 * 938.9


@njit(cache=True, nogil=True, error_model="numpy")
def michel_energy(rng):
    """Total energy [MeV] of the electron of a muon at rest: PDG muon decay parameters, eq. 2, rho = 3/4, eta = 0."""
    muon, electron = MASS_MEV[MUON_MINUS], MASS_MEV[ELECTRON]
    highest = 0.5 * (muon * muon + electron * electron) / muon
    least = electron / highest
    while True:
        x = least + (1.0 - least) * rng.random()
        density = np.sqrt(x * x - least * least) * (x * (1.0 - x) + (4.0 * x * x - 3.0 * x - least * least) / 6.0)
        # 1/6 is the value at x = 1, where it is largest
        if 6.0 * density > rng.random():
            return x * highest


@njit(cache=True, nogil=True, error_model="numpy")
def decay_muon(work, species, state, track, binding_mev, rng):
    """Push the electron or positron, isotropic in the muon's rest frame; neutrinos get what is left but the binding."""
    muon, electron = MASS_MEV[MUON_MINUS], MASS_MEV[ELECTRON]
    energy = michel_energy(rng)
    momentum = isotropic(np.sqrt(energy * energy - electron * electron), rng)
    gamma = 1.0 + state[KINETIC] / muon
    gamma_beta = np.sqrt(state[KINETIC] * (state[KINETIC] + 2.0 * muon)) / muon
    along = momentum[0] * state[UX] + momentum[1] * state[UY] + momentum[2] * state[UZ]
    push_boosted(work, species, ELECTRON if species == MUON_MINUS else POSITRON, momentum, state, track)
    work.ledger[NEUTRINO] += state[KINETIC] + muon - gamma * energy - gamma_beta * along - binding_mev
    work.ledger[RELEASED] += muon - electron


@njit(cache=True, nogil=True, error_model="numpy")
def stop_muon(work, tables, state, track, rng):
    """A negative muon at rest: X-rays and Auger electrons of its fall to the 1s orbit, then decay or capture."""
    cascade(work, state, track, rng)
    state[TIME] += ARGON_LIFE_NS * rng.standard_exponential()
    if rng.random() >= CAPTURED_SHARE:
        decay_muon(work, MUON_MINUS, state, track, BINDING_MEV, rng)
        return
    excitation = capture_excitation(rng)
    work.ledger[RELEASED] += MASS_MEV[MUON_MINUS]
    work.ledger[NUCLEAR] += THRESHOLD_MEV
    work.ledger[NEUTRINO] += MASS_MEV[MUON_MINUS] - BINDING_MEV - THRESHOLD_MEV - excitation
    evaporate(work, tables.hadron, excitation, state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def cascade(work, state, track, rng):
    """Push the K-alpha photon, deposit the rest of the binding energy here. Paid for by what the muon then does."""
    photon = np.empty(8)
    photon[:] = state
    photon[UX], photon[UY], photon[UZ] = isotropic(1.0, rng)
    photon[KINETIC] = K_ALPHA_MEV
    push(work, PHOTON, photon, track, CAPTURE)
    deposit(work, track, state[X], state[Y], state[Z], state, BINDING_MEV - K_ALPHA_MEV)


@njit(cache=True, nogil=True, error_model="numpy")
def capture_excitation(rng):
    """Energy [MeV] that the nucleus keeps when a proton of its Fermi sea turns into a neutron above that sea.

    The neutrino's momentum k, in a random direction, is what energy leaves: k + ((p - k)^2 - p^2) / 2M = available;
    k^2 is its phase space.
    """
    available = MASS_MEV[MUON_PLUS] - BINDING_MEV - THRESHOLD_MEV
    mass = EFFECTIVE_MASS_MEV
    while True:
        momentum = FERMI_MEV * rng.random() ** (1.0 / 3.0)
        slope = 1.0 - momentum * (2.0 * rng.random() - 1.0) / mass
        neutrino = mass * (np.sqrt(slope * slope + 2.0 * available / mass) - slope)
        excitation = available - neutrino
        above = momentum * momentum + 2.0 * mass * excitation > FERMI_MEV * FERMI_MEV
        if above and excitation > 0.0 and rng.random() < (neutrino / available) ** 2:
            return excitation
