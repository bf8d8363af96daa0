"""Measures of an event: independent of how a simulation cuts its tracks into segments."""

import numpy as np
import pytest

from hpc_nuvlm.validation import deposits as measures
from hpc_nuvlm.validation.deposits import cut

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow


def line(num_segments: int, energy_mev: float = 60.0, pdg: int = 13):
    """A straight track of 300 mm along z."""
    edges = np.linspace(0, 300, num_segments + 1)
    start = np.stack([np.full(num_segments, 50.0), np.zeros(num_segments), edges[:-1]], 1)
    end = start.copy()
    end[:, 2] = edges[1:]
    energy = np.full(num_segments, energy_mev / num_segments)
    return cut(start, end, energy, np.zeros(num_segments, int), np.full(num_segments, pdg))


@pytest.mark.parametrize("num_segments", [1, 7, 333])
def test_measures_do_not_depend_on_the_length_of_the_steps(num_segments):
    found, fine = line(num_segments), line(300)
    assert found.energy_mev.sum() == pytest.approx(60.0)
    assert found.length_mm.sum() == pytest.approx(300.0)
    cells, energies = measures.voxels(found, 5.0)
    np.testing.assert_array_equal(cells, measures.voxels(fine, 5.0)[0])
    np.testing.assert_allclose(energies, measures.voxels(fine, 5.0)[1], rtol=0.21)
    axis = np.array([0.0, 0.0, 1.0])
    assert measures.shape(found, np.array([50.0, 0, 0]), axis) == pytest.approx(
        measures.shape(fine, np.array([50.0, 0, 0]), axis), abs=0.2
    )
    ends = np.array([50.0, 0, 0]), np.array([50.0, 0, 300])
    np.testing.assert_allclose(measures.slices(found, *ends), 2.0, rtol=0.21)


def test_only_the_active_argon_counts():
    start = np.array([[0.0, 0, 0], [50.0, 0, 0], [900.0, 0, 0], [50.0, 0, 320]])
    found = cut(start, start + 0.1, np.ones(4), np.arange(4), np.full(4, 11))
    np.testing.assert_array_equal(found.track, [1])


def test_energy_of_a_neutral_particle_is_where_it_ends():
    start, end = np.array([[50.0, 0, 0]]), np.array([[50.0, 0, 100.0]])
    found = cut(start, end, np.ones(1), np.zeros(1, int), np.array([22]))
    np.testing.assert_allclose(found.position_mm, end)


def test_blobs_are_groups_that_touch_by_a_corner_at_least():
    cells = np.array([[0, 0, 0], [1, 1, 1], [3, 0, 0], [3, 0, 1], [9, 9, 9]])
    assert measures.num_blobs(cells) == 3
    assert measures.num_blobs(cells[:0]) == 0
    assert measures.num_blobs(cells[:1]) == 1


def test_the_extent_of_a_line_across_the_axis_is_that_of_a_uniform_distribution():
    found = measures.shape(line(300), np.array([50.0, 0, 0]), np.array([1.0, 0, 0]))
    assert found["mean depth"] == pytest.approx(0.0, abs=1e-9)
    assert found["radius of 90 %"] == pytest.approx(270.0, abs=1.5)
    assert found["width (rms)"] == pytest.approx(300 / np.sqrt(3), rel=0.01)
