from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.config import View
from hpc_nuvlm.detector import Detector, ViewPlane, load_detector
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.event import Event, Hits, Identity, Truth
from hpc_nuvlm.views.degrade import Degradation, coarsen, dead_anode_pixels, dead_rows, degrade, noise_scale
from hpc_nuvlm.views.image import ImageView

WORSE = [
    Degradation(gain=0.7),
    Degradation(pixel_noise=0.3),
    Degradation(noise_hits=40, noise_threshold=8, noise_mean=20),
    Degradation(dead=0.2),
    Degradation(resolution=3),
    Degradation(0.7, 0.3, 40, 8, 20, 0.2, 3),
]


def wires(num_rows=50, num_columns=60) -> Detector:
    """Three views of wires."""
    planes = tuple(ViewPlane(name, (0, 0, 1.0), (1.0, 0, 0), 5.0, 5.0) for name in "UVZ")
    return Detector("wires", "Wires", planes, num_rows, num_columns, None, None, 0.75, 0.001)


def box(volume=True, row_sign=1.0) -> Detector:
    """XZ, YZ and XY views of a box, in pixels of 5 mm; the axes of the first may be turned around."""
    axes = (((row_sign, 0, 0), (0, 0, 1.0)), ((0, 1.0, 0), (0, 0, 1.0)), ((1.0, 0, 0), (0, 1.0, 0)))
    planes = tuple(ViewPlane(f"view{i}", *pair, 5.0, 5.0) for i, pair in enumerate(axes))
    limits = ((-150.0,) * 3, (150.0,) * 3) if volume else (None, None)
    return Detector("box", "A box", planes, 60, 60, *limits, 0.75, 0.001)


def pixel_event(number=1, num_hits=200, size=(50, 60)) -> Event:
    generator = np.random.default_rng(number)
    row, column = (generator.integers(0, limit, num_hits) for limit in size)
    hits = {"plane": generator.integers(0, 3, num_hits), "row": row, "column": column}
    charge = generator.integers(1, 256, num_hits)
    return Event(Hits("pixels", hits | {"charge": charge}), Truth("nc"), Identity("ab" * 32, number))


def deposit_event(number=1, num_hits=200) -> Event:
    generator = np.random.default_rng(number)
    x, y, z = generator.uniform(-140, 140, (3, num_hits))
    columns = {"x_mm": x, "y_mm": y, "z_mm": z, "energy_mev": generator.exponential(1, num_hits)}
    columns |= {"pdg": np.full(num_hits, 13)}
    return Event(Hits("deposits", columns), Truth("nc"), Identity("ab" * 32, number))


KINDS = {"pixels": (pixel_event, wires()), "deposits": (deposit_event, box())}
kinds = pytest.mark.parametrize("kind", KINDS)


def same_hits(a: Event, b: Event) -> bool:
    return a.content_hash == b.content_hash and len(a.hits) == len(b.hits)


def charges(event: Event, detector: Detector, **view) -> np.ndarray:
    """Charge (V, H, W) of the event."""
    return ImageView(View(**view), detector).charge_image([event])[0][0]


@kinds
def test_nothing_asked_for_gives_the_event_itself(kind):
    make, detector = KINDS[kind]
    event = make()
    assert degrade(event, Degradation(), detector) is event
    assert degrade(event, Degradation(seed=5, noise_threshold=3.0), detector) is event


@kinds
@pytest.mark.parametrize("settings", WORSE, ids=str)
def test_damage_depends_on_the_event_alone_and_leaves_its_input_as_it_is(kind, settings):
    make, detector = KINDS[kind]
    events = [make(number) for number in range(4)]
    before = [event.content_hash for event in events]
    forth = [degrade(event, settings, detector) for event in events]
    back = [degrade(event, settings, detector) for event in reversed(events)][::-1]
    assert all(same_hits(a, b) for a, b in zip(forth, back))
    assert not any(same_hits(a, event) for a, event in zip(forth, events))
    assert [event.content_hash for event in events] == before
    assert all((a.truth, a.identity) == (event.truth, event.identity) for a, event in zip(forth, events))


