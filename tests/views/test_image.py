import dataclasses
import math

import numpy as np
import pytest

from hpc_nuvlm.config import View
from hpc_nuvlm.detector import Detector, ViewPlane
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import Event, Hits, Identity, Truth
from hpc_nuvlm.views.image import ImageView


def box_detector(
    num_rows=500, num_columns=500, num_views=2, pitch_mm=5.0, low=(-1000, -1000, -1000), high=(1000, 1000, 1000)
):
    """XZ and YZ views (and XZ once more) of a box."""
    axes = ((1.0, 0, 0), (0, 1.0, 0), (1.0, 0, 0))[:num_views]
    planes = tuple(ViewPlane(f"view{i}", axis, (0, 0, 1.0), pitch_mm, pitch_mm) for i, axis in enumerate(axes))
    return Detector("box", "A box", planes, num_rows, num_columns, low, high, 0.75, 0.001)


def pixel_event(number=1, plane=(0,), row=(250,), column=(250,), charge=(1.0,), **truth):
    hits = Hits("pixels", {"plane": plane, "row": row, "column": column, "charge": charge})
    return Event(hits, Truth(**truth), Identity("0123456789abcdef99", number))


def deposit_event(number=1, x_mm=(0.0,), y_mm=(0.0,), z_mm=(0.0,), energy_mev=(1.0,), **truth):
    hits = Hits("deposits", {"x_mm": x_mm, "y_mm": y_mm, "z_mm": z_mm, "energy_mev": energy_mev})
    return Event(hits, Truth(**truth), Identity("0123456789abcdef99", number))


def every_native_pixel():
    """One unit of charge on each of 500 x 500 pixels of view 0."""
    row, column = np.divmod(np.arange(250_000), 500)
    return pixel_event(plane=np.zeros(250_000), row=row, column=column, charge=np.ones(250_000))


def lit(picture):
    return [tuple(map(int, place)) for place in np.argwhere(picture)]


def test_a_batch_becomes_8_bit_images_with_what_they_do_not_show():
    events = [
        pixel_event(1, charge=(255.0,)),
        pixel_event(2, row=(999,), charge=(7.0,)),
        pixel_event(3, charge=(300.0,)),
    ]
    rendered = ImageView(View(size=(125, 120), pool=4), box_detector()).render(events)
    assert {name: (array.shape, array.dtype) for name, array in rendered.items()} == {
        "image": ((3, 2, 125, 120), np.uint8),
        "outside_charge": ((3, 2), np.float64),
        "saturated": ((3, 2), np.int64),
    }
    assert rendered["image"].max(axis=(2, 3)).tolist() == [[255, 0], [0, 0], [255, 0]]
    assert rendered["outside_charge"].tolist() == [[0, 0], [7, 0], [0, 0]]
    assert rendered["saturated"].tolist() == [[0, 0], [0, 0], [1, 0]]


@pytest.mark.parametrize(
    # A quarter of full scale: 255 / 4, 255 / 2, and 255 log(64.75) / log(256) = 191.8
    ("curve", "level"),
    [("linear", 64), ("sqrt", 128), ("log", 192)],
)
def test_the_curve_of_the_view_decides_the_level(curve, level):
    rendered = ImageView(View(curve=curve), box_detector()).render([pixel_event(charge=(63.75,))])
    assert rendered["image"].max() == level


def test_pooling_by_four_of_500_covers_every_native_pixel():
    image, outside = ImageView(View(size=(125, 125), pool=4), box_detector()).charge_image([every_native_pixel()])
    assert (image[0, 0] == 16).all() and outside[0, 0] == 0


def test_size_112_pooled_by_four_crops_the_middle_448():
    image, outside = ImageView(View(size=(112, 112), pool=4), box_detector()).charge_image([every_native_pixel()])
    assert (image[0, 0] == 16).all() and outside[0, 0] == 500**2 - 448**2
    first = pixel_event(row=(26,), column=(25,)), pixel_event(row=(26,), column=(26,))
    image, outside = ImageView(View(size=(112, 112), pool=4), box_detector()).charge_image(first)
    assert outside[:, 0].tolist() == [1, 0] and lit(image[1, 0]) == [(0, 0)]


def test_size_560_pads_thirty_empty_pixels_on_each_side():
    image, outside = ImageView(View(size=(560, 560), pool=1), box_detector()).charge_image([every_native_pixel()])
    assert (image[0, 0, 30:530, 30:530] == 1).all() and outside[0, 0] == 0
    assert image.sum() == 500**2


