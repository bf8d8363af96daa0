import math

import numpy as np
import pytest

from hpc_nuvlm.detector import detector_folder, load_detector
from hpc_nuvlm.simulate.response import drift_of, planes_of
from hpc_nuvlm.simulate.settings import Response, Wires
from nuvlm_kernels import drift, pulses, wires

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

QUIET = {"noise_electrons": 0.0, "resolution": 0.0, "gap_wires": (0, 0, 0), "gain": (1.0, 1.0, 1.0)}


def plane_and_drift(number=2, **changes):
    detector = load_detector("dune_fd_cvn", detector_folder())
    response = Response(kind="wires", wires=Wires(**(QUIET | changes.pop("wires", {}))), **changes)
    return planes_of(response, detector)[number], drift_of(response)


def clouds_at(positions_mm, electrons=20_000.0, drift_us=1000.0):
    clouds = np.zeros((len(positions_mm), drift.NUM_CLOUD))
    clouds[:, :3], clouds[:, drift.ELECTRONS], clouds[:, drift.DRIFT_US] = positions_mm, electrons, drift_us
    return clouds


def hits_of(clouds, plane, model, seed=0):
    lost = np.zeros(drift.NUM_LOST)
    wire, hits = wires.find_hits(clouds, plane, model, lost, np.random.default_rng(seed))
    return wire, hits, lost


def test_shares_are_those_of_a_gaussian_and_add_to_one():
    plane, model = plane_and_drift()
    places = np.linspace(0, 4.79, 50, endpoint=False)
    clouds = clouds_at(np.stack([0 * places, 0 * places, places], axis=1))
    number, source, shares = np.empty(150, np.int64), np.empty(150, np.int64), np.empty(150)
    order = np.arange(50)
    count = wires.share_over_wires(clouds, order, plane, model.transverse_mm2_per_us, number, source, shares)
    number, source, shares = number[:count], source[:count], shares[:count]
    np.testing.assert_allclose(np.bincount(source, shares), 1.0)
    sigma = math.sqrt(2 * 13.5e-4 * 1000)
    for wire, i, share in zip(number, source, shares):
        low, high = ((wire + edge) * 4.79 - places[i] for edge in (0, 1))
        exact = 0.5 * (math.erf(high / sigma / math.sqrt(2)) - math.erf(low / sigma / math.sqrt(2)))
        # The table has 100 steps a sigma, and ends at 2.5
        assert share == pytest.approx(exact, abs=0.015)


def test_a_waveform_is_the_convolution_of_its_charges():
    rng = np.random.default_rng(6)
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3.0) ** 2)
    kernel /= kernel.sum()
    samples, charges = np.sort(rng.uniform(100, 160, 40)), rng.exponential(1e4, 40)
    wave, origin = pulses.waveform(samples, charges, kernel, np.empty(200))
    sharp = np.zeros(80)
    whole = np.floor(samples).astype(int)
    np.add.at(sharp, whole - 100, charges * (whole + 1 - samples))
    np.add.at(sharp, whole - 99, charges * (samples - whole))
    expected = np.convolve(sharp, kernel)[whole[0] - 100 :]
    np.testing.assert_allclose(wave, expected[: len(wave)], atol=1e-9 * charges.sum())
    assert origin == whole[0] - 9 and wave.sum() == pytest.approx(charges.sum())


@pytest.mark.parametrize("number", [0, 1, 2])
def test_charge_is_in_hits_or_counted_as_lost(number):
    plane, model = plane_and_drift(number, dead_fraction=0.1)
    rng = np.random.default_rng(7)
    clouds = clouds_at(rng.normal(0, 60, (4000, 3)), rng.exponential(4000.0, 4000), rng.uniform(0, 2000, 4000))
    _, hits, lost = hits_of(clouds, plane, model)
    assert hits[:, pulses.CHARGE].sum() + lost.sum() == pytest.approx(clouds[:, drift.ELECTRONS].sum(), rel=1e-10)
    assert lost[drift.DEAD] > 0 and lost[drift.BELOW_THRESHOLD] > 0


