"""Hadrons in liquid argon: where they interact, elastic scattering off the nucleus, and what inelastic events push."""

import numpy as np
from numba import njit

from nuvlm_kernels.cascade import (
    BEYOND,
    DX,
    DZ,
    LEFT,
    NEUTRONS,
    PROTONS,
    absorb_stopped,
    clear_cascade,
    enter,
    new_cascade,
    run_cascade,
)
from nuvlm_kernels.collision import SPECIES
from nuvlm_kernels.evaporation import evaporate_remnant
from nuvlm_kernels.nucleus import (
    ARGON_MASS_MEV,
    ELASTIC_SLOPE_PER_MEV2,
    MASS_NUMBER,
    NUCLEON_MEV,
    NUM_PROTONS,
    REST_MEV,
    SEPARATION_MEV,
    look_up,
)
from nuvlm_kernels.particles import KAON_LONG, MASS_MEV, NEUTRON, PION_MINUS, PION_PLUS, PION_ZERO, PROTON
from nuvlm_kernels.workspace import CAPTURE, HADRONIC, KINETIC, NUCLEAR, RELEASED, UX, UZ, push, turn

# Below this a nucleon that slips through is taken to be absorbed by the nucleus as a whole (compound nucleus)
COMPOUND_MEV = 50.0
# Separation energies of what joins 40Ar: of the neutron of 41Ar and the proton of 41K (atomic masses)
ADDED_NEUTRON_MEV, ADDED_PROTON_MEV = 6.1, 7.8
# Share of neutral kaons that are short-lived, and of their decays to charged pions (PDG 2024)
SHORT_SHARE, SHORT_CHARGED = 0.5, 0.692


@njit(cache=True, nogil=True, error_model="numpy")
def hadron_inverse_length(tables, species, kinetic):
    """Elastic and inelastic interactions per mm of a hadron of the given kinetic energy [MeV]."""
    inelastic = look_up(tables.inelastic_per_mm[species], tables.log_first, tables.log_step, kinetic)
    return inelastic + look_up(tables.elastic_per_mm[species], tables.log_first, tables.log_step, kinetic)


@njit(cache=True, nogil=True, error_model="numpy")
def scatter_elastically(work, species, state, rng):
    """Deflect off the whole nucleus, dN/d|t| ~ exp(-B |t|); the recoil makes no charge that counts: NUCLEAR.

    Isotropic where the momentum is small against 1/sqrt(B) = 90 MeV/c. The recoil is |t| / (2 M).
    """
    mass = MASS_MEV[species]
    momentum2 = state[KINETIC] * (state[KINETIC] + 2.0 * mass)
    # Momentum in the centre of mass of hadron and nucleus
    energy2 = mass**2 + ARGON_MASS_MEV**2 + 2.0 * ARGON_MASS_MEV * (state[KINETIC] + mass)
    central2 = momentum2 * ARGON_MASS_MEV**2 / energy2
    largest = 4.0 * central2
    transfer = -np.log(1.0 - rng.random() * (1.0 - np.exp(-ELASTIC_SLOPE_PER_MEV2 * largest))) / ELASTIC_SLOPE_PER_MEV2
    transfer = min(transfer, largest)
    recoil = min(transfer / (2.0 * ARGON_MASS_MEV), state[KINETIC])
    after = state[KINETIC] - recoil
    momentum_after2 = after * (after + 2.0 * mass)
    # t = 2 m^2 - 2 E E' + 2 p p' cos
    product = 2.0 * np.sqrt(momentum2 * momentum_after2)
    cosine = 1.0
    if product > 0.0:
        # (E - E')^2 - |p - p'|^2 = -t, written without differences of large numbers
        cosine = (momentum2 + momentum_after2 - transfer - recoil**2) / product
    turn(state, min(1.0, max(-1.0, cosine)), 2.0 * np.pi * rng.random())
    state[KINETIC] = after
    work.ledger[NUCLEAR] += recoil


@njit(cache=True, nogil=True, error_model="numpy")
def hadron_interact(work, tables, species, state, track, rng):
    """One interaction at the state; True: inelastic, the hadron is gone, products pushed; False: it scattered on."""
    kinetic = state[KINETIC]
    inelastic = look_up(tables.inelastic_per_mm[species], tables.log_first, tables.log_step, kinetic)
    elastic = look_up(tables.elastic_per_mm[species], tables.log_first, tables.log_step, kinetic)
    if rng.random() * (inelastic + elastic) >= inelastic:
        scatter_elastically(work, species, state, rng)
        return False
    collide(work, tables, species, state, track, HADRONIC, rng)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def collide(work, tables, species, state, track, process, rng):
    """An inelastic interaction with a nucleus: cascade until something is hit, then push what comes out."""
    cascade = new_cascade()
    slow = species in (PROTON, NEUTRON) and state[KINETIC] < COMPOUND_MEV
    for _ in range(4 if slow else 60):
        clear_cascade(cascade)
        enter(cascade, species, state, rng)
        if run_cascade(cascade, tables, rng):
            break
    else:
        clear_cascade(cascade)
        if slow:
            cascade.count[PROTONS if species == PROTON else NEUTRONS] += 1
        else:
            # Never hit anything (a chance of about 1e-20): it goes on
            enter(cascade, species, state, rng)
            cascade.out[0] = cascade.queue[0]
            cascade.count[LEFT] = 1
    finish(work, cascade, state[KINETIC] + REST_MEV[species], state, track, process, rng, REST_MEV[species])


