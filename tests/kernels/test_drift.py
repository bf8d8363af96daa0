import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuvlm_kernels import drift, voxels

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

FIELD_FREE = {
    "anodes_mm": np.array([-900.0, -300.0, 300.0, 900.0]),
    "velocity_mm_per_us": 1.6,
    "loss_per_us": 0.0,
    "longitudinal_mm2_per_us": 0.0,
    "transverse_mm2_per_us": 0.0,
    "step_mm": 1.0,
    "model": drift.NO_RECOMBINATION,
    "birks_a": 1.0,
    "mm_per_mev": 0.0,
    "gain": 1.0,
    "dead_fraction": 0.0,
    "dead_seed": 1,
}


def make(**changes) -> drift.Drift:
    return drift.Drift(**(FIELD_FREE | changes))


def segments(rng, number=200):
    start = rng.uniform(-800, 800, (number, 3))
    end = start + rng.normal(0, 3, (number, 3))
    return start, end, rng.exponential(1.0, number), np.zeros(number), np.zeros(number, bool)


def drifted(parts, model):
    clouds = np.empty((drift.count_pieces(parts[0], parts[1], model.step_mm), drift.NUM_CLOUD))
    lost = np.zeros(drift.NUM_LOST)
    return clouds[: drift.drift_segments(*parts, model, clouds, lost)], lost


def test_electrons_arrive_recombine_or_are_captured():
    parts = segments(np.random.default_rng(1))
    clouds, lost = drifted(parts, make(loss_per_us=1 / 300, model=drift.BIRKS, birks_a=0.8, mm_per_mev=0.7))
    freed = parts[2].sum() / drift.ELECTRON_MEV
    assert clouds[:, drift.ELECTRONS].sum() + lost.sum() == pytest.approx(freed, rel=1e-12)
    assert lost[drift.RECOMBINED] > 0 and lost[drift.CAPTURED] > 0


def test_pieces_are_short_and_lie_along_their_segment():
    parts = segments(np.random.default_rng(2), 50)
    clouds, _ = drifted(parts, make(step_mm=0.7))
    lengths = np.linalg.norm(clouds[:, drift.LENGTH_X : drift.LENGTH_Z + 1], axis=1)
    assert lengths.max() <= 0.7 + 1e-9
    assert lengths.sum() == pytest.approx(np.linalg.norm(parts[1] - parts[0], axis=1).sum())


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=5, unique=True), st.floats(-1000, 1000))
def test_charge_drifts_to_the_nearest_anode(anodes, x):
    anodes = np.sort(anodes)
    assert drift.nearest_anode(anodes, x) == anodes[np.argmin(abs(anodes - x))]


def test_what_is_freed_late_seems_farther_from_its_anode():
    start = np.array([[-350.0, 0, 0], [350.0, 0, 0], [-250.0, 0, 0]])
    clouds, _ = drifted((start, start, np.ones(3), np.full(3, 2200.0), np.zeros(3, bool)), make())
    # 2.2 us at 1.6 mm/us, away from the anodes at -300 and 300 mm
    np.testing.assert_allclose(clouds[:, drift.SHIFT_MM], [-3.52, 3.52, 3.52])


def test_an_electron_stopped_by_a_cut_does_not_recombine_like_a_heavy_particle():
    point = np.zeros((1, 3))
    model = make(model=drift.BIRKS, birks_a=0.8, mm_per_mev=0.696)
    arrived = [
        drifted((point, point, np.ones(1), np.zeros(1), np.array([flag])), model)[0][0, drift.ELECTRONS]
        for flag in (True, False)
    ]
    # 1 MeV over its range of 3 mm; and all in a point
    assert arrived[0] * drift.ELECTRON_MEV == pytest.approx(0.8 / (1 + 0.696 / drift.electron_range_mm(1.0)))
    assert arrived[1] < 0.01 * arrived[0]