def test_deposits_land_where_the_readout_pixels_they_would_give_land():
    detector = box_detector(num_rows=501, num_columns=400, pitch_mm=4.667, low=(-100, 0, 50), high=(300, 10, 150))
    generator = np.random.default_rng(1)
    position = generator.uniform(-900, 1100, (3, 3000)).astype(np.float32)
    middle = np.array([100, 5, 100])
    number = np.floor((position.T - middle) / 4.667 + [501 / 2, 501 / 2, 400 / 2]).astype(int).T
    inside = ((number >= 0) & (number < [[501], [501], [400]])).all(axis=0)
    x_mm, y_mm, z_mm = position[:, inside]
    row_x, row_y, column = number[:, inside]
    charge = np.arange(inside.sum()) % 7
    deposits = deposit_event(x_mm=x_mm, y_mm=y_mm, z_mm=z_mm, energy_mev=charge)
    plane = np.repeat([0, 1], len(charge))
    pixels = pixel_event(plane=plane, row=[*row_x, *row_y], column=[*column, *column], charge=[*charge, *charge])
    view = ImageView(View(size=(90, 80), pool=3), detector)
    for of_deposits, of_pixels in zip(view.charge_image([deposits]), view.charge_image([pixels]), strict=True):
        assert (of_deposits == of_pixels).all()


def test_fixed_crop_puts_the_middle_of_the_volume_in_the_middle_of_the_image():
    detector = box_detector(low=(0, -200, 7000), high=(100, 200, 9000))
    image, _ = ImageView(View(size=(10, 20), pool=2), detector).charge_image([deposit_event(x_mm=(50,), z_mm=(8000,))])
    assert lit(image) == [(0, 0, 5, 10), (0, 1, 5, 10)]


def test_centroid_crop_follows_the_charge_of_each_view():
    event = pixel_event(plane=(0, 0, 1), row=(100, 400, 7), column=(10, 20, 499), charge=(1.0, 3.0, 5.0))
    image, outside = ImageView(View(size=(8, 8), pool=1, crop="centroid"), box_detector()).charge_image([event])
    # View 0: mean row 325, column 17.5 -> 17; both of its hits are farther away than the window reaches
    assert outside.tolist() == [[4, 0]]
    assert lit(image) == [(0, 1, 4, 4)]


def test_centroid_crop_of_deposits_is_the_projected_centre_of_charge():
    event = deposit_event(x_mm=(0, 40), y_mm=(-100, -100), z_mm=(300, 300), energy_mev=(1, 3))
    image, _ = ImageView(View(size=(32, 32), pool=1, crop="centroid"), box_detector()).charge_image([event])
    # Mean x = 30 mm is native pixel 256: hits at 0 and 40 mm are 6 pixels below and 2 above it
    assert lit(image[0, 0]) == [(10, 16), (18, 16)]
    assert lit(image[0, 1]) == [(16, 16)]


@pytest.mark.parametrize("crop", ["fixed", "centroid"])
@pytest.mark.parametrize("charge", [(), (0.0,)])
def test_an_event_without_charge_gives_an_empty_image(crop, charge):
    places = (0,) * len(charge)
    view = ImageView(View(crop=crop), box_detector())
    for event in (pixel_event(plane=places, row=places, column=places, charge=charge),
                  deposit_event(x_mm=places, y_mm=places, z_mm=places, energy_mev=charge)):  # fmt: skip
        assert not view.render([event])["image"].any()


def test_a_detector_without_volume_shows_deposits_around_their_centroid_but_not_a_fixed_region():
    detector = dataclasses.replace(box_detector(), volume_low_mm=None, volume_high_mm=None)
    view = ImageView(View(size=(8, 8), pool=1, crop="centroid"), detector)
    image, _ = view.charge_image([deposit_event(x_mm=(12345.0,))])
    assert lit(image) == [(0, 0, 4, 4), (0, 1, 4, 4)]
    with pytest.raises(UserError, match=r"detector box: crop 'fixed' .* needs volume_mm.*use view.crop=centroid"):
        ImageView(View(), detector).render([deposit_event()])


