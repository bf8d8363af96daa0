"""Panels of a degradation study, as a picture and as a table."""

import io

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from hpc_nuvlm.metrics import Estimate
from hpc_nuvlm.report.degradation import Measured, Panel, degradation_table, plot_degradation

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow


def measured(value: float) -> Measured:
    return Measured(Estimate(value, value - 0.05, value + 0.05), 0.03, 100)


def panels(*runs: str) -> list[Panel]:
    curves = {run: tuple(measured(0.9 - 0.1 * i - 0.2 * j) for j in range(3)) for i, run in enumerate(runs)}
    return [
        Panel("Resolution", "pixels", (1.0, 2.0, 4.0), 1.0, curves, doubling=True),
        Panel("Dead rows", "fraction", (0.0, 0.1, 0.2), 0.0, curves),
        Panel("Other datasets", "", ("unchanged", "[b]", "a$b$c"), "unchanged", curves),
    ]


def shown(table) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(table)
    return text.getvalue()


def test_the_table_has_a_row_for_each_level_and_shows_names_as_they_are():
    lines = shown(degradation_table(panels("cnn", "[red]vlm"), "events")).splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert [row[:2] for row in rows] == [
        ["Resolution", "1"],
        ["", "2"],
        ["", "4"],
        ["Dead rows", "0"],
        ["", "0.1"],
        ["", "0.2"],
        ["Other datasets", "unchanged"],
        ["", "[b]"],
        ["", "a$b$c"],
    ]
    assert rows[1][2:] == ["0.700 [0.650, 0.750]", "0.030", "0.600 [0.550, 0.650]", "0.030"]
    assert "[red]vlm" in lines[2]


@pytest.mark.parametrize("runs", [("one",), ("cnn", "_under", "a$b$c", *map(str, range(8)))])
def test_the_picture_holds_a_curve_for_each_run_whatever_its_name(tmp_path, runs):
    plot_degradation(tmp_path / "new" / "p.png", panels(*runs), "100 events of $x")
    picture = matplotlib.image.imread(tmp_path / "new" / "p.png")
    colours = {tuple(colour) for colour in np.rint(picture[..., :3].reshape(-1, 3)[::7] * 255).astype(int)}
    # #0072B2 of the first run; #D55E00 of the second
    assert (0, 0x72, 0xB2) in colours and ((0xD5, 0x5E, 0) in colours) == (len(runs) > 1)


def test_a_score_without_an_interval_is_drawn_and_told(tmp_path):
    undefined = Measured(Estimate(0.5, None, None), 0.1, 1)
    panel = Panel("Gain", "factor", (0.5, 1.0), 1.0, {"run": (undefined, undefined)})
    plot_degradation(tmp_path / "p.png", [panel], "1 event")
    assert "0.500 " in shown(degradation_table([panel], "1 event"))
