"""The picture of explained events."""

import numpy as np
from matplotlib.image import imread

from hpc_nuvlm.report.explanations import Example, _band_outline, plot_examples


def draw_example(num_views: int, named: dict) -> Example:
    image = np.zeros((num_views, 40, 40), np.uint8)
    image[:, 5:30, 20] = 200
    planes = tuple("UVZ"[:num_views])
    lines = (("written", "What stands out is a $muon track. \x06 物 " * 12), ("stated", ""))
    return Example("right: $event", image, planes, named, 3.0, {"U": (12, 50, 75, 50)}, lines)


def test_a_picture_is_made_of_events_with_and_without_a_region_and_of_other_detectors(tmp_path):
    plot_examples(tmp_path / "examples.png", [draw_example(3, {"U": (12, 50, 75, 52)}), draw_example(1, {})])
    picture = imread(tmp_path / "examples.png")
    assert picture.shape[0] > 500 and picture[..., :3].std() > 0.05
    colored = np.ptp(picture[..., :3], axis=2) > 0.3
    assert colored.any() and list(tmp_path.iterdir()) == [tmp_path / "examples.png"]


def test_the_outline_is_a_half_width_away_from_the_line_all_around():
    begin, end = np.array([10.5, 20.5]), np.array([60.5, 80.5])
    columns, rows = _band_outline((10, 20, 60, 80), 4.0)
    steps = np.linspace(0, 1, 5001)[:, None]
    line = begin + steps * (end - begin)
    for row, column in zip(rows, columns):
        assert abs(np.hypot(*(line - (row, column)).T).min() - 4.0) < 1e-3
    assert (rows[0], columns[0]) == (rows[-1], columns[-1])
