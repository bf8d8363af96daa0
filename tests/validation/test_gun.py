"""Particle gun: what it shoots, and that threads and boxes do not change what is measured."""

import numpy as np
import pytest

from hpc_nuvlm.validation import hadrons, ranges
from hpc_nuvlm.validation.gun import Box, Gun, children, mass_mev, particle
from nuvlm_kernels.workspace import DECAY

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow


def test_a_particle_has_the_energy_and_direction_it_was_given():
    muon = particle(13, 1000.0, (0.0, 3.0, 4.0))
    assert muon.energy_mev[0] - mass_mev(13) == pytest.approx(1000.0)
    assert muon.energy_mev[0] ** 2 - (muon.momentum_mev**2).sum() == pytest.approx(mass_mev(13) ** 2)
    np.testing.assert_allclose(muon.momentum_mev[0] / np.linalg.norm(muon.momentum_mev), [0, 0.6, 0.8])


def test_results_do_not_depend_on_the_number_of_threads():
    box = Box(half_mm=100.0, length_mm=200.0)
    found = [Gun(threads=threads).fire(ranges.path_of_stopped, 2212, 100.0, 30, box) for threads in (1, 2)]
    assert found[0] == found[1] and len(found[0]) == 30 and len(set(found[0])) > 20


def test_a_muon_that_stops_has_a_path_and_one_that_leaves_has_none():
    box = Box(half_mm=200.0, length_mm=400.0)
    stopped = Gun(scale=0.1).fire(ranges.path_of_muon, -13, 100.0, 10, box)
    left = Gun(scale=0.1).fire(ranges.path_of_muon, -13, 1000.0, 10, box)
    assert np.isfinite(stopped).all() and not np.isfinite(left).any()


def test_children_are_those_of_one_process():
    trace = Gun().fire(lambda trace: trace, -13, 5.0, 1, Box(20.0, 20.0))[0]
    assert list(trace.track_pdg[children(trace, 0, DECAY)]) == [-11]
    assert len(children(trace, 0)) >= 1


def test_a_pion_that_leaves_the_pencil_has_not_interacted():
    fates = Gun().fire(hadrons.path_and_fate, 211, 20_000.0, 100, hadrons.PENCIL)
    for path, has_interacted in fates:
        assert path > 0
        assert has_interacted or path > hadrons.PENCIL.length_mm - 1 or path > hadrons.PENCIL.half_mm


def test_energy_that_is_missing_from_the_ledger_shows():
    trace = Gun().fire(lambda trace: trace, 2212, 300.0, 1, hadrons.EVENT_BOX)[0]
    assert hadrons.imbalance(trace) < 1e-12
    trace.ledger_mev["deposited"] -= 3.0
    assert hadrons.imbalance(trace) == pytest.approx(0.01)
