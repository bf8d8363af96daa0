"""Kinematics of hadron-nucleon collisions: four-momentum and charge are what came in."""

import numpy as np
import pytest

from nuvlm_kernels import particles as p
from nuvlm_kernels.channels import absorb_kaon, annihilate, produce, two_bodies
from nuvlm_kernels.collision import MAX_BODIES, mean_pions
from nuvlm_kernels.nucleus import CASCADE_MASS_MEV
from nuvlm_kernels.particles import CHARGE

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

CHANNELS = ("two_bodies", "produce", "annihilate", "absorb_kaon")


def incoming(species: int, kinetic_mev: float) -> tuple[np.ndarray, np.ndarray]:
    """Projectile (4,) and the sum with a struck nucleon that moves."""
    mass = CASCADE_MASS_MEV[species]
    momentum = np.sqrt(kinetic_mev * (kinetic_mev + 2 * mass)) * np.array([0.48, -0.6, 0.64])
    struck = np.array([100.0, 50.0, -150.0])
    nucleon = CASCADE_MASS_MEV[p.PROTON]
    projectile = np.append(momentum, kinetic_mev + mass)
    return projectile, projectile + np.append(struck, np.sqrt(struck @ struck + nucleon**2))


def outcome(channel: str, species: int, target: int, kinetic_mev: float, rng: np.random.Generator):
    bodies = np.zeros((MAX_BODIES, 5))
    projectile, total = incoming(species, kinetic_mev)
    if channel == "two_bodies":
        bodies[:2, 0] = species, target
        number = two_bodies(bodies, species, target, projectile, total, rng)
    elif channel == "produce":
        number = produce(bodies, species, target, projectile, total, rng)
    elif channel == "annihilate":
        number = annihilate(bodies, species, target, total, rng)
    else:
        number = absorb_kaon(bodies, species, target, total, rng)
    return bodies[:number], total


@pytest.mark.parametrize("kinetic_mev", [5.0, 400.0, 3000.0, 50000.0])
@pytest.mark.parametrize("channel", CHANNELS)
def test_collisions_conserve_four_momentum_charge_and_masses(channel: str, kinetic_mev: float) -> None:
    rng = np.random.Generator(np.random.SFC64(1))
    hadrons = {"annihilate": (p.ANTIPROTON, p.ANTINEUTRON), "absorb_kaon": (p.KAON_MINUS,)}
    for species in hadrons.get(channel, (p.PION_MINUS, p.KAON_PLUS, p.PROTON, p.NEUTRON, p.ANTIPROTON)):
        for target in (p.PROTON, p.NEUTRON):
            for _ in range(40):
                bodies, total = outcome(channel, species, target, kinetic_mev, rng)
                if len(bodies) == 0:
                    assert channel == "produce"
                    assert kinetic_mev < 500
                    continue
                assert np.allclose(bodies[:, 1:].sum(0), total, rtol=0, atol=1e-5 * total[3])
                kinds = bodies[:, 0].astype(int)
                assert CHARGE[kinds].sum() == CHARGE[species] + CHARGE[target]
                masses2 = bodies[:, 4] ** 2 - (bodies[:, 1:4] ** 2).sum(1)
                assert np.allclose(masses2, CASCADE_MASS_MEV[kinds] ** 2, rtol=0, atol=1e-6 * total[3] ** 2)


def test_mean_number_of_pions_is_that_of_proton_collisions() -> None:
    # pp at 12 GeV/c: charged multiplicity 3.43 +- 0.03 (Blobel et al., Nucl. Phys. B 69 (1974) 454, as commonly quoted,
    # not checked against the original); 1.2 protons
    energy = np.sqrt(12000.0**2 + 938.27**2)
    free = np.sqrt(2 * 938.27**2 + 2 * 938.27 * energy) - 2 * 938.27
    assert mean_pions(free) == pytest.approx(1.5 * (3.43 - 1.2), rel=0.1)


def test_transverse_momenta_are_limited_and_leading_hadrons_keep_half() -> None:
    rng = np.random.Generator(np.random.SFC64(2))
    transverse, kept = [], []
    for _ in range(2000):
        bodies, _ = outcome("produce", p.PROTON, p.PROTON, 20000.0, rng)
        along = bodies[:, 1:4] @ [0.48, -0.6, 0.64]
        transverse += list(np.sqrt((bodies[2:, 1:4] ** 2).sum(1) - along[2:] ** 2))
        kept.append((bodies[0, 4] - CASCADE_MASS_MEV[p.PROTON]) / 20000.0)
    # Mean pT of pions, 0.35 GeV/c, less what low multiplicities cut, more for the struck nucleon's own motion
    assert 250 < np.mean(transverse) < 400
    assert 0.35 < np.mean(kept) < 0.65