@njit(cache=True, nogil=True, error_model="numpy")
def capture_at_rest(work, tables, species, state, track, rng):
    """End of a stopped pi-, K- or antiproton on a nucleus: products pushed, the ledger closed on rest energy too.

    pi- is absorbed by a pair of nucleons at the nucleus's surface (Hüfner, Phys. Rep. 21 (1975) 1), K- by one nucleon,
    an antiproton annihilates with one. Kinetic energy that the state still has goes to the remnant's excitation.
    """
    cascade = new_cascade()
    for _ in range(50):
        clear_cascade(cascade)
        if absorb_stopped(cascade, species, rng):
            run_cascade(cascade, tables, rng)
            break
    rest = REST_MEV[species]
    finish(work, cascade, state[KINETIC] + rest, state, track, CAPTURE, rng, rest)


@njit(cache=True, nogil=True, error_model="numpy")
def finish(work, cascade, energy, state, track, process, rng, rest):
    """Push what left the nucleus and what the remnant evaporates; close the ledger.

    `energy` [MeV] is what the hadron brought, kinetic and `rest`; its share that is neither pushed nor the rest energy
    of something pushed is NUCLEAR. A nucleon absorbed for good frees its separation energy: RELEASED.
    """
    count, left, created = cascade.count, energy, 0.0
    momentum = np.empty(3)
    brought = np.sqrt(state[KINETIC] * (state[KINETIC] + 2.0 * NUCLEON_MEV)) if rest == 0.0 else 0.0
    if rest > 0.0:
        brought = np.sqrt(state[KINETIC] * (state[KINETIC] + 2.0 * min(rest, NUCLEON_MEV)))
    momentum[:] = brought * state[UX : UZ + 1]
    for i in range(count[LEFT]):
        row = cascade.out[i]
        species = int(row[SPECIES])
        created += REST_MEV[species]
        left -= row[BEYOND] + REST_MEV[species]
        size = np.sqrt(row[BEYOND] * (row[BEYOND] + 2.0 * MASS_MEV[species]))
        for axis in range(3):
            momentum[axis] -= size * row[DX + axis]
        created += push_product(work, species, row, state, track, process, rng)
    removed = MASS_NUMBER - count[PROTONS] - count[NEUTRONS]
    masses = removed * SEPARATION_MEV
    if removed < 0:
        masses = -ADDED_PROTON_MEV if count[PROTONS] > NUM_PROTONS else -ADDED_NEUTRON_MEV
    recoil = (momentum[0] ** 2 + momentum[1] ** 2 + momentum[2] ** 2) / (2.0 * NUCLEON_MEV)
    excitation = left - masses - recoil / max(1, count[PROTONS] + count[NEUTRONS])
    if excitation > 0.0:
        left -= evaporate_remnant(work, excitation, count, state, track, process, rng)
    work.ledger[RELEASED] += rest - created
    if left < 0.0:
        work.ledger[RELEASED] -= left
    else:
        work.ledger[NUCLEAR] += left


@njit(cache=True, nogil=True, error_model="numpy")
def push_product(work, species, row, state, track, process, rng):
    """Push a hadron that left; half of the neutral kaons decay at once to pions: the change of rest energy [MeV]."""
    product = state.copy()
    product[UX : UZ + 1] = row[DX : DZ + 1]
    product[KINETIC] = row[BEYOND]
    if species != KAON_LONG or rng.random() >= SHORT_SHARE:
        push(work, species, product, track, process)
        return 0.0
    charged = rng.random() < SHORT_CHARGED
    first, second = (PION_PLUS, PION_MINUS) if charged else (PION_ZERO, PION_ZERO)
    mass, pion = MASS_MEV[KAON_LONG], MASS_MEV[first]
    central = np.sqrt(0.25 * mass**2 - pion**2)
    cosine, azimuth = 2.0 * rng.random() - 1.0, 2.0 * np.pi * rng.random()
    gamma = 1.0 + row[BEYOND] / mass
    boost = np.sqrt(gamma**2 - 1.0)
    for sign in (1.0, -1.0):
        along = gamma * sign * central * cosine + boost * 0.5 * mass
        product[KINETIC] = gamma * 0.5 * mass + boost * sign * central * cosine - pion
        product[UX : UZ + 1] = row[DX : DZ + 1]
        size = np.sqrt(product[KINETIC] * (product[KINETIC] + 2.0 * pion))
        turn(product, min(1.0, max(-1.0, along / size)), azimuth if sign > 0.0 else azimuth + np.pi)
        push(work, first if sign > 0.0 else second, product, track, process)
    return 2.0 * pion - mass