def test_practical_range_of_electrons_is_that_of_the_formula_at_1_mev():
    # 0.412 g/cm2 at 1 MeV, over 1.396 g/cm3
    assert drift.electron_range_mm(1.0) == pytest.approx(2.951, abs=0.001)


def test_diffusion_spreads_by_the_square_root_of_the_drift():
    number = 20_000
    clouds = np.zeros((number, drift.NUM_CLOUD))
    clouds[:, drift.DRIFT_US] = 625.0
    model = make(longitudinal_mm2_per_us=2 * 6.5e-4, transverse_mm2_per_us=2 * 13.5e-4)
    voxels.diffuse(clouds, model, np.random.default_rng(3))
    # 0.9 mm and 1.3 mm for a metre of drift; 4 sigma of the r.m.s. of so many is 2 %
    np.testing.assert_allclose(clouds[:, :3].std(axis=0), [0.901, 1.299, 1.299], rtol=0.02)


def test_dead_channels_are_the_share_asked_for_and_depend_on_the_seed_alone():
    dead = np.array(
        [[drift.is_dead(make(dead_fraction=0.05, dead_seed=s), 2, c) for c in range(-5000, 5000)] for s in (1, 2)]
    )
    # 4 sigma of a binomial: 0.9 %
    assert abs(dead.mean(axis=1) - 0.05).max() < 0.009
    assert abs((dead[0] & dead[1]).mean() - 0.0025) < 0.002
    assert not drift.is_dead(make(), 0, 7)


def sum_slowly(clouds, low, size, shape):
    """The same as sum_voxels, by sorting: {(i, j, k): electrons}, and what is outside."""
    index = np.floor((clouds[:, :3] - low) / size).astype(int)
    inside = ((index >= 0) & (index < shape)).all(axis=1)
    lit, group = np.unique(index[inside], axis=0, return_inverse=True)
    sums = np.bincount(group.ravel(), clouds[inside, drift.ELECTRONS], len(lit))
    return {tuple(v): e for v, e in zip(lit.tolist(), sums)}, clouds[~inside, drift.ELECTRONS].sum()


@pytest.mark.parametrize("spread", [0.5, 3.0, 40.0])
def test_voxels_hold_what_a_slow_sum_gives(spread):
    rng = np.random.default_rng(4)
    clouds = np.zeros((3000, drift.NUM_CLOUD))
    clouds[:, :3], clouds[:, drift.ELECTRONS] = rng.normal(0, spread, (3000, 3)), rng.exponential(1e4, 3000)
    low, size, shape = np.array([-20.0, -20, -20]), np.array([1.0, 5, 5]), np.array([40, 8, 8])
    index, electrons, lost = np.empty((3000, 3), np.int64), np.empty(3000), np.zeros(drift.NUM_LOST)
    count = voxels.sum_voxels(clouds, low, size, shape, make(), index, electrons, lost)
    expected, outside = sum_slowly(clouds, low, size, shape)
    assert count == len(expected)
    for voxel, charge in zip(index[:count].tolist(), electrons[:count]):
        assert charge == pytest.approx(expected[tuple(voxel)])
    assert lost[drift.OUTSIDE] == pytest.approx(outside)


def test_a_voxel_holds_its_lower_edge_and_not_its_upper():
    clouds = np.zeros((3, drift.NUM_CLOUD))
    clouds[:, drift.X], clouds[:, drift.ELECTRONS] = [-20.0, -19.0, 20.0], 1.0
    low, size, shape = np.array([-20.0, -20, -20]), np.array([1.0, 5, 5]), np.array([40, 8, 8])
    index, electrons, lost = np.empty((3, 3), np.int64), np.empty(3), np.zeros(drift.NUM_LOST)
    assert voxels.sum_voxels(clouds, low, size, shape, make(), index, electrons, lost) == 2
    assert index[:2, 0].tolist() == [0, 1] and lost[drift.OUTSIDE] == 1.0
