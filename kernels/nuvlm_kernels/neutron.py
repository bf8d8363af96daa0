"""Neutrons in liquid argon: free flights between collisions, until capture, escape or an inelastic collision."""

import numpy as np
from numba import njit

from nuvlm_kernels.evaporation import FIRST_LEVEL_MEV, capture_neutron, emit
from nuvlm_kernels.hadronic import collide, scatter_elastically
from nuvlm_kernels.nucleus import look_up
from nuvlm_kernels.particles import MASS_MEV, NEUTRON, PHOTON
from nuvlm_kernels.workspace import ESCAPED, HADRONIC, KINETIC, NUCLEAR, TIME, UX, X, turn

LIGHT_MM_PER_NS = 299.792458
# Lowest levels of 40Ar that neutrons excite, as commonly quoted (Chen, Nucl. Data Sheets 140 (2017) 1; not checked
# against the original); equally likely once open
LEVELS_MEV = np.array([FIRST_LEVEL_MEV, 2.1208, 2.5240, 2.8926, 3.2080])
# Below this, levels one by one; above, the compound nucleus and the cascade
COMPOUND_FROM_MEV = 8.0
# Energy of a neutron in equilibrium with liquid argon at 87 K
THERMAL_MEV = 7.5e-9


@njit(cache=True, nogil=True, error_model="numpy")
def way_out(box, state):
    """Distance [mm] to the wall of the box along the direction; 0 outside."""
    way = np.inf
    for axis in range(3):
        place, direction = state[X + axis], state[UX + axis]
        if place < box[0, axis] or place > box[1, axis]:
            return 0.0
        if direction > 0.0:
            way = min(way, (box[1, axis] - place) / direction)
        elif direction < 0.0:
            way = min(way, (box[0, axis] - place) / direction)
    return way


@njit(cache=True, nogil=True, error_model="numpy")
def fly(state, way):
    """Move a neutron by `way` mm, in time too."""
    # Generators leave some neutrons exactly at rest
    kinetic, mass = max(state[KINETIC], THERMAL_MEV), MASS_MEV[NEUTRON]
    beta = np.sqrt(kinetic * (kinetic + 2.0 * mass)) / (kinetic + mass)
    for axis in range(3):
        state[X + axis] += way * state[UX + axis]
    state[TIME] += way / (beta * LIGHT_MM_PER_NS)


@njit(cache=True, nogil=True, error_model="numpy")
def excite_level(work, state, track, rng):
    """(n, n' gamma): leave the nucleus in a level that is open, push its photons; False: none is open."""
    kinetic = state[KINETIC]
    # In the centre of mass only 40/41 of the energy is there
    open_levels = 0
    while open_levels < len(LEVELS_MEV) and LEVELS_MEV[open_levels] * 41.0 / 40.0 < kinetic:
        open_levels += 1
    if open_levels == 0:
        return False
    level = LEVELS_MEV[int(open_levels * rng.random())]
    # Isotropic in the centre of mass (mass 40 : 1); the recoil takes what the neutron does not
    ratio = np.sqrt(1.0 - level * 41.0 / 40.0 / kinetic)
    cosine = 2.0 * rng.random() - 1.0
    after = kinetic * (1.0 + (40.0 * ratio) ** 2 + 80.0 * ratio * cosine) / 41.0**2
    turn(state, (1.0 + 40.0 * ratio * cosine) / np.sqrt(41.0**2 * after / kinetic), 2.0 * np.pi * rng.random())
    photons = level
    if level > FIRST_LEVEL_MEV:
        photons -= emit(work, PHOTON, level - FIRST_LEVEL_MEV, state, track, HADRONIC, rng)
    emit(work, PHOTON, photons, state, track, HADRONIC, rng)
    state[KINETIC] = after
    work.ledger[NUCLEAR] += kinetic - after - level
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def follow_neutron(work, tables, box, state, track, rng):
    """The whole life of one neutron; the state ends where it ends, with what energy it leaves the box (else 0).

    It escapes (ESCAPED), is captured (RELEASED += 6.1 MeV, thermal energy to NUCLEAR) or is gone in an inelastic
    collision, whose products are pushed. Elastic recoils of argon are NUCLEAR.
    """
    first, step = tables.log_first, tables.log_step
    length = 0.0
    while True:
        kinetic = state[KINETIC]
        elastic = look_up(tables.elastic_per_mm[NEUTRON], first, step, kinetic)
        inelastic = look_up(tables.inelastic_per_mm[NEUTRON], first, step, kinetic)
        capture = look_up(tables.capture_per_mm, first, step, kinetic)
        total = elastic + inelastic + capture
        way, wall = rng.standard_exponential() / total, way_out(box, state)
        fly(state, min(way, wall))
        length += min(way, wall)
        if way >= wall:
            work.ledger[ESCAPED] += kinetic
            break
        choice = rng.random() * total
        if choice < elastic:
            if kinetic > THERMAL_MEV:
                scatter_elastically(work, NEUTRON, state, rng)
            else:
                turn(state, 2.0 * rng.random() - 1.0, 2.0 * np.pi * rng.random())
        elif choice < elastic + capture:
            work.ledger[NUCLEAR] += kinetic
            state[KINETIC] = 0.0
            capture_neutron(work, state, track, rng)
            break
        elif kinetic > COMPOUND_FROM_MEV:
            collide(work, tables, NEUTRON, state, track, HADRONIC, rng)
            state[KINETIC] = 0.0
            break
        else:
            excite_level(work, state, track, rng)
    work.track_end[track, 0:3] = state[X : X + 3]
    work.track_end[track, 3] = state[KINETIC]
    work.track_end[track, 4] = length
