"""Decays of muons, charged pions, kaons and pi0, in flight and at rest, and the capture of negative muons by argon.

Lifetimes and branching ratios: Review of Particle Physics 2024. Products are pushed, neutrinos go to the ledger.
Left out: polarization of muons, form factors of semileptonic decays (phase space instead), channels below 0.3 %.
"""

import numpy as np
from numba import njit

from nuvlm_kernels.hadronic import capture_at_rest
from nuvlm_kernels.kinematics import push_boosted, three_body, two_body
from nuvlm_kernels.muon import decay_muon, stop_muon
from nuvlm_kernels.particles import (
    ANTIPROTON,
    ELECTRON,
    KAON_LONG,
    KAON_MINUS,
    KAON_PLUS,
    MASS_MEV,
    MUON_MINUS,
    MUON_PLUS,
    PHOTON,
    PION_MINUS,
    PION_PLUS,
    PION_ZERO,
    POSITRON,
)
from nuvlm_kernels.workspace import RELEASED, TIME

# c tau [mm] by species; 0: does not decay here
FLIGHT_MM = np.array(
    [0.0, 0.0, 0.0, 658638.0, 658638.0, 7804.5, 7804.5, 0.0, 3711.0, 3711.0, 15340.0, 0.0, 0.0, 0.0, 0.0]
)
LIGHT_MM_PER_NS = 299.792458
NONE = -1
# Charged kaons: mu nu, pi pi0, 3 pi charged, e nu pi0, mu nu pi0, pi 2pi0: cumulative, over their sum 0.99988
KAON_SHARES = np.cumsum(np.array([0.6356, 0.2067, 0.05583, 0.0507, 0.03352, 0.0176]))
# K0L: pi e nu, pi mu nu, 3 pi0, pi+ pi- pi0: cumulative, over their sum 0.9965
KAON_LONG_SHARES = np.cumsum(np.array([0.4055, 0.2704, 0.1952, 0.1254]))
# pi0 -> e+ e- gamma
DALITZ_SHARE = 0.01174


@njit(cache=True, nogil=True, error_model="numpy")
def decay_inverse_length(species, kinetic):
    """Inverse mean decay length [1/mm] in flight: m / (p c tau)."""
    flight = FLIGHT_MM[species]
    if flight == 0.0:
        return 0.0
    mass = MASS_MEV[species]
    return mass / (np.sqrt(kinetic * (kinetic + 2.0 * mass)) * flight)


