import math

import numpy as np
import pytest

from hpc_nuvlm.simulate import quasielastic
from hpc_nuvlm.simulate.constants import CM2_38, FERMI_PER_GEV2, VUD_SQUARED, Probe
from hpc_nuvlm.simulate.nucleus import pauli_factor
from hpc_nuvlm.simulate.phase_space import q2_limits
from hpc_nuvlm.simulate.species import MASS_GEV, NUCLEON_GEV

MUON = MASS_GEV[13]
NU_N, ANTINU_P = Probe(1, True, 0, MUON), Probe(-1, True, 1, MUON)


def total(probe, energy):
    s = NUCLEON_GEV**2 + 2 * NUCLEON_GEV * energy
    low, high = q2_limits(s, NUCLEON_GEV**2, probe.lepton_gev, NUCLEON_GEV)
    q2 = np.linspace(low, high, 4001)
    return np.trapezoid(quasielastic.differential(np.float64(energy), q2, probe), q2)


def test_at_zero_q2_the_cross_section_is_that_of_neutron_decay():
    """Massless lepton: G2 Vud2 (1 + gA2) / 2 pi, at any energy (Llewellyn Smith, equation 3.24)."""
    expected = CM2_38 * FERMI_PER_GEV2**2 * VUD_SQUARED * (1 + 1.2756**2) / (2 * math.pi)
    for probe in (Probe(1, True, 0, 0.0), Probe(-1, True, 1, 0.0)):
        assert quasielastic.differential(np.float64(50.0), np.array(1e-9), probe) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(("probe", "energy", "low", "high"), [(NU_N, 5.0, 0.8, 1.1), (ANTINU_P, 5.0, 0.7, 1.0)])
def test_totals_reach_the_measured_plateau(probe, energy, low, high):
    # NOMAD, V. Lyubushkin et al., Eur. Phys. J. C63 (2009) 355, 3 to 100 GeV: 0.92 +- 0.02 +- 0.06 and
    # 0.81 +- 0.05 +- 0.09 e-38 cm2
    assert low < total(probe, energy) < high


def test_neutrinos_and_antineutrinos_meet_at_high_energy_and_neutrinos_lead():
    assert total(ANTINU_P, 0.7) < 0.5 * total(NU_N, 0.7)
    assert total(ANTINU_P, 50.0) == pytest.approx(total(NU_N, 50.0), rel=0.05)


def test_elastic_neutral_currents_on_protons_are_as_measured():
    # BNL E734, L.A. Ahrens et al., Phys. Rev. D35 (1987) 785: sigma(nu p -> nu p) / sigma(nu n -> mu p) is
    # 0.153 +- 0.018 for Q2 of 0.5 to 1 GeV2; mean energy 1.3 GeV. As commonly quoted, not checked against the original
    q2 = np.linspace(0.5, 1.0, 101)
    neutral, charged = (
        quasielastic.differential(np.float64(1.3), q2, probe).sum() for probe in (Probe(1, False, 1, 0.0), NU_N)
    )
    assert neutral / charged == pytest.approx(0.153, abs=2 * 0.018)


def test_charges_that_do_not_fit_have_none():
    q2 = np.array([0.1, 0.5])
    assert not quasielastic.differential(np.float64(1.0), q2, Probe(1, True, 1, MUON)).any()


def test_pauli_blocks_small_transfers_and_nothing_beyond_twice_the_fermi_momentum():
    q2 = np.array([1e-6, 0.05, 0.5, 5.0])
    factor = pauli_factor(q2, 0.25)
    assert factor[0] < 0.01
    assert np.all(np.diff(factor) >= 0)
    assert factor[-2:] == pytest.approx([1.0, 1.0])


def test_pauli_factor_is_the_share_of_a_sphere_outside_its_shifted_twin():
    rng = np.random.default_rng(5)
    points = rng.normal(size=(100000, 3))
    points *= (0.25 * rng.random(100000) ** (1 / 3) / np.linalg.norm(points, axis=1))[:, None]
    q = 0.2
    outside = np.mean(np.linalg.norm(points + np.array([0, 0, q]), axis=1) > 0.25)
    # Q2 whose |q| is 0.2 for elastic scattering
    q2 = 2 * NUCLEON_GEV**2 * (math.sqrt(1 + q * q / NUCLEON_GEV**2) - 1)
    assert float(pauli_factor(np.array(q2), 0.25)) == pytest.approx(outside, abs=5 * 0.5 / math.sqrt(100000))