def test_a_track_along_the_beam_gives_one_hit_a_wire_at_its_time():
    plane, model = plane_and_drift()
    along = np.arange(0.5, 479.0, 1.0)
    wire, hits, _ = hits_of(clouds_at(np.stack([100 + 0.2 * along, 0 * along, along], axis=1), 6000.0), plane, model)
    assert wire.tolist() == list(range(wire[0], wire[0] + len(wire))) and len(wire) >= 100
    expected = (100 + 0.2 * (wire + 0.5) * 4.79) / (5.12 / pulses.SAMPLES_PER_COLUMN)
    np.testing.assert_allclose(hits[2:-2, pulses.TIME], expected[2:-2], atol=0.1)


def test_a_track_along_the_drift_gives_a_hit_each_5_us():
    plane, model = plane_and_drift()
    along = np.arange(0.0, 200.0, 1.0)
    wire, hits, _ = hits_of(
        clouds_at(np.stack([100 + along, 0 * along, 0 * along + 2.4], axis=1), 6000.0, 50.0), plane, model
    )
    times_us = hits[wire == 0, pulses.TIME] * 5.12 / pulses.SAMPLES_PER_COLUMN / 1.6
    assert len(times_us) == pytest.approx(200 / 1.6 / 5.0, abs=1)
    assert np.diff(times_us)[1:-1] == pytest.approx(5.0, abs=1.0)


def test_two_pulses_are_told_apart_if_far_enough_from_each_other():
    plane, model = plane_and_drift()
    counts = []
    for apart_us in (1.0, 6.0):
        positions = np.array([[100.0, 0, 2.4], [100.0 + 1.6 * apart_us, 0, 2.4]])
        counts.append(len(hits_of(clouds_at(positions, 20_000.0, 1.0), plane, model)[0]))
    assert counts == [1, 2]


def test_the_threshold_is_that_of_a_single_pulse():
    plane, model = plane_and_drift()
    found = [len(hits_of(clouds_at([[100.0, 0, 2.4]], charge, 0.0), plane, model)[0]) for charge in (4900.0, 5200.0)]
    assert found == [0, 1]


def test_gaps_and_dead_wires_are_dark():
    plane, model = plane_and_drift(wires={"gap_wires": (0, 0, 5)}, dead_fraction=0.2)
    along = np.arange(0.0, 10_000.0, 1.0)
    wire, _, lost = hits_of(clouds_at(np.stack([0 * along, 0 * along, along], axis=1), 6000.0), plane, model)
    assert (wire % 485 < 480).all()
    assert not any(drift.is_dead(model, 2, number) for number in wire)
    assert 0.75 < len(wire) / (10_000 / 4.79) < 0.84 and lost[drift.DEAD] > 0


def test_noise_blurs_charge_by_its_size_and_the_share_of_it():
    plane, model = plane_and_drift(wires={"noise_electrons": 700.0, "resolution": 0.08})
    along = np.arange(2.4, 9580.0, 4.79)
    clouds = clouds_at(np.stack([0 * along, 0 * along, along], axis=1), 20_000.0, 0.0)
    _, hits, _ = hits_of(clouds, plane, model)
    # 700 + 0.08 x 20,000 = 2300; 4 sigma of the r.m.s. of 2000 hits: 6 %
    assert hits[:, pulses.CHARGE].std() == pytest.approx(2300, rel=0.06)
    assert hits[:, pulses.CHARGE].mean() == pytest.approx(20_000, abs=4 * 2300 / math.sqrt(len(hits)))


def test_hits_come_out_the_same_again():
    plane, model = plane_and_drift(wires={"noise_electrons": 700.0})
    clouds = clouds_at(np.random.default_rng(8).normal(0, 50, (500, 3)))
    first, again = hits_of(clouds, plane, model), hits_of(clouds, plane, model)
    assert all((a == b).all() for a, b in zip(first, again))


def test_nothing_gives_nothing():
    wire, hits, _ = hits_of(np.zeros((0, drift.NUM_CLOUD)), *plane_and_drift())
    assert len(wire) == len(hits) == 0
