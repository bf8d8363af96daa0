import math
from types import SimpleNamespace

import numpy as np
import pytest

from hpc_nuvlm.detector import detector_folder, load_detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.simulate.recombination import MIP_MEV_PER_MM, constants
from hpc_nuvlm.simulate.response import Readout, drift_of
from hpc_nuvlm.simulate.settings import Response, Wires
from hpc_nuvlm.simulate.variants import VARIANTS
from nuvlm_kernels import drift

# Its kernels take seconds to compile on a new machine
pytestmark = pytest.mark.slow

PAPER, DUNE = (load_detector(name, detector_folder()) for name in ("paper_lartpc", "dune_fd_cvn"))
PLAIN = {"recombination": "none", "lifetime_us": None, "anodes_x_mm": (-900.0, -300.0, 300.0, 900.0)}


def trace(start, direction, length_mm, mev_per_mm=MIP_MEV_PER_MM, pdg=13, time_ns=0.0):
    """A straight track in segments of 5 mm, as transport hands it over."""
    edges = np.linspace(0.0, length_mm, max(2, math.ceil(length_mm / 5.0) + 1))
    points = np.asarray(start, float) + edges[:, None] * np.asarray(direction, float) / np.linalg.norm(direction)
    number = len(edges) - 1
    return SimpleNamespace(
        start_mm=points[:-1],
        end_mm=points[1:],
        energy_mev=np.diff(edges) * mev_per_mm,
        time_ns=np.full(number, time_ns),
        track=np.zeros(number, np.int64),
        track_pdg=np.array([pdg]),
    )


def voxels(deposits, seed=0, **settings):
    readout = Readout(Response(kind="voxels", **(PLAIN | settings)), PAPER)
    return readout.read_with_losses(deposits, np.random.default_rng(seed))


def pixels(deposits, seed=0, **settings):
    return Readout(Response(kind="wires", **settings), DUNE).read(deposits, np.random.default_rng(seed))


def survivors(model, mev_per_cm, field=0.5):
    code, first, second = constants(model, field)
    return drift.surviving(drift_of(Response())._replace(model=code, birks_a=first, mm_per_mev=second), mev_per_cm / 10)


def test_seven_tenths_of_a_minimum_ionizing_charge_survive_at_500_volt_per_cm():
    assert survivors("birks", 2.105) == pytest.approx(0.800 / (1 + 0.0486 * 2.105 / (1.396 * 0.5)), rel=1e-6)
    assert survivors("birks", 2.105) == pytest.approx(0.70, abs=0.01)
    assert survivors("box", 2.105) == pytest.approx(0.70, abs=0.01)


@pytest.mark.parametrize("mev_per_cm", [1.7, 3.0, 6.0, 12.0, 24.0])
def test_the_two_laws_agree_where_both_were_measured(mev_per_cm):
    assert survivors("box", mev_per_cm) == pytest.approx(survivors("birks", mev_per_cm), rel=0.06)


@pytest.mark.parametrize("model", ["birks", "box"])
def test_recombination_grows_with_density_of_charge_and_falls_with_the_field(model):
    values = [survivors(model, mev_per_cm) for mev_per_cm in (0.3, 2.1, 5.0, 30.0, 300.0)]
    assert values == sorted(values, reverse=True) and values[-1] > 0 and values[0] < 1
    assert survivors(model, 5.0, field=1.0) > survivors(model, 5.0, field=0.25)


def test_without_losses_voxels_hold_the_energy_deposited():
    deposits = trace((-850, 10, -100), (0.4, 0.2, 1), 300)
    hits, lost = voxels(deposits)
    assert hits.charge.sum() == pytest.approx(deposits.energy_mev.sum(), rel=1e-5)
    assert all(electrons == 0 for electrons in lost.values())


def test_voxels_lie_on_their_grid_once_each():
    hits, _ = voxels(trace((-850, 10, -100), (0.4, 0.2, 1), 300))
    places = np.stack([hits["x_mm"] - 0.5, hits["y_mm"] - 2.5, hits["z_mm"] - 2.5], axis=1) / [1, 5, 5]
    np.testing.assert_allclose(places, np.round(places), atol=1e-3)
    assert len(np.unique(np.round(places), axis=0)) == len(hits)


def test_electrons_are_read_out_or_counted_as_lost():
    deposits = trace((950, 10, 3400), (0.4, 0.2, 1), 300)
    settings = {"recombination": "box", "lifetime_us": 500.0, "dead_fraction": 0.1, "threshold_electrons": 15_000.0}
    hits, lost = voxels(deposits, **settings)
    read = hits.charge.sum() / (drift.ELECTRON_MEV / survivors("box", 2.105))
    assert read + sum(lost.values()) == pytest.approx(deposits.energy_mev.sum() / drift.ELECTRON_MEV, rel=1e-5)
    assert all(electrons > 0 for electrons in lost.values())


