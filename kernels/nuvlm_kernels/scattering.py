"""Multiple Coulomb scattering, as the compound process that it is: a width that no choice of steps can change.

A step's deflection is a Gaussian for all scatters below an angle chosen per step, plus the few above it, drawn one by
one from the screened Rutherford cross section. Their sum follows Moliere's theory (H. A. Bethe, Phys. Rev. 89 (1953)
1256): a Gaussian core, whose width Highland's formula (PDG eq. 34.16) was fitted to, and single-scattering tails.
Highland's formula itself, applied step by step, gives widths that depend on the step; as a difference over the track's
length so far, widths that depend on where on the track one looks. Left out: the shift sideways within a step, which is
5 mm at most and ends before the track turns. Unit charge only.

A deflection by a polar angle t is the vector of length r = sqrt(2 (1 - cos t)) in the plane; it is t for small angles,
and the screened Rutherford spectrum is exactly 1/(r^2 + a^2)^2 in it at all angles. Sums of these vectors are exact to
second order in the step's angle.
"""

import numpy as np
from numba import njit

from nuvlm_kernels.workspace import UX, UY, UZ

# Mean number of scatters drawn one by one in a step
HARD_PER_STEP = 0.5
FEW_LIMIT = np.exp(-HARD_PER_STEP)


@njit(cache=True, nogil=True, error_model="numpy")
def rotate(state, x, y):
    """Turn the state's direction by the deflection vector (x, y), of length sqrt(2 (1 - cosine)) up to 2."""
    square = min(x * x + y * y, 4.0)
    if square == 0.0:
        return
    cosine = 1.0 - 0.5 * square
    # sine / r, finite for r -> 0
    factor = np.sqrt(1.0 - 0.25 * square)
    a, b = x * factor, y * factor
    ux, uy, uz = state[UX], state[UY], state[UZ]
    transverse2 = ux * ux + uy * uy
    if transverse2 < 1e-20:
        ux, uy, uz = a, b * np.sign(uz), cosine * np.sign(uz)
    else:
        transverse = np.sqrt(transverse2)
        a /= transverse
        b /= transverse
        ux, uy, uz = (
            ux * cosine + ux * uz * a - uy * b,
            uy * cosine + uy * uz * a + ux * b,
            uz * cosine - transverse2 * a,
        )
    # First order keeps it at length 1 to rounding, at the price of no square root
    correction = 1.5 - 0.5 * (ux * ux + uy * uy + uz * uz)
    state[UX], state[UY], state[UZ] = ux * correction, uy * correction, uz * correction


@njit(cache=True, nogil=True, error_model="numpy")
def scatter(tables, state, momentum_mev, beta, step_mm, rng):
    """Turn the state by what a step does to a particle of unit charge with this (mean) momentum and velocity."""
    characteristic2 = tables.scattering_mev2_per_mm * step_mm / (momentum_mev * beta) ** 2
    screening = tables.screening_mev / momentum_mev
    # Moliere's screening angle, Bethe's eq. 21
    screening2 = screening * screening * (1.13 + 3.76 * tables.coupling2 / (beta * beta))
    # Scatters above the border, r^2 + a^2 = border, are characteristic2 / border in number: HARD_PER_STEP or fewer
    border = max(characteristic2 * (1.0 / HARD_PER_STEP), screening2)
    if border > 1.0:
        border = 1.0 + screening2
    share = screening2 / border
    sigma = np.sqrt(0.5 * characteristic2 * (share - 1.0 - np.log(share)))
    x, y = sigma * rng.standard_normal(), sigma * rng.standard_normal()
    mean = characteristic2 / border
    limit = FEW_LIMIT if mean == HARD_PER_STEP else np.exp(-mean)
    product = rng.random()
    while product > limit:
        product *= rng.random()
        square = border / (1.0 - rng.random()) - screening2
        if square > 4.0:
            continue
        # Mott's spin factor, and the argon nucleus' form factor, (1 + (q R)^2 / 12)^-2 of an exponential charge
        q_radius = momentum_mev * tables.nuclear_radius_per_mev
        form = 1.0 + square * q_radius * q_radius / 12.0
        if rng.random() * form * form * form * form < 1.0 - 0.25 * beta * beta * square:
            r, azimuth = np.sqrt(square), 2.0 * np.pi * rng.random()
            x += r * np.cos(azimuth)
            y += r * np.sin(azimuth)
    square = x * x + y * y
    if square > 4.0:
        # Nothing is left of the direction: any is as likely
        shrink = np.sqrt(4.0 * rng.random() / square)
        x, y = x * shrink, y * shrink
    rotate(state, x, y)