def test_equal_hits_of_two_events_get_different_noise_and_the_same_dead_rows():
    event = pixel_event()
    twin = Event(event.hits, event.truth, Identity("ef" * 32, 1))
    for settings in (WORSE[1], WORSE[2]):
        assert not same_hits(degrade(event, settings, wires()), degrade(twin, settings, wires()))
    assert same_hits(degrade(event, WORSE[3], wires()), degrade(twin, WORSE[3], wires()))


@given(st.integers(0, 1000), st.integers(2, 9), st.sampled_from(sorted(KINDS)))
def test_a_coarser_picture_has_the_same_charge(number, factor, kind):
    make, detector = KINDS[kind]
    event = make(number)
    coarse = coarsen(event.hits, factor, detector)
    assert coarse.charge.sum(dtype=float) == pytest.approx(event.hits.charge.sum(dtype=float), rel=1e-5)
    if kind == "pixels":
        assert coarse["row"].max() < 50 and coarse["column"].max() < 60
        for plane in range(3):
            of_plane = [hits.charge[hits["plane"] == plane].sum(dtype=float) for hits in (coarse, event.hits)]
            assert of_plane[0] == pytest.approx(of_plane[1], rel=1e-5)


@given(st.integers(0, 1000), st.sampled_from([2, 3, 4, 6]), st.sampled_from(sorted(KINDS)))
def test_a_coarser_picture_shows_the_mean_of_each_block(number, factor, kind):
    make, detector = KINDS[kind]
    size = (48, 60) if kind == "pixels" else (60, 60)
    detector = wires(*size) if kind == "pixels" else detector
    event = make(number, **({"size": size} if kind == "pixels" else {}))
    fine = charges(event, detector, size=size, pool=1)
    height, width = (length // factor for length in size)
    mean = fine.reshape(3, height, factor, width, factor).mean((2, 4))
    enlarged = np.kron(mean, np.ones((factor, factor)))
    coarse = charges(degrade(event, Degradation(resolution=factor), detector), detector, size=size, pool=1)
    np.testing.assert_allclose(coarse, enlarged, rtol=1e-4, atol=1e-6)


def test_blocks_at_the_edge_of_the_readout_and_hits_beyond_it_keep_their_charge():
    columns = {"plane": [0, 0, 0], "row": [49, 49, 60000], "column": [59, 0, 65535], "charge": [6.0, 8.0, 4.0]}
    coarse = coarsen(Hits("pixels", columns), 4, wires())
    found = sorted(zip(*(coarse[name].tolist() for name in ("row", "column", "charge"))))
    corner = [(row, column, 0.75) for row in (48, 49) for column in range(56, 60)]
    edge = [(row, column, 1.0) for row in (48, 49) for column in range(4)]
    beyond = [(row, column, 0.25) for row in range(60000, 60004) for column in range(65532, 65536)]
    assert found == sorted(corner + edge + beyond)


def test_a_view_that_looks_the_other_way_has_the_same_blocks():
    event, turned = deposit_event(), box(row_sign=-1.0)
    coarse = charges(degrade(event, Degradation(resolution=4), turned), turned, size=(60, 60), pool=1)
    plain = charges(degrade(event, Degradation(resolution=4), box()), box(), size=(60, 60), pool=1)
    np.testing.assert_allclose(coarse[0], plain[0, ::-1], rtol=1e-5)


def test_a_view_that_pools_in_step_with_the_blocks_sees_no_change():
    event = pixel_event()
    for pool in (2, 4):
        fine, coarse = (
            charges(e, wires(56, 64), size=(56 // pool, 64 // pool), pool=pool)
            for e in (event, degrade(event, Degradation(resolution=2), wires(56, 64)))
        )
        np.testing.assert_allclose(coarse, fine, rtol=1e-5)


@kinds
@pytest.mark.parametrize("gain", [0.5, 1.3])
def test_gain_multiplies_every_charge_and_moves_no_hit(kind, gain):
    make, detector = KINDS[kind]
    event = make()
    changed = degrade(event, Degradation(gain=gain), detector)
    np.testing.assert_allclose(changed.hits.charge, event.hits.charge * gain, rtol=1e-6)
    charge = changed.hits.charge.sum(dtype=float)
    assert charge == pytest.approx(gain * event.hits.charge.sum(dtype=float), rel=1e-6)
    same = [name for name in event.hits.columns if name not in ("charge", "energy_mev")]
    assert all(np.array_equal(changed.hits[name], event.hits[name]) for name in same)


def test_charge_noise_has_the_asked_width_and_is_never_negative():
    event = pixel_event(num_hits=20_000)
    factor = degrade(event, Degradation(pixel_noise=0.2), wires()).hits.charge / event.hits.charge
    # Standard error 0.0014 of the mean, 0.001 of the width
    assert abs(factor.mean() - 1) < 0.006 and abs(factor.std() - 0.2) < 0.005
    assert degrade(event, Degradation(pixel_noise=2.0), wires()).hits.charge.min() == 0


@kinds
def test_noise_hits_are_added_over_the_whole_readout_and_more_contain_fewer(kind):
    make, detector = KINDS[kind]
    event = make()
    fewer, more = (
        degrade(event, Degradation(noise_hits=number, noise_threshold=8, noise_mean=20), detector).hits
        for number in (100, 3000)
    )
    per_hit = 3 if kind == "pixels" else 1
    assert len(fewer) == len(event.hits) + 100 * per_hit and len(more) == len(event.hits) + 3000 * per_hit
    assert all(np.array_equal(more[name][: len(fewer)], fewer[name]) for name in fewer.columns)
    noise = {name: column[len(event.hits) :].astype(float) for name, column in more.columns.items()}
    charge = more.charge[len(event.hits) :]
    assert charge.min() >= 8 and abs(charge.mean() - 28) < 2
    if kind == "pixels":
        assert np.bincount(noise["plane"].astype(int)).tolist() == [3000] * 3
        assert set(noise["row"]) == set(range(50)) and set(noise["column"]) == set(range(60))
    else:
        middle = [column.mean() for name, column in noise.items() if name.endswith("_mm")]
        extent = [np.ptp(column) for name, column in noise.items() if name.endswith("_mm")]
        assert max(map(abs, middle)) < 10 and 290 < min(extent) <= max(extent) <= 300


def test_dead_rows_are_dark_in_every_picture_and_the_others_unchanged():
    events = [pixel_event(number, num_hits=3000) for number in range(3)]
    settings = Degradation(dead=0.2, noise_hits=200, noise_threshold=8, noise_mean=20)
    dead = dead_rows(wires(), 0.2, settings.seed)
    assert dead.sum(1).tolist() == [10, 10, 10] and not np.array_equal(dead[0], dead[1])
    for event in events:
        changed = degrade(event, settings, wires())
        noisy = degrade(event, Degradation(noise_hits=200, noise_threshold=8, noise_mean=20), wires())
        for pool in (1, 2):
            view = {"size": (50 // pool, 60 // pool), "pool": pool}
            dark = dead.reshape(3, -1, pool).all(2)
            assert not charges(changed, wires(), **view)[dark].any()
        picture, whole = (charges(e, wires(), size=(50, 60), pool=1) for e in (changed, noisy))
        assert np.array_equal(picture, np.where(dead[..., None], 0, whole))


def test_more_dead_rows_contain_fewer_and_another_seed_has_others():
    levels = [dead_rows(wires(), fraction, 1) for fraction in (0.02, 0.1, 0.5, 1.0)]
    assert [level.mean() for level in levels] == [0.02, 0.1, 0.5, 1.0]
    assert all((more | fewer).sum() == more.sum() for fewer, more in pairwise(levels))
    assert not np.array_equal(dead_rows(wires(), 0.1, 1), dead_rows(wires(), 0.1, 2))


def test_deposits_before_dead_pixels_of_the_anode_are_lost_at_any_drift_distance():
    event = deposit_event(num_hits=5000)
    dead = dead_anode_pixels(box(), 0.2, 1)
    assert dead.shape == (60, 60) and dead.mean() == 0.2
    kept = degrade(event, Degradation(dead=0.2), box()).hits
    y, z = (np.floor((event.hits[axis] + 150.0) / 5).astype(int) for axis in ("y_mm", "z_mm"))
    assert np.array_equal(kept["x_mm"], event.hits["x_mm"][~dead[y, z]])
    assert np.array_equal(kept["pdg"], event.hits["pdg"][~dead[y, z]])
    outside = Hits("deposits", {"x_mm": [0.0], "y_mm": [151.0], "z_mm": [0.0], "energy_mev": [1.0]})
    assert len(degrade(Event(outside, Truth(), Identity("a", 1)), Degradation(dead=1.0), box()).hits) == 1


@pytest.mark.parametrize("settings", WORSE, ids=str)
def test_the_damage_is_the_same_whatever_view_looks_at_it(settings):
    """A picture of pooled pixels is the pooled picture of native ones: no view had damage of its own."""
    changed = degrade(pixel_event(num_hits=2000), settings, wires(48, 60))
    native = charges(changed, wires(48, 60), size=(48, 60), pool=1)
    pooled = charges(changed, wires(48, 60), size=(12, 15), pool=4)
    np.testing.assert_allclose(pooled, native.reshape(3, 12, 4, 15, 4).sum((2, 4)), rtol=1e-4, atol=1e-3)


@kinds
@pytest.mark.parametrize("settings", WORSE, ids=str)
def test_an_event_without_hits_stays_a_usable_event(kind, settings):
    make, detector = KINDS[kind]
    changed = degrade(make(num_hits=0), settings, detector)
    assert len(changed.hits) == 0 or settings.noise_hits
    charges(changed, detector, size=(12, 15))


def test_hits_that_no_view_draws_are_left_for_it_to_name():
    event = pixel_event()
    for name, value in (("charge", np.nan), ("charge", -1.0), ("plane", 7)):
        columns = {key: column.copy() for key, column in event.hits.columns.items()}
        columns[name][5] = value
        bad = Event(Hits("pixels", columns), event.truth, event.identity)
        degraded = degrade(bad, WORSE[-1], wires())
        assert degraded is bad
        with pytest.raises(UserError, match=f"hit 5 has {name}"):
            charges(degraded, wires())


@pytest.mark.parametrize("settings", [WORSE[3], WORSE[4]], ids=str)
def test_pixels_of_deposits_need_views_along_the_axes_on_one_grid(settings, repository):
    askew = load_detector("dune_fd_cvn", repository / "configs" / "detectors")
    finer = ViewPlane("finer", (1.0, 0, 0), (0, 0, 1.0), 3.0, 3.0)
    unlike = Detector("unlike", "", (*box().planes, finer), 60, 60, (-150.0,) * 3, (150.0,) * 3, 0.75, 0.001)
    for detector in (askew, unlike):
        with pytest.raises(ConfigError, match=r"volume|views along x, y and z that share one grid"):
            degrade(deposit_event(), settings, detector)
    with pytest.raises(ConfigError, match=r"detector unlike: .*response\.variant"):
        degrade(deposit_event(), settings, unlike)


@pytest.mark.parametrize("settings", [WORSE[2], WORSE[3]], ids=str)
def test_noise_and_dead_pixels_of_deposits_need_a_volume(settings):
    with pytest.raises(ConfigError, match="of deposits needs the active volume"):
        degrade(deposit_event(), settings, box(volume=False))


def test_resolution_of_deposits_works_where_no_view_sees_one_axis():
    flat = Detector("flat", "", box().planes[:1], 60, 60, None, None, 0.75, 0.001)
    event = deposit_event()
    fine = charges(event, flat, size=(15, 15), pool=4, crop="centroid")
    assert (
        charges(degrade(event, WORSE[4], flat), flat, size=(15, 15), pool=4, crop="centroid").sum() > 0.9 * fine.sum()
    )


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"gain": 0}, "gain must be above 0"),
        ({"gain": float("nan")}, "numbers must be finite"),
        ({"pixel_noise": -0.1}, "noise is 0 or more"),
        ({"noise_hits": -1}, "noise is 0 or more"),
        ({"noise_hits": 5}, "need noise_mean"),
        ({"dead": 1.5}, "dead is a fraction"),
        ({"resolution": 0}, "resolution is a whole number"),
        ({"resolution": 1.5}, "resolution is a whole number"),
    ],
)
def test_settings_that_mean_nothing_are_refused(change, rule):
    with pytest.raises(ConfigError, match=rule):
        Degradation(**change)


def test_the_scale_of_noise_is_that_of_the_dimmer_hits():
    hits = [Hits("pixels", {"plane": [0] * 101, "row": [0] * 101, "column": [0] * 101, "charge": np.arange(101) + 7})]
    events = [Event(one, Truth(), Identity("a", 1)) for one in hits]
    assert noise_scale(events) == pytest.approx((8, 49))
    with pytest.raises(UserError, match="hold no hits"):
        noise_scale([])
