import math

import numpy as np
import pytest

from hpc_nuvlm.simulate.nucleus import ARGON, CARBON
from hpc_nuvlm.simulate.species import MASS_GEV, NEUTRON, PROTON


@pytest.mark.parametrize(("nucleus", "radius_fm"), [(ARGON, 3.43), (CARBON, 2.47)])
def test_the_charge_radius_is_the_measured_one(nucleus, radius_fm):
    # I. Angeli, K.P. Marinova, Atom. Data Nucl. Data Tables 99 (2013) 69
    r = np.linspace(0, nucleus.edge_fm, 4001)
    weight = r**2 * np.array([nucleus.profile(float(x)) for x in r])
    assert math.sqrt((weight * r**2).sum() / weight.sum()) == pytest.approx(radius_fm, rel=0.05)


def test_central_density_is_that_of_nuclear_matter_and_holds_all_nucleons():
    assert ARGON.central_density == pytest.approx(0.17, rel=0.1)
    assert ARGON.local_fermi_gev(0.0) == pytest.approx(0.265, abs=0.02)
    assert ARGON.local_fermi_gev(8.0) == 0.0
    assert ARGON.nucleons == 40


def test_momenta_fill_the_fermi_sphere_with_a_tail():
    rng = np.random.default_rng(9)
    p = np.array([ARGON.draw_momentum(NEUTRON, rng) for _ in range(20000)])
    fermi = ARGON.fermi_of(NEUTRON)
    tail = 6 * (2 * fermi / math.pi) ** 2
    assert p.max() <= 0.5
    # Bodek and Ritchie: what is not in the sphere is in the tail; five sigma
    assert np.mean(p > fermi) == pytest.approx(tail, abs=5 * math.sqrt(tail / 20000))
    inside = p[p < fermi]
    assert inside.mean() == pytest.approx(0.75 * fermi, rel=0.02)


def test_struck_nucleons_are_bound_by_the_removal_energy():
    rng = np.random.default_rng(10)
    for pdg in (PROTON, NEUTRON):
        energy = [ARGON.draw_nucleon(pdg, rng)[0] for _ in range(200)]
        assert max(energy) <= MASS_GEV[pdg] - ARGON.removal_gev
        assert np.mean(energy) == pytest.approx(MASS_GEV[pdg] - ARGON.removal_gev, abs=0.003)


def test_positions_follow_the_density():
    rng = np.random.default_rng(11)
    r = np.array([math.dist(ARGON.draw_position(rng), (0, 0, 0)) for _ in range(5000)])
    assert math.sqrt(np.mean(r**2)) == pytest.approx(3.43, rel=0.06)