@pytest.mark.parametrize("distance_mm", [10.0, 140.0, 290.0])
def test_charge_is_captured_exponentially_on_its_way_to_the_nearest_anode(distance_mm):
    deposits = trace((-900 + distance_mm, 2.5, -100), (0, 0, 1), 200)
    full, captured = (voxels(deposits, lifetime_us=lifetime)[0].charge.sum() for lifetime in (None, 150.0))
    assert captured / full == pytest.approx(math.exp(-distance_mm / 1.6 / 150.0), rel=1e-4)


def test_a_minimum_ionizing_track_keeps_its_energy_scale_with_recombination_on():
    deposits = trace((-890, 2, -100), (0, 0, 1), 200)
    assert voxels(deposits, recombination="box")[0].charge.sum() == pytest.approx(200 * MIP_MEV_PER_MM, rel=1e-4)
    proton = trace((-890, 2, -100), (0, 0, 1), 20, mev_per_mm=2.0)
    assert voxels(proton, recombination="box")[0].charge.sum() < 0.75 * 40


def test_threshold_saturation_and_noise_act_on_a_voxel():
    deposits = trace((-890, 2, -100), (0, 0, 1), 200)
    clean, _ = voxels(deposits, diffusion_transverse_cm2_per_s=0.0)
    assert len(voxels(deposits, threshold_electrons=1e9)[0]) == 0
    limit = 10_000.0
    cut, _ = voxels(deposits, saturation_electrons=limit)
    assert cut.charge.max() <= limit * drift.ELECTRON_MEV * 1.0001 < clean.charge.max()
    noisy, _ = voxels(deposits, noise_electrons=500.0, diffusion_transverse_cm2_per_s=0.0)
    assert noisy.charge.sum() != clean.charge.sum()


def test_only_segments_in_the_active_volume_are_inside():
    readout = Readout(Response(**PLAIN), PAPER)
    deposits = trace((0, 0, 3400), (0, 0, 1), 200)
    assert readout.inside(deposits).tolist() == (deposits.end_mm[:, 2] <= 3500).tolist()


def test_a_muon_along_the_beam_looks_as_in_the_published_maps():
    hits = pixels(trace((1800, 500, 1000), (0.1, 0, 1), 2000))
    for plane, (mip, wires) in enumerate([(32, 348), (32, 348), (29, 417)]):
        view = hits["plane"] == plane
        # 2 m over the pitch along the track; Z has 5 dark wires in 485, so at most 2 gaps
        assert view.sum() == pytest.approx(wires, abs=12)
        # The median along muons of the published maps, which have other angles, energies and distances from the anode
        assert np.median(hits.charge[view]) == pytest.approx(mip, rel=0.2)
        assert abs(hits["column"][view].mean() - 250) < 1.0
    charge = [hits.charge[hits["plane"] == plane].sum() for plane in range(3)]
    assert charge[0] / charge[2] == pytest.approx(0.956, abs=0.05)


def test_a_short_event_lies_at_the_low_edge_of_u_and_z_and_at_the_high_edge_of_v():
    hits = pixels(trace((1800, 500, 1000), (0.1, 0.1, 1), 600))
    rows = [hits["row"][hits["plane"] == plane] for plane in range(3)]
    assert rows[0].min() <= 5 and rows[2].min() <= 5 and rows[1].max() == 499 and rows[1].min() > 300


def test_pixel_values_are_whole_numbers_up_to_255():
    hits = pixels(trace((1800, 500, 1000), (0.3, 0, 1), 800, mev_per_mm=6.0, pdg=2212))
    assert (hits.charge == np.round(hits.charge)).all() and hits.charge.min() >= 1 and hits.charge.max() == 255


def test_a_pixel_is_lit_once():
    hits = pixels(trace((1800, 500, 1000), (1, 0, 0.2), 800))
    places = np.stack([hits["plane"], hits["row"], hits["column"]], axis=1)
    assert len(np.unique(places, axis=0)) == len(hits)


def test_noise_hits_come_in_the_number_asked_for():
    nothing = trace((1800, 500, 1000), (0, 0, 1), 1.0, mev_per_mm=1e-9)
    hits = pixels(nothing, wires=Wires(noise_hits=400.0))
    # 4 sigma of a Poisson number of 1200; two in one pixel are rare
    assert len(hits) == pytest.approx(1200, abs=140)


