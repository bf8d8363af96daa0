import numpy as np
import pytest

from hpc_nuvlm.simulate.species import baryon_number, charge, mass_gev, strangeness
from nuvlm_kernels import particles


def test_masses_and_charges_are_those_of_transport():
    for pdg, mass_mev, units in zip(particles.PDG, particles.MASS_MEV, particles.CHARGE):
        assert mass_gev(int(pdg)) == pytest.approx(mass_mev / 1e3, abs=1e-9)
        assert charge(int(pdg)) == units


@pytest.mark.parametrize(
    ("pdg", "expected"),
    [
        (3122, (0, 1, -1)),
        (3222, (1, 1, -1)),
        (3112, (-1, 1, -1)),
        (321, (1, 0, 1)),
        (-311, (0, 0, -1)),
        (2224, (2, 1, 0)),
        (4122, (1, 1, 0)),
        (431, (1, 0, 1)),
        (421, (0, 0, 0)),
        (-2212, (-1, -1, 0)),
        (15, (-1, 0, 0)),
        (16, (0, 0, 0)),
        (22, (0, 0, 0)),
        (221, (0, 0, 0)),
    ],
)
def test_quantum_numbers_follow_from_the_code(pdg, expected):
    assert (charge(pdg), baryon_number(pdg), strangeness(pdg)) == expected


def test_an_unknown_code_has_no_mass():
    with pytest.raises(KeyError):
        mass_gev(999999)
    assert np.isfinite(mass_gev(-2212))
