"""What an excited nucleus gives off: neutrons and protons while it can, photons with the rest.

Weisskopf evaporation (Phys. Rev. 52 (1937) 295) in its simplest form: level density exp(2 sqrt(a E)) with
a = A / 8 per MeV, spectra e exp(-e / T) above the Coulomb barrier. Alphas take their energy with them but are not
pushed: tracks of some 50 um, strongly quenched, count as NUCLEAR. Left out: deuterons to 3He, shells (separation
energies follow the mean trend), angular momentum.
"""

import numpy as np
from numba import njit

from nuvlm_kernels.nucleus import (
    NUM_NEUTRONS,
    NUM_PROTONS,
    PROTON_BARRIER_MEV,
    random_direction,
)
from nuvlm_kernels.particles import NEUTRON, PHOTON, PROTON
from nuvlm_kernels.workspace import CAPTURE, KINETIC, NUCLEAR, RELEASED, UX, push

LEVEL_DENSITY_PER_MEV = 1.0 / 8.0
# Neutron, proton, alpha: (2 spin + 1) x mass over a nucleon's; effective Coulomb barrier [MeV]; what they take away
SPIN_MASS = np.array([1.0, 1.0, 2.0])
BARRIER_MEV = np.array([0.0, PROTON_BARRIER_MEV, 6.5])
PROTONS_OF, NEUTRONS_OF = np.array([0, 1, 2]), np.array([1, 0, 2])
# First excited state of 40Ar, as commonly quoted (Chen, Nucl. Data Sheets 140 (2017) 1): most of its cascades end with
# this photon
FIRST_LEVEL_MEV = 1.4608
# Energy freed by 40Ar(n, gamma), from atomic masses; capture_neutron has its strongest cascades, as quoted from Hardell
# and Beer, Phys. Scr. 1 (1970) 85, not checked against the original; shares are rounded
CAPTURE_MEV = 6.0989


@njit(cache=True, nogil=True, error_model="numpy")
def emit(work, species, energy, state, track, process, rng):
    """Push a particle that leaves isotropically from the state's place; its kinetic energy [MeV]."""
    product = state.copy()
    random_direction(product[UX : UX + 3], 1.0, rng)
    product[KINETIC] = energy
    push(work, species, product, track, process)
    return energy


@njit(cache=True, nogil=True, error_model="numpy")
def emit_photons(work, excitation, state, track, process, rng):
    """Push photons that carry all of an excitation below the separation energies; their energy [MeV]."""
    left = excitation
    while left > 3.0:
        left -= emit(work, PHOTON, 0.8 + (min(left, 6.0) - 1.6) * rng.random(), state, track, process, rng)
    if left > FIRST_LEVEL_MEV + 0.2:
        left -= emit(work, PHOTON, left - FIRST_LEVEL_MEV, state, track, process, rng)
    if left > 0.02:
        left -= emit(work, PHOTON, left, state, track, process, rng)
    return excitation - left


@njit(cache=True, nogil=True, error_model="numpy")
def emission_weight(surplus, level_density):
    """Relative width of an emission that leaves up to `surplus` MeV of excitation."""
    return surplus * np.exp(2.0 * np.sqrt(level_density * surplus)) if surplus > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def set_thresholds(thresholds, count):
    """Separation energies [MeV] of neutron, proton, alpha from a remnant of count[0] protons and count[1] neutrons.

    A straight line in the neutron excess and a pairing term, through those that atomic masses give for 36..41Ar,
    37..40Cl and 38S, to 2 MeV. Alphas: 40Ar's 6.8 MeV.
    """
    lack = 4.0 - (count[1] - count[0])
    thresholds[0] = max(3.0, 8.2 + lack + (1.5 if count[1] % 2 == 0 else -1.5))
    thresholds[1] = max(3.0, 11.0 - 0.9 * lack + (1.0 if count[0] % 2 == 0 else -1.0))
    thresholds[2] = 6.8


@njit(cache=True, nogil=True, error_model="numpy")
def sample_surplus(surplus, level_density, rng):
    """Kinetic energy [MeV] above the barrier: e exp(-e / T), T of the nucleus after the emission, up to `surplus`."""
    temperature = np.sqrt(surplus / level_density)
    for _ in range(20):
        kinetic = temperature * (rng.standard_exponential() + rng.standard_exponential())
        if kinetic < surplus:
            return kinetic
    return surplus * rng.random()


@njit(cache=True, nogil=True, error_model="numpy")
def evaporate_remnant(work, excitation, count, state, track, process, rng):
    """Push the nucleons and photons of a remnant of count[0] protons and count[1] neutrons; their energy [MeV].

    What was not pushed went into separation energies and alphas.
    """
    pushed, thresholds, weights = 0.0, np.empty(3), np.empty(3)
    while min(count[0], count[1]) > 2:
        density = LEVEL_DENSITY_PER_MEV * (count[0] + count[1])
        set_thresholds(thresholds, count)
        for kind in range(3):
            weights[kind] = SPIN_MASS[kind] * emission_weight(
                excitation - thresholds[kind] - BARRIER_MEV[kind], density
            )
        choice = rng.random() * (weights[0] + weights[1] + weights[2])
        if choice <= 0.0:
            return pushed + emit_photons(work, excitation, state, track, process, rng)
        kind = 0 if choice < weights[0] else 1 if choice < weights[0] + weights[1] else 2
        kinetic = BARRIER_MEV[kind] + sample_surplus(excitation - thresholds[kind] - BARRIER_MEV[kind], density, rng)
        excitation -= kinetic + thresholds[kind]
        count[0] -= PROTONS_OF[kind]
        count[1] -= NEUTRONS_OF[kind]
        if kind < 2:
            pushed += emit(work, PROTON if kind == 1 else NEUTRON, kinetic, state, track, process, rng)
    return pushed


@njit(cache=True, nogil=True, error_model="numpy")
def evaporate(work, tables, excitation_mev, state, track, rng):
    """Push what a nucleus of mass 40 after a capture gives off; separation energies go to NUCLEAR.

    Pushed kinetic and photon energies + NUCLEAR sum to `excitation_mev`, which the caller has entered as RELEASED.
    """
    count = np.array([NUM_PROTONS - 1, NUM_NEUTRONS + 1])
    pushed = evaporate_remnant(work, excitation_mev, count, state, track, CAPTURE, rng)
    work.ledger[NUCLEAR] += excitation_mev - pushed


@njit(cache=True, nogil=True, error_model="numpy")
def capture_neutron(work, state, track, rng):
    """Photons of 40Ar(n, gamma)41Ar, 6.1 MeV in all, entered as RELEASED."""
    work.ledger[RELEASED] += CAPTURE_MEV
    choice = rng.random()
    if choice < 0.60:
        first, second = 0.1673, 1.1868
    elif choice < 0.75:
        first, second = 0.5161, 0.0
    elif choice < 0.90:
        first, second = 1.3540, 1.3800
    else:
        emit_photons(work, CAPTURE_MEV, state, track, CAPTURE, rng)
        return
    emit(work, PHOTON, first, state, track, CAPTURE, rng)
    if second > 0.0:
        emit(work, PHOTON, second, state, track, CAPTURE, rng)
    emit(work, PHOTON, CAPTURE_MEV - first - second, state, track, CAPTURE, rng)