@njit(cache=True, nogil=True, error_model="numpy")
def decay_in_flight(work, species, state, track, rng):
    """Decay at the state, which may be at rest; products are pushed, the ledger is closed."""
    if species in (MUON_MINUS, MUON_PLUS):
        decay_muon(work, species, state, track, 0.0, rng)
    elif species == PION_PLUS:
        two_body(work, species, MUON_PLUS, NONE, state, track, rng)
    elif species == PION_MINUS:
        two_body(work, species, MUON_MINUS, NONE, state, track, rng)
    elif species in (KAON_PLUS, KAON_MINUS):
        decay_kaon(work, species, state, track, rng)
    elif species == KAON_LONG:
        decay_kaon_long(work, state, track, rng)
    elif species == PION_ZERO:
        decay_pion_zero(work, state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def end_at_rest(work, tables, species, state, track, rng):
    """What a charged particle does once it has stopped: decay after its life, or be taken up by a nucleus."""
    if species == MUON_MINUS:
        stop_muon(work, tables, state, track, rng)
    elif species in (PION_MINUS, KAON_MINUS, ANTIPROTON):
        capture_at_rest(work, tables.hadron, species, state, track, rng)
    elif FLIGHT_MM[species] > 0.0:
        state[TIME] += FLIGHT_MM[species] / LIGHT_MM_PER_NS * rng.standard_exponential()
        decay_in_flight(work, species, state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def decay_kaon(work, species, state, track, rng):
    """K+ or K-, six channels; the charges of the products are those of the kaon's sign."""
    plus = species == KAON_PLUS
    muon = MUON_PLUS if plus else MUON_MINUS
    electron = POSITRON if plus else ELECTRON
    same, other = (PION_PLUS, PION_MINUS) if plus else (PION_MINUS, PION_PLUS)
    choice = rng.random() * KAON_SHARES[-1]
    if choice < KAON_SHARES[0]:
        two_body(work, species, muon, NONE, state, track, rng)
    elif choice < KAON_SHARES[1]:
        two_body(work, species, same, PION_ZERO, state, track, rng)
    elif choice < KAON_SHARES[2]:
        three_body(work, species, (same, same, other), state, track, rng)
    elif choice < KAON_SHARES[3]:
        three_body(work, species, (PION_ZERO, electron, NONE), state, track, rng)
    elif choice < KAON_SHARES[4]:
        three_body(work, species, (PION_ZERO, muon, NONE), state, track, rng)
    else:
        three_body(work, species, (same, PION_ZERO, PION_ZERO), state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def decay_kaon_long(work, state, track, rng):
    """K0L, four channels; both charges of the lepton alike (CP violation: 0.3 %)."""
    choice = rng.random() * KAON_LONG_SHARES[-1]
    plus = rng.random() < 0.5
    pion = PION_MINUS if plus else PION_PLUS
    if choice < KAON_LONG_SHARES[0]:
        three_body(work, KAON_LONG, (pion, POSITRON if plus else ELECTRON, NONE), state, track, rng)
    elif choice < KAON_LONG_SHARES[1]:
        three_body(work, KAON_LONG, (pion, MUON_PLUS if plus else MUON_MINUS, NONE), state, track, rng)
    elif choice < KAON_LONG_SHARES[2]:
        three_body(work, KAON_LONG, (PION_ZERO, PION_ZERO, PION_ZERO), state, track, rng)
    else:
        three_body(work, KAON_LONG, (PION_PLUS, PION_MINUS, PION_ZERO), state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def decay_pion_zero(work, state, track, rng):
    """pi0 at its place of birth (it flies 25 nm): two photons, or a Dalitz pair and a photon.

    Pair mass: N. M. Kroll, W. Wada, Phys. Rev. 98 (1955) 1355, without form factor; the pair decays isotropically.
    """
    if rng.random() >= DALITZ_SHARE:
        two_body(work, PION_ZERO, PHOTON, PHOTON, state, track, rng)
        return
    mass, electron = MASS_MEV[PION_ZERO], MASS_MEV[ELECTRON]
    least = 4.0 * electron * electron / (mass * mass)
    while True:
        # 1/q^2 exactly, the rest (at most 1) by rejection; share = q^2 / m^2
        share = least ** (1.0 - rng.random())
        ratio = least / share
        if rng.random() < (1.0 - share) ** 3 * (1.0 + 0.5 * ratio) * np.sqrt(max(0.0, 1.0 - ratio)):
            break
    push_dalitz(work, share, state, track, rng)


@njit(cache=True, nogil=True, error_model="numpy")
def push_dalitz(work, share, state, track, rng):
    """Push the photon and the pair, whose squared mass is a share of the pi0's."""
    mass, electron = MASS_MEV[PION_ZERO], MASS_MEV[ELECTRON]
    pair_mass = np.sqrt(share) * mass
    photon_energy = 0.5 * mass * (1.0 - share)
    cosine, azimuth = 2.0 * rng.random() - 1.0, 2.0 * np.pi * rng.random()
    sine = np.sqrt(1.0 - cosine * cosine)
    x, y, z = sine * np.cos(azimuth), sine * np.sin(azimuth), cosine
    push_boosted(work, PION_ZERO, PHOTON, (photon_energy * x, photon_energy * y, photon_energy * z), state, track)
    momentum = np.sqrt(max(0.0, 0.25 * pair_mass * pair_mass - electron * electron))
    cosine, azimuth = 2.0 * rng.random() - 1.0, 2.0 * np.pi * rng.random()
    sine = np.sqrt(1.0 - cosine * cosine)
    a, b, c = momentum * sine * np.cos(azimuth), momentum * sine * np.sin(azimuth), momentum * cosine
    # The pair moves against the photon: boost of both by gamma = E/M, gamma beta = -p/M along (x, y, z)
    gamma_beta = -photon_energy / pair_mass
    gamma = np.sqrt(1.0 + gamma_beta * gamma_beta)
    along = a * x + b * y + c * z
    for sign, species in ((1.0, ELECTRON), (-1.0, POSITRON)):
        extra = (gamma - 1.0) * sign * along + gamma_beta * 0.5 * pair_mass
        push_boosted(
            work, PION_ZERO, species, (sign * a + extra * x, sign * b + extra * y, sign * c + extra * z), state, track
        )
    work.ledger[RELEASED] += mass - 2.0 * electron
