"""Page of a validation: verdicts, and that what is written holds what was measured."""

import json

import numpy as np

from hpc_nuvlm.report.validation import Comparison, Curve, Page, Panel, Row, number, row_cells, write_page


def row(value: float, error: float = 0.01) -> Row:
    return Row("Ranges", "a | range", value, error, 10.0, 0.3, "cm", "a table")


def page(*rows: Row) -> Page:
    x = np.array([1.0, 2.0, 3.0])
    curves = (
        Curve("points", x, x, 0.1 * x),
        Curve("line", x, x, None, "line"),
        Curve("steps", np.arange(4.0), x, 0.1 * x, "steps"),
    )
    panel = Panel("ranges", "Ranges", "x", "y", curves, log_x=True, log_y=True)
    comparison = Comparison("electrons", "energy", "MeV", (1.0, 0.1), (1.2, 0.1), 0.25, 0.03)
    return Page("nuvlm simulate-validate", rows, (panel,), (comparison,), ("How it was done.",), ("Why it differs.",))


def test_a_row_passes_up_to_the_allowed_deviation_and_not_beyond():
    assert row(10.29).passed and row(9.71).passed
    assert not row(10.31).passed and not row(9.69).passed


def test_a_value_that_is_not_a_number_fails():
    assert not row(float("nan")).passed


def test_one_failing_row_fails_the_page():
    assert page(row(10.0)).passed
    assert not page(row(10.0), row(11.0)).passed


def test_a_row_says_when_its_error_is_too_large_to_decide():
    assert "(few)" in row_cells(row(10.0, 0.2))[1]
    assert "(few)" not in row_cells(row(10.0, 0.09))[1]


def test_the_page_is_written_for_repository_browser_and_programs(tmp_path):
    write_page(tmp_path, page(row(10.1), row(12.0)))
    markdown, html = (tmp_path / "validation.md").read_text(), (tmp_path / "validation.html").read_text()
    for text in (markdown, html):
        for part in (
            "1 of 2 rows pass",
            "FAIL",
            "a table",
            "electrons",
            "0.250",
            "Why it differs.",
            "How it was done.",
        ):
            assert part in text
    assert "![Ranges](validation/ranges.png)" in markdown and r"a \| range" in markdown
    assert "data:image/png;base64," in html and 'src="validation/' not in html
    assert (tmp_path / "validation" / "ranges.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((tmp_path / "validation.json").read_text())["rows"]
    assert [entry["passed"] for entry in rows] == [True, False]


def test_numbers_are_written_without_needless_exponents():
    assert [number(v) for v in (1758.0, 0.9833, 1.0e-9)] == ["1758", "0.9833", "1e-09"]
    assert number(21969.8) == "21970"