def test_what_comes_late_is_displaced_along_the_drift():
    early, late = (
        pixels(SimpleNamespace(**both), wires=Wires(noise_electrons=0.0, resolution=0.0))
        for both in (joined(0.0), joined(32_000.0))
    )
    # 32 us at 1.6 mm/us are 10 columns; the mean time, on which the map is centred, moves by half of it
    shift = early["column"].astype(int).max() - early["column"].astype(int).min()
    assert late["column"].astype(int).max() - late["column"].astype(int).min() == pytest.approx(shift + 10, abs=1)


def joined(time_ns):
    first, second = trace((1000, 0, 1000), (0, 0, 1), 400), trace((1200, 0, 1000), (0, 0, 1), 400, time_ns=time_ns)
    names = ("start_mm", "end_mm", "energy_mev", "time_ns", "track")
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    return both | {"track_pdg": first.track_pdg}


def test_segments_outside_the_map_are_not_inside():
    readout = Readout(Response(kind="wires"), DUNE)
    deposits = trace((1800, 500, 1000), (0.1, 0, 1), 4000)
    readout.read(deposits, np.random.default_rng(0))
    # The map is 500 wires of 4.79 mm long, less the row before the first wire
    seen_mm = deposits.end_mm[readout.inside(deposits), 2].max() - 1000
    assert 2300 < seen_mm < 2900


@pytest.mark.parametrize("kind, detector", [("voxels", PAPER), ("wires", DUNE)])
def test_no_deposits_give_no_hits(kind, detector):
    empty = SimpleNamespace(
        start_mm=np.zeros((0, 3)), end_mm=np.zeros((0, 3)), energy_mev=np.zeros(0), time_ns=np.zeros(0),
        track=np.zeros(0, np.int64), track_pdg=np.zeros(0, np.int64),
    )  # fmt: skip
    readout = Readout(Response(kind=kind), detector)
    assert len(readout.read(empty, np.random.default_rng(0))) == 0 and len(readout.inside(empty)) == 0


@pytest.mark.parametrize("kind, detector", [("voxels", PAPER), ("wires", DUNE)])
def test_the_same_stream_gives_the_same_hits(kind, detector):
    deposits, readout = trace((500, 500, 1000), (0.1, 0.3, 1), 700), Readout(Response(kind=kind), detector)
    first, again, other = (readout.read(deposits, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first.columns)
    assert len(first) != len(other) or (first.charge != other.charge).any()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_changes_what_is_read_out(name):
    deposits = trace((1800, 500, 1000), (0.3, 0.2, 1), 900, mev_per_mm=0.4, pdg=211)
    nominal, varied = pixels(deposits), pixels(deposits, variant=name)
    assert len(nominal) != len(varied) or (nominal.charge != varied.charge).any()


def test_variants_go_the_way_that_their_names_say():
    deposits = trace((1800, 500, 1000), (0.3, 0.2, 1), 900)
    total = {name: pixels(deposits, variant=name).charge.sum() for name in (None, *VARIANTS)}
    assert total["gain_high"] > total[None] > total["gain_low"]
    assert total["recombination_none"] > total["recombination_low"] > total[None] > total["recombination_high"]
    assert total["lifetime_infinite"] > total[None] > total["lifetime_short"]
    assert total[None] > total["dead_wires_5_percent"] > total["dead_wires_20_percent"]


def test_an_unknown_variant_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'gain_high'"):
        Readout(Response(variant="gain_hihg"), PAPER)


def test_a_variant_that_would_change_nothing_is_refused():
    with pytest.raises(ConfigError, match="changes nothing"):
        Readout(Response(variant="recombination_none", **PLAIN), PAPER)


@pytest.mark.parametrize("name", ["noise_double", "threshold_double", "noise_hits_100"])
def test_a_variant_of_the_wires_alone_is_refused_for_voxels(name):
    with pytest.raises(ConfigError, match="changes nothing"):
        Readout(Response(variant=name), PAPER)


@pytest.mark.parametrize("name", ["recombination_high", "recombination_low", "field_low"])
def test_a_variant_of_a_recombination_that_is_off_is_refused(name):
    with pytest.raises(ConfigError, match="changes nothing"):
        Readout(Response(variant=name, recombination="none"), PAPER)


@pytest.mark.parametrize(
    "settings, detector, said",
    [
        ({"kind": "voxels"}, DUNE, "no active volume"),
        ({"kind": "wires"}, PAPER, "2 planes"),
        ({"kind": "wires", "wires": Wires(reversed_views=("Y",))}, DUNE, "reversed_views: 'Y'"),
        ({"anodes_x_mm": ()}, PAPER, "anodes_x_mm is empty"),
    ],
)
def test_settings_that_do_not_fit_the_detector_are_refused(settings, detector, said):
    with pytest.raises(ConfigError, match=said):
        Readout(Response(**settings), detector)
