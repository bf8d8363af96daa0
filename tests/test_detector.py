import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from hpc_nuvlm.detector import detector_folder, detector_names, load_detector, parse_detector
from hpc_nuvlm.errors import ConfigError

FOLDER = Path(__file__).parent.parent / "configs" / "detectors"


@pytest.fixture
def fields() -> dict:
    return yaml.safe_load((FOLDER / "dune_fd_cvn.yaml").read_text())


@pytest.mark.parametrize("name", detector_names(FOLDER))
def test_every_shipped_detector_loads_with_unit_axes_at_right_angles(name):
    detector = load_detector(name, detector_folder())
    rows, columns = detector.projections[:, 0], detector.projections[:, 1]
    assert np.allclose(np.linalg.norm(detector.projections, axis=-1), 1)
    assert np.allclose((rows * columns).sum(1), 0)


def test_a_wire_plane_measures_across_its_wires():
    """Moving along a wire changes no row; moving across it by one pitch changes one row."""
    detector = load_detector("dune_fd_cvn", FOLDER)
    for plane, angle_deg in zip(detector.planes, (35.7, -35.7, 0.0)):
        angle = math.radians(angle_deg)
        along, across = (
            np.array([0, math.cos(angle), math.sin(angle)]),
            np.array([0, -math.sin(angle), math.cos(angle)]),
        )
        assert np.dot(plane.row_axis, along) == pytest.approx(0)
        assert np.dot(plane.row_axis, across) == pytest.approx(1)


def test_the_published_detector_fits_its_image():
    """512 pixels of 5 mm hold 2 m of height and, up to a metre and a half around the vertex, its length."""
    detector = load_detector("paper_lartpc", FOLDER)
    size_mm = np.subtract(detector.volume_high_mm, detector.volume_low_mm)
    assert size_mm.tolist() == [2000, 2000, 7000] and (detector.pitches_mm == 5).all()
    assert detector.num_rows * 5 > size_mm[0]


def test_mirroring_up_and_down_exchanges_the_inclined_wires():
    detector = load_detector("dune_fd_cvn", FOLDER)
    symmetry = next(symmetry for symmetry in detector.symmetries if symmetry.name == "vertical")
    mirrored = detector.projections * np.array([1, -1, 1])
    assert np.allclose(mirrored, detector.projections[list(symmetry.permutation)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": None, "planes": None}, "NoneType"),
        ({"num_rows": "many"}, "many"),
        ({"quantum_mm": 0}, "must be positive"),
        (
            {"planes": [{"name": "A", "row_axis": [1, 1, 0], "row_pitch_mm": 5, "column_pitch_mm": 5}]},
            "must have length 1",
        ),
        ({"symmetries": [{"name": "s", "permutation": [0, 0, 1]}]}, "must name each of 3 views once"),
    ],
)
def test_a_detector_that_cannot_be_used_is_refused(fields, change, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse_detector("bad", fields | change, where="bad.yaml")
    assert str(error.value).startswith("bad.yaml: ")


def test_an_unknown_detector_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="no such detector 'dun'; there are dune_fd_cvn, paper_lartpc"):
        load_detector("dun", FOLDER)
