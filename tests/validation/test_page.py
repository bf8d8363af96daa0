"""The page: made by one function, at a fraction of its statistics, from real checks; beside Geant4 where files are."""

import json

import numpy as np
import pytest

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.report.validation import Row
from hpc_nuvlm.validation import geant4, page
from hpc_nuvlm.validation.gun import Gun


@pytest.mark.slow
def test_all_checks_make_a_page_and_none_is_far_off(tmp_path):
    """A twentieth of the particles: rows may miss by their larger errors, but not by five of them beyond the limit."""
    page.validate(tmp_path, None, "test", Gun(scale=0.05), tell=lambda text: None)
    rows = json.loads((tmp_path / "validation.json").read_text())["rows"]
    assert {row["section"] for row in rows} >= {"Ranges", "Electromagnetic showers", "Hadrons", "Energy"}
    for row in rows:
        assert abs(row["value"] - row["reference"]) < row["allowed"] + 5 * row["error"], row
    assert len(list((tmp_path / "validation").glob("*.png"))) == 8


def test_a_row_that_fails_makes_the_command_fail(tmp_path, monkeypatch):
    row = Row("Ranges", "a range", 2.0, 0.1, 1.0, 0.1, "mm", "nobody")
    monkeypatch.setattr(page, "CHECKS", {"one": lambda gun: ([row], [])})
    heard = []
    assert not page.validate(tmp_path, None, "test", tell=heard.append)
    assert heard == ["one: 0 of 1 rows pass"]


def test_a_folder_without_geant4_files_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"electron\.edepsim\.root"):
        geant4.compare(tmp_path, Gun())


@pytest.mark.slow
def test_our_electrons_spread_their_energy_as_those_of_geant4(test_data):
    comparisons, panels = geant4.compare(test_data / "edepsim_larndsim", Gun(scale=0.2, least=3))
    found = {(row.sample.split(" of ")[0].split(",")[0], row.quantity): row for row in comparisons}
    for quantity in ("mean depth", "length (rms)", "width (rms)", "share within 90 mm", "separate blobs"):
        row = found["electrons", quantity]
        assert row.p_value > 0.005, row
        error = np.hypot(row.ours[1], row.theirs[1])
        assert abs(row.ours[0] - row.theirs[0]) < 4 * error, row
    assert len(panels) == 4
    assert abs(found["cosmic muons that cross the argon", "dE/dx in 100 mm"].ours[0] - 2.37) < 0.2