def test_vertex_crop_puts_the_true_vertex_in_the_middle():
    event = deposit_event(x_mm=(500,), y_mm=(-20,), z_mm=(-900,), vertex_mm=(490.0, -20.0, -903.0))
    image, _ = ImageView(View(size=(8, 8), pool=1, crop="vertex"), box_detector()).charge_image([event])
    assert lit(image) == [(0, 0, 4 + 2, 4 + 1), (0, 1, 4, 4 + 1)]


def test_vertex_crop_refuses_an_event_without_true_vertex_and_names_it():
    events = [deposit_event(1, vertex_mm=(0, 0, 0)), deposit_event(77)]
    with pytest.raises(UserError, match=r"event 0123456789abcdef-x-x-77: .*truth.vertex_mm is \(nan, nan, nan\)"):
        ImageView(View(crop="vertex"), box_detector()).render(events)


def test_vertex_crop_refuses_readout_pixels_and_names_the_event():
    with pytest.raises(UserError, match="event 0123456789abcdef-x-x-5: crop 'vertex' needs hits in space"):
        ImageView(View(crop="vertex"), box_detector()).render([pixel_event(5)])


@pytest.mark.parametrize("crop", ["fixed", "centroid"])
@pytest.mark.parametrize(
    ("column", "value"),
    [("x_mm", math.nan), ("y_mm", math.inf), ("z_mm", -math.inf), ("energy_mev", math.nan), ("energy_mev", math.inf),
     ("energy_mev", -0.5)],
)  # fmt: skip
def test_a_bad_deposit_is_an_error_that_names_event_hit_and_value(crop, column, value):
    columns = {name: [0.0, 1.0, 2.0] for name in ("x_mm", "y_mm", "z_mm", "energy_mev")}
    columns[column][2] = value
    events = [deposit_event(1), deposit_event(8, **columns)]
    with pytest.raises(UserError, match=f"event {events[1].identity.key}: hit 2 has {column} {value}; .*drop the hit"):
        ImageView(View(crop=crop), box_detector()).render(events)


@pytest.mark.parametrize("crop", ["fixed", "centroid"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_bad_pixel_charge_is_an_error_that_names_event_hit_and_value(crop, value):
    event = pixel_event(8, plane=(0, 0), row=(0, 1), column=(0, 1), charge=(1.0, value))
    with pytest.raises(UserError, match=f"event 0123456789abcdef-x-x-8: hit 1 has charge {value}; .*drop the hit"):
        ImageView(View(crop=crop), box_detector()).render([event])


def test_a_negative_charge_is_named_even_where_it_would_throw_the_centroid_out_of_all_bounds():
    event = pixel_event(8, plane=(0, 0, 0), row=(5, 6, 0), column=(0, 0, 0), charge=(1e30, -1e30, 1.0))
    with pytest.raises(UserError, match="hit 1 has charge -1"):
        ImageView(View(crop="centroid"), box_detector()).render([event])


@pytest.mark.parametrize("crop", ["fixed", "centroid"])
def test_a_plane_that_the_detector_does_not_have_is_an_error_that_names_it(crop):
    event = pixel_event(8, plane=(0, 2), row=(0, 1), column=(0, 1), charge=(1.0, 1.0))
    with pytest.raises(UserError, match="x-x-8: hit 1 has plane 2, but detector box has planes 0 to 1"):
        ImageView(View(crop=crop), box_detector()).render([event])


def test_events_of_two_kinds_in_one_batch_are_refused_and_named():
    with pytest.raises(UserError, match=r"deposits \(event .*-2\) and pixels \(event .*-1\); .* of one kind"):
        ImageView(View(), box_detector()).render([pixel_event(1), deposit_event(2), pixel_event(3)])


def test_no_events_give_a_batch_of_no_images():
    rendered = ImageView(View(), box_detector(num_views=3)).render([])
    assert rendered["image"].shape == (0, 3, 125, 125)
    assert rendered["outside_charge"].shape == rendered["saturated"].shape == (0, 3)


def test_an_event_looks_the_same_whatever_its_batch():
    generator = np.random.default_rng(5)
    places = generator.integers(0, 500, (11, 2, 400))
    charges = generator.uniform(0, 99, (11, 400))
    events = [pixel_event(n, np.arange(400) % 2, *places[n], charges[n]) for n in range(11)]
    view = ImageView(View(crop="centroid"), box_detector())
    together = view.render(events)
    for number, event in enumerate(events):
        for name, array in view.render([event]).items():
            assert (array[0] == together[name][number]).all()
