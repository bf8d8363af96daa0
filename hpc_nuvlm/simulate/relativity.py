"""Four-vectors as plain tuples (energy, px, py, pz): an event has a dozen, and NumPy on a dozen numbers is slower.

Units are whatever the caller uses throughout (the generator: GeV). Formulas: Review of Particle Physics 2024,
section 49 (Kinematics).
"""

from __future__ import annotations

import math

import numpy as np

Vector = tuple[float, float, float]
FourVector = tuple[float, float, float, float]


def add(*momenta: FourVector) -> FourVector:
    return tuple(map(sum, zip(*momenta)))


def subtract(a: FourVector, b: FourVector) -> FourVector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3])


def square(p: FourVector) -> float:
    return p[0] * p[0] - p[1] * p[1] - p[2] * p[2] - p[3] * p[3]


def mass(p: FourVector) -> float:
    """Invariant mass; 0 where rounding made its square negative."""
    return math.sqrt(max(0.0, square(p)))


def length(v: Vector) -> float:
    return math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


def on_shell(mass_: float, x: float, y: float, z: float) -> FourVector:
    return (math.sqrt(mass_ * mass_ + x * x + y * y + z * z), x, y, z)


def from_rest(p: FourVector, frame: FourVector) -> FourVector:
    """`p`, given in the rest frame of `frame`, in the frame in which `frame` is given (section 49.1)."""
    total = mass(frame)
    energy = (frame[0] * p[0] + frame[1] * p[1] + frame[2] * p[2] + frame[3] * p[3]) / total
    factor = (p[0] + energy) / (frame[0] + total)
    return (energy, p[1] + factor * frame[1], p[2] + factor * frame[2], p[3] + factor * frame[3])


def to_rest(p: FourVector, frame: FourVector) -> FourVector:
    """`p` as seen in the rest frame of `frame`."""
    return from_rest(p, (frame[0], -frame[1], -frame[2], -frame[3]))


def decay_momentum(parent: float, first: float, second: float) -> float:
    """Momentum of the two products in the parent's rest frame (equation 49.17); 0 below threshold."""
    product = (parent**2 - (first + second) ** 2) * (parent**2 - (first - second) ** 2)
    return math.sqrt(product) / (2.0 * parent) if product > 0.0 and parent > first + second else 0.0


def isotropic(rng: np.random.Generator) -> Vector:
    """A direction uniform on the sphere."""
    cosine, azimuth = 2.0 * rng.random() - 1.0, 2.0 * math.pi * rng.random()
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    return (sine * math.cos(azimuth), sine * math.sin(azimuth), cosine)


def around(axis: Vector, cosine: float, azimuth: float) -> Vector:
    """The unit vector at a polar angle (its cosine) and azimuth [rad] about an axis of any length above 0."""
    norm = length(axis)
    ux, uy, uz = axis[0] / norm, axis[1] / norm, axis[2] / norm
    sine = math.sqrt(max(0.0, 1.0 - cosine * cosine))
    a, b = sine * math.cos(azimuth), sine * math.sin(azimuth)
    transverse = math.sqrt(ux * ux + uy * uy)
    if transverse < 1e-9:
        return (a, b if uz > 0 else -b, cosine * uz)
    return (
        ux * cosine + (ux * uz * a - uy * b) / transverse,
        uy * cosine + (uy * uz * a + ux * b) / transverse,
        uz * cosine - transverse * a,
    )


def two_body(parent: FourVector, masses: tuple[float, float], direction: Vector) -> tuple[FourVector, FourVector]:
    """The two products of a parent; `direction` (unit) is the first one's in the parent's rest frame."""
    total = mass(parent)
    p = decay_momentum(total, *masses)
    x, y, z = p * direction[0], p * direction[1], p * direction[2]
    first = from_rest(on_shell(masses[0], x, y, z), parent)
    return first, subtract(parent, first)


def phase_space(parent: FourVector, masses: list[float], rng: np.random.Generator) -> list[FourVector]:
    """Products of given masses, distributed as Lorentz-invariant phase space.

    Raubold and Lynch's method: intermediate masses sorted uniform, accepted by the product of momenta
    (F. James, CERN 68-15, 1968). The bound of the weight is that of James' equation (section 3).
    """
    count, total = len(masses), mass(parent)
    free = total - sum(masses)
    if count == 2:
        return list(two_body(parent, (masses[0], masses[1]), isotropic(rng)))
    bound, low, high = 1.0, 0.0, free + masses[0]
    for i in range(1, count):
        low += masses[i - 1]
        high += masses[i]
        bound *= decay_momentum(high, low, masses[i])
    while True:
        shares = sorted(rng.random(count - 2).tolist())
        chain, heavy, weight = [masses[0]], masses[0], 1.0
        for i in range(1, count):
            heavy += masses[i]
            chain.append(heavy + free * (shares[i - 1] if i < count - 1 else 1.0))
            weight *= decay_momentum(chain[i], chain[i - 1], masses[i])
        if weight >= bound * rng.random():
            break
    products, rest = [], parent
    for i in range(count - 1, 0, -1):
        one, rest = two_body(rest, (masses[i], chain[i - 1]), isotropic(rng))
        products.append(one)
    return [rest, *products[::-1]]
