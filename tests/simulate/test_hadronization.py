import math

import numpy as np
import pytest

from hpc_nuvlm.simulate import hadronization
from hpc_nuvlm.simulate.constants import Probe
from hpc_nuvlm.simulate.relativity import add, mass, on_shell, subtract, to_rest
from hpc_nuvlm.simulate.species import MASS_GEV, baryon_number, charge, strangeness

MUON = MASS_GEV[13]
PROBES = [Probe(s, cc, n, MUON * cc) for s in (1, -1) for cc in (True, False) for n in (0, 1)]
# A momentum transfer, and a system of mass w that it makes of a nucleon
TRANSFER = (4.0, 0.3, 0.0, 4.2)


def system(w):
    return on_shell(w, 0.3, 0.0, 4.2)


@pytest.mark.parametrize("probe", PROBES)
def test_fragmentation_conserves_everything(probe):
    rng = np.random.default_rng(12)
    for w in rng.uniform(1.1, 8.0, 150):
        parent = system(float(w))
        found = hadronization.hadronize(parent, TRANSFER, probe, rng)
        assert add(*(p for _, p in found)) == pytest.approx(parent, abs=1e-10)
        codes = [code for code, _ in found]
        assert sum(map(charge, codes)) == probe.hadron_charge
        assert sum(map(baryon_number, codes)) == 1
        assert sum(map(strangeness, codes)) == 0
        assert [mass(p) for _, p in found] == pytest.approx([MASS_GEV[abs(c)] for c in codes], abs=1e-6)


@pytest.mark.parametrize("probe", [p for p in PROBES if p.is_cc])
@pytest.mark.parametrize("w", [2.5, 4.0, 7.0])
def test_mean_charged_multiplicity_is_the_measured_one(probe, w):
    rng = np.random.default_rng(13)
    count = 2000
    number = [sum(charge(c) != 0 for c in hadronization.choose_codes(w, probe, rng)) for _ in range(count)]
    expected = hadronization.mean_charged(w, probe.hadron_charge)
    # 15 %: integer charges and energy conservation move the low end; the statistical error is 2 %
    assert np.mean(number) == pytest.approx(expected, rel=0.15)


def test_the_baryon_goes_backwards_and_mesons_forwards():
    rng = np.random.default_rng(14)
    parent = system(4.0)
    axis = np.array(to_rest(TRANSFER, parent)[1:])
    axis /= np.linalg.norm(axis)
    feynman = []
    for _ in range(1500):
        found = hadronization.hadronize(parent, TRANSFER, Probe(1, True, 0, MUON), rng)
        p = np.array(to_rest(found[0][1], parent)[1:])
        feynman.append(2 * p @ axis / 4.0)
    # T. Yang et al., Eur. Phys. J. C63 (2009) 1, figure 1: nucleons peak at xF of about -0.4, few go forward
    assert np.mean(feynman) == pytest.approx(-0.45, abs=0.15)
    assert np.mean(np.array(feynman) > 0) < 0.1


def test_transverse_momentum_is_limited():
    rng = np.random.default_rng(15)
    momenta = [p for _ in range(500) for p in hadronization.limited_phase_space(5.0, [0.94] + [0.14] * 5, rng)]
    # Measured means are 0.3 to 0.4 GeV (ibid., figure 9)
    assert np.mean([math.hypot(p[1], p[2]) for p in momenta]) == pytest.approx(0.33, abs=0.05)


def test_limited_phase_space_is_at_rest_with_the_given_mass_down_to_threshold():
    rng = np.random.default_rng(16)
    for w in (1.22, 1.3, 2.0, 9.0):
        total = add(*hadronization.limited_phase_space(w, [0.938, 0.1396, 0.1396], rng))
        assert subtract(total, (w, 0.0, 0.0, 0.0)) == pytest.approx((0, 0, 0, 0), abs=1e-10)


def test_below_threshold_nothing_comes_out():
    assert hadronization.hadronize(on_shell(1.0, 0, 0, 1), TRANSFER, PROBES[0], np.random.default_rng(0)) is None


def test_strange_hadrons_come_in_pairs_and_are_few():
    rng = np.random.default_rng(17)
    codes = [hadronization.choose_codes(4.0, PROBES[0], rng) for _ in range(3000)]
    share = np.mean([any(strangeness(c) for c in event) for event in codes])
    assert 0.1 < share < 0.35


def test_masses_that_nearly_fill_the_system_still_find_their_momenta():
    rng = np.random.default_rng(18)
    masses = [0.938, 0.1396, 0.1396]
    w = sum(masses) / hadronization.MASS_SHARE
    for _ in range(20):
        assert add(*hadronization.limited_phase_space(w, masses, rng))[0] == pytest.approx(w, abs=1e-10)
