import numpy as np
import pytest

from hpc_nuvlm.simulate import quarks
from hpc_nuvlm.simulate.constants import Probe
from hpc_nuvlm.simulate.cross_sections import nucleon_table
from hpc_nuvlm.simulate.species import MASS_GEV, NUCLEON_GEV

MUON = MASS_GEV[13]


def mean_y(sign, energy):
    """Mean inelasticity of deep inelastic events on an isoscalar nucleon at rest, drawn from the tables."""
    rng, found = np.random.default_rng(8), []
    for nucleon in (0, 1):
        table = nucleon_table("dis", Probe(sign, True, nucleon, MUON))
        count = int(4000 * float(table.cross_section(energy)) / energy)
        s, m2 = NUCLEON_GEV**2 + 2 * NUCLEON_GEV * energy, NUCLEON_GEV**2
        for _ in range(count):
            w, q2 = table.draw(s, m2, rng)
            found.append((w * w - m2 + q2) / (2 * NUCLEON_GEV * energy))
    return np.mean(found)


def test_mean_inelasticity_is_one_half_for_neutrinos_and_a_third_for_antineutrinos():
    # Quark parton model: 0.50 and 0.25 without and with a sea 0.48 and 0.35; the cut in W adds at low energy
    assert mean_y(1, 40.0) == pytest.approx(0.50, abs=0.04)
    assert mean_y(-1, 40.0) == pytest.approx(0.35, abs=0.04)


def test_valence_quarks_are_two_up_and_one_down():
    x = np.exp(np.linspace(np.log(1e-8), 0, 20001))
    up, down, _ = quarks.densities(x)
    # Number = integral of (x q) / x dx = integral of x q over log x; the fits of 1974 hold them to a few percent
    assert np.trapezoid(up, np.log(x)) == pytest.approx(2.0, rel=0.06)
    assert np.trapezoid(down, np.log(x)) == pytest.approx(1.0, rel=0.06)


def test_the_nucleon_carries_no_more_momentum_than_it_has():
    x = np.linspace(1e-6, 1, 100001)
    up, down, sea = quarks.densities(x)
    assert 0.4 < np.trapezoid(up + down + (4 + 2 * quarks.STRANGE_SHARE) * sea, x) < 0.75


def test_structure_functions_vanish_with_q2():
    for probe in (Probe(1, True, 0, MUON), Probe(1, False, 1, 0.0)):
        f2 = [float(quarks.structure_functions(np.array(0.1), np.array(q2), probe)[0]) for q2 in (1e-4, 0.1, 2.0)]
        assert f2[0] < 0.01 * f2[2]
        assert f2[0] < f2[1] < f2[2]


def test_a_heavy_lepton_lowers_the_cross_section_and_none_is_negative():
    w, q2 = np.meshgrid(np.linspace(1.1, 3.5, 30), np.geomspace(0.01, 12, 30))
    muon, tau = (quarks.differential(np.float64(12.0), w, q2, Probe(1, True, 0, m)) for m in (MUON, MASS_GEV[15]))
    assert np.all(tau >= 0)
    assert tau.sum() < muon.sum()


def test_the_continuum_is_whole_above_the_join_only():
    w = np.array([1.1, 1.5, 1.69, 1.71, 5.0])
    share = quarks.continuum_share(w, Probe(1, True, 1, MUON))
    assert share[0] == pytest.approx(0.1)
    assert np.all(np.diff(share) >= 0)
    assert share[-2:] == pytest.approx([1.0, 1.0])


def test_longitudinal_ratio_is_small_and_goes_to_zero_for_real_photons():
    x = np.full(4, 0.2)
    ratio = quarks.longitudinal_ratio(x, np.array([1e-3, 0.3, 1.0, 20.0]))
    assert ratio[0] < 0.01
    assert np.all((ratio >= 0) & (ratio < 0.5))
