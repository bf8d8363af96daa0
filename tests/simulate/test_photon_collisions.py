import numpy as np
import pytest

from hpc_nuvlm.simulate.argon import PER_MM, RADIATION_LENGTH_G_PER_CM2
from hpc_nuvlm.simulate.em_tables import pairs
from hpc_nuvlm.simulate.photon_collisions import compton, photoelectric

# J. H. Hubbell, S. M. Seltzer, NIST X-ray mass attenuation coefficients, NISTIR 5632, argon: MeV, cm2/g, with coherent
ATTENUATION = {
    **{0.01: 63.16, 0.02: 8.629, 0.03: 2.697, 0.05: 0.7012, 0.1: 0.2043, 0.2: 0.1205, 0.5: 0.07958},
    **{
        1.0: 0.05762,
        1.5: 0.04695,
        2.0: 0.04074,
        3.0: 0.03384,
        5.0: 0.02802,
        8.0: 0.02517,
        10.0: 0.02451,
        20.0: 0.02453,
    },
}


def attenuation(energy):
    energy = np.asarray(energy)
    return compton(energy) + photoelectric(energy) + pairs(energy) / PER_MM


@pytest.mark.parametrize("energy", [e for e in ATTENUATION if e >= 0.5])
def test_attenuation_is_that_of_the_tables_within_one_per_cent_from_half_a_mev(energy):
    assert attenuation([energy])[0] == pytest.approx(ATTENUATION[energy], rel=0.01)


@pytest.mark.parametrize("energy", [e for e in ATTENUATION if e < 0.5])
def test_attenuation_lacks_no_more_than_coherent_scattering_below(energy):
    assert 0.90 < attenuation([energy])[0] / ATTENUATION[energy] < 1.0


def test_conversion_length_is_nine_sevenths_of_a_radiation_length():
    # PDG 2024 section 34.4.4: the cross section at high energies is 7/9 A / (X0 N_A)
    length = 1 / pairs(np.array([1e4]))[0]
    assert length == pytest.approx(9 / 7 * RADIATION_LENGTH_G_PER_CM2 / PER_MM, rel=0.03)


def test_pairs_begin_at_twice_the_electron_mass():
    assert (pairs(np.array([0.5, 1.0, 1.02])) == 0).all()
    assert pairs(np.array([1.1]))[0] > 0


def test_compton_is_thomsons_for_soft_photons():
    # 8/3 pi r_e^2 = 0.66524587 b
    assert compton(np.array([1e-4]))[0] == pytest.approx(0.66524587 * 0.602214 * 18 / 39.948, rel=1e-3)
