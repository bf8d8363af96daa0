"""Kinematics of one hadron-nucleon collision: two bodies, or many with limited transverse momentum.

`bodies` (MAX_BODIES, 5) holds species, momentum and total energy [MeV]. `total` (4,) is the sum of what collides:
momentum, energy. Energy and momentum are conserved to rounding; masses are CASCADE_MASS_MEV.
"""

import numpy as np
from numba import njit

from nuvlm_kernels.nucleus import CASCADE_MASS_MEV, NUCLEON_MEV
from nuvlm_kernels.particles import CHARGE, MASS_MEV, NEUTRON, PION_MINUS, PION_PLUS, PION_ZERO, PROTON

SPECIES, PX, PY, PZ, ENERGY = range(5)
MAX_BODIES = 16
# Width of each transverse component: mean pT 0.35 GeV/c, as is usual in hadronic collisions from 1 to 100 GeV (Rossi et
# al., Nucl. Phys. B 84 (1975) 269, not checked against the original)
TRANSVERSE_MEV = 280.0
# Slope of elastic hadron-nucleon scattering at some GeV [1/MeV^2] (see elastic_cosine; mesons alike)
NUCLEON_SLOPE_PER_MEV2 = 5.5e-6


@njit(cache=True, nogil=True, error_model="numpy")
def invariant_mass(total):
    square = total[3] ** 2 - total[0] ** 2 - total[1] ** 2 - total[2] ** 2
    return np.sqrt(max(square, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def set_axis(axis, momentum, energy, total):
    """Fill axis (3,) with the direction that a particle has in the centre of mass; its momentum there [MeV]."""
    mass = invariant_mass(total)
    dot = momentum[0] * total[0] + momentum[1] * total[1] + momentum[2] * total[2]
    factor = energy / mass - dot / (mass * (mass + total[3]))
    for i in range(3):
        axis[i] = momentum[i] - factor * total[i]
    length = np.sqrt(axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2)
    if length < 1e-9:
        axis[0], axis[1], axis[2] = 0.0, 0.0, 1.0
    else:
        for i in range(3):
            axis[i] /= length
    return length


@njit(cache=True, nogil=True, error_model="numpy")
def to_laboratory(bodies, number, axis, total):
    """Turn the bodies' z onto the axis, then boost them from the centre of mass."""
    mass = invariant_mass(total)
    transverse = np.sqrt(axis[0] ** 2 + axis[1] ** 2)
    if transverse > 1e-9:
        first_x, first_y, first_z = axis[0] * axis[2] / transverse, axis[1] * axis[2] / transverse, -transverse
        second_x, second_y = -axis[1] / transverse, axis[0] / transverse
    else:
        first_x, first_y, first_z, second_x, second_y = np.sign(axis[2]), 0.0, 0.0, 0.0, 1.0
    for i in range(number):
        row = bodies[i]
        x = row[PX] * first_x + row[PY] * second_x + row[PZ] * axis[0]
        y = row[PX] * first_y + row[PY] * second_y + row[PZ] * axis[1]
        z = row[PX] * first_z + row[PZ] * axis[2]
        dot = x * total[0] + y * total[1] + z * total[2]
        factor = (dot / (mass + total[3]) + row[ENERGY]) / mass
        row[PX], row[PY], row[PZ] = x + factor * total[0], y + factor * total[1], z + factor * total[2]
        row[ENERGY] = (row[ENERGY] * total[3] + dot) / mass


@njit(cache=True, nogil=True, error_model="numpy")
def scatter_two(bodies, mass, cosine, rng):
    """Give bodies 0 and 1 back-to-back momenta, at a polar angle from z; False where they are too heavy."""
    first, second = CASCADE_MASS_MEV[int(bodies[0, SPECIES])], CASCADE_MASS_MEV[int(bodies[1, SPECIES])]
    if mass <= first + second:
        return False
    momentum = np.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (2.0 * mass)
    sine, azimuth = np.sqrt(max(0.0, 1.0 - cosine**2)), 2.0 * np.pi * rng.random()
    x, y, z = momentum * sine * np.cos(azimuth), momentum * sine * np.sin(azimuth), momentum * cosine
    bodies[0, PX], bodies[0, PY], bodies[0, PZ] = x, y, z
    bodies[1, PX], bodies[1, PY], bodies[1, PZ] = -x, -y, -z
    bodies[0, ENERGY] = np.sqrt(momentum**2 + first**2)
    bodies[1, ENERGY] = np.sqrt(momentum**2 + second**2)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def elastic_cosine(species, target, momentum, relative_kinetic, rng):
    """Cosine of the centre-of-mass angle of elastic or charge-exchange scattering off a nucleon.

    Pions through the Delta: 1 + 3 cos^2. Else exp(-B |t|) with the slope of Cugnon, L'Hôte and Vandermeulen, Nucl.
    Instrum. Meth. B 111 (1996) 215, for like nucleons, as INCL++ has it: B = 5.5 p^8 / (7.7 + p^8) [1/GeV^2, p:
    laboratory, GeV/c]; unlike nucleons swap at low energy, which makes the backward peak of np scattering.
    """
    if PION_PLUS <= species <= PION_ZERO and relative_kinetic < 350.0:
        while True:
            cosine = 2.0 * rng.random() - 1.0
            if 4.0 * rng.random() < 1.0 + 3.0 * cosine * cosine:
                return cosine
    slope = NUCLEON_SLOPE_PER_MEV2
    beam_gev = np.sqrt(relative_kinetic * (relative_kinetic + 2.0 * MASS_MEV[species])) / 1e3
    if species >= PROTON:
        slope *= beam_gev**8 / (7.7 + beam_gev**8)
    span = 4.0 * slope * momentum**2
    cosine = 2.0 * rng.random() - 1.0 if span < 1e-3 else 1.0 + 2.0 * np.log1p(rng.random() * np.expm1(-span)) / span
    swaps = species + target == PROTON + NEUTRON and species != target
    if swaps and rng.random() < 0.5 * min(1.0, (0.8 / max(beam_gev, 0.01)) ** 2):
        return -cosine
    return cosine


@njit(cache=True, nogil=True, error_model="numpy")
def draw_pions(bodies, first, number, charge, rng):
    """Fill bodies[first : first + number] with pions of a total charge, |charge| <= number, a third each at large."""
    for _ in range(40):
        left = charge
        for i in range(first, first + number):
            kind = int(3.0 * rng.random())
            bodies[i, SPECIES] = PION_PLUS + kind
            left -= CHARGE[PION_PLUS + kind]
        if left == 0:
            return
    for i in range(first, first + number):
        bodies[i, SPECIES] = PION_ZERO
    for i in range(first, first + abs(charge)):
        bodies[i, SPECIES] = PION_PLUS if charge > 0 else PION_MINUS


@njit(cache=True, nogil=True, error_model="numpy")
def mean_pions(free_mev):
    """Mean number of pions that an inelastic collision makes with this energy beyond the masses [MeV].

    Charged multiplicity of pp collisions 0.88 + 0.44 ln s + 0.118 ln^2 s (s in GeV^2; as commonly quoted from Thomé et
    al., Nucl. Phys. B 129 (1977) 365, not checked against the original), less 1.2 protons, times 3/2 for the neutral
    ones; at least one.
    """
    log_s = 2.0 * np.log((free_mev + 2.0 * NUCLEON_MEV) / 1e3)
    return max(1.0, 1.5 * (0.88 + 0.44 * log_s + 0.118 * log_s**2 - 1.2))


@njit(cache=True, nogil=True, error_model="numpy")
def number_of_pions(free_mev, minimum, rng):
    """Poisson about the mean, from `minimum` to what the energy and the arrays allow; 0 where there is too little."""
    most = min(MAX_BODIES - 3, int(free_mev / 1.03 / MASS_MEV[PION_PLUS]))
    if most < minimum:
        return 0
    number = minimum
    budget = mean_pions(free_mev) - minimum
    passed = rng.standard_exponential()
    while passed < budget and number < most:
        number += 1
        passed += rng.standard_exponential()
    return number


@njit(cache=True, nogil=True, error_model="numpy")
def share_momentum(bodies, number, leading, mass, rng):
    """Give the bodies momenta that sum to 0 and energies that sum to `mass`; False where they are too heavy.

    The first `leading` bodies (0 or 2) go forward and backward with 0.15 to 0.85 of the momentum that they had, the
    rest fill the rapidity between evenly, all with Gaussian transverse momenta; leading 0 is isotropic. One common
    factor on the longitudinal (isotropic: on all) momenta then makes the energy right: an inelasticity of about a half.
    """
    free, reach = mass, np.log(mass / 350.0)
    for i in range(number):
        free -= CASCADE_MASS_MEV[int(bodies[i, SPECIES])]
    if free <= 0.0:
        return False
    for i in range(number):
        row = bodies[i]
        row[PX], row[PY] = TRANSVERSE_MEV * rng.standard_normal(), TRANSVERSE_MEV * rng.standard_normal()
        if leading == 0:
            row[PZ] = TRANSVERSE_MEV * rng.standard_normal()
        elif i < leading:
            row[PZ] = (1 - 2 * i) * (0.15 + 0.7 * rng.random()) * 0.5 * mass
        else:
            row[PZ] = 350.0 * np.sinh(0.8 * reach * (2.0 * rng.random() - 1.0))
    for axis in range(PX, ENERGY):
        surplus = 0.0
        for i in range(number):
            surplus += bodies[i, axis]
        for i in range(number):
            bodies[i, axis] -= surplus / number
    if leading > 0:
        limit_transverse(bodies, number, mass - 0.5 * free)
    return rescale(bodies, number, leading == 0, mass)


@njit(cache=True, nogil=True, error_model="numpy")
def limit_transverse(bodies, number, limit):
    """Shrink the transverse momenta until the transverse masses sum to the limit [MeV] at most."""
    for _ in range(60):
        total = 0.0
        for i in range(number):
            mass = CASCADE_MASS_MEV[int(bodies[i, SPECIES])]
            total += np.sqrt(mass**2 + bodies[i, PX] ** 2 + bodies[i, PY] ** 2)
        if total <= limit:
            return
        for i in range(number):
            bodies[i, PX] *= 0.8
            bodies[i, PY] *= 0.8


@njit(cache=True, nogil=True, error_model="numpy")
def rescale(bodies, number, isotropic, mass):
    """Multiply longitudinal (isotropic: all) momenta by the factor that makes the energies sum to `mass`; Newton."""
    factor = 1.0
    for _ in range(60):
        total, slope = -mass, 0.0
        for i in range(number):
            row = bodies[i]
            square = row[PZ] ** 2
            fixed = CASCADE_MASS_MEV[int(row[SPECIES])] ** 2
            if isotropic:
                square += row[PX] ** 2 + row[PY] ** 2
            else:
                fixed += row[PX] ** 2 + row[PY] ** 2
            row[ENERGY] = np.sqrt(fixed + factor**2 * square)
            total += row[ENERGY]
            slope += factor * square / row[ENERGY]
        if abs(total) < 1e-9 * mass:
            break
        if slope <= 0.0:
            return False
        # The sum is convex in the factor: from too small a factor Newton overshoots, never below 0 from too large a one
        factor = max(factor - total / slope, 0.1 * factor)
    for i in range(number):
        bodies[i, PZ] *= factor
        if isotropic:
            bodies[i, PX] *= factor
            bodies[i, PY] *= factor
    return abs(total) < 1e-6 * mass
