"""Files, tables and pictures of an evaluation."""

import io
import json
import stat
import subprocess
import sys
from dataclasses import replace

import matplotlib.image
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from hpc_nuvlm.calibration import Calibrated, Judged, Options, calibrate
from hpc_nuvlm.errors import FormatError, UserError
from hpc_nuvlm.metrics import apply_temperature, score
from hpc_nuvlm.paired import delong
from hpc_nuvlm.report import class_title
from hpc_nuvlm.report.plots import plot_confusion, plot_reliability, plot_roc
from hpc_nuvlm.report.predictions import Predictions, published, read_predictions, write_predictions, write_scores
from hpc_nuvlm.report.tables import (
    Sheet,
    as_markdown,
    as_table,
    calibrations,
    comparison,
    paired,
    per_class,
    per_slice,
)

CLASSES = ("nue_cc", "numu_cc", "nc")


def simulate(num_events: int = 30, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> Predictions:
    truth = np.arange(num_events) % len(classes)
    logits = np.random.default_rng(seed).normal(size=(num_events, len(classes))) + np.eye(len(classes))[truth]
    ids = tuple(f"run1-event{i}" for i in range(num_events))
    return Predictions(ids, truth, apply_temperature(logits, 1.0), classes)


def calibrated(predictions: Predictions) -> Predictions:
    sets = predictions.probabilities > 0.3
    # An empty set, and one of all classes
    sets[0], sets[1] = False, True
    return replace(predictions, calibrated=Calibrated(predictions.probabilities[::-1], sets, ~sets))


def scores_of(predictions: Predictions):
    return score(predictions.truth, predictions.probabilities, predictions.classes, num_resamples=20)


def shown(table) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(table)
    return text.getvalue()


def test_calibrated_probabilities_and_sets_are_read_back_as_written(tmp_path):
    wrote = calibrated(simulate())
    write_predictions(tmp_path / "p.parquet", wrote)
    read = read_predictions(tmp_path / "p.parquet")
    for field in ("probabilities", "sets", "sets_by_class"):
        np.testing.assert_array_equal(getattr(read.calibrated, field), getattr(wrote.calibrated, field))
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert list(rows[0])[8:] == [*(f"calibrated_{name}" for name in CLASSES), "set", "set_by_class"]
    assert [row["set"] for row in rows[:2]] == ["", "nue_cc|numu_cc|nc"]
    assert [row["set_by_class"] for row in rows[:2]] == ["nue_cc|numu_cc|nc", ""]


def test_calibrated_columns_that_are_incomplete_or_no_probabilities_are_refused(tmp_path):
    path = tmp_path / "p.parquet"
    write_predictions(path, calibrated(simulate()))
    table = pq.read_table(path)
    for change, message in [
        (table.drop_columns("calibrated_nc"), r"missing .*calibrated_nc: double"),
        (table.drop_columns("set"), r"missing .*set: string"),
        (with_column(table, "set", ["muon"] * 30), "no class 'muon'"),
        (with_column(table, "calibrated_nc", [0.9] * 30), r"sum of probabilities\[0\]"),
    ]:
        pq.write_table(change, path)
        with pytest.raises(FormatError, match=message):
            read_predictions(path)


@pytest.mark.parametrize("complete", [True, False])
def test_predictions_are_read_back_as_written(tmp_path, complete):
    wrote = simulate()
    if complete:
        wrote = replace(wrote, text=("a νe", None, *["x"] * 28), time_s=np.linspace(0, 1, 30))
    # A folder name with = must not become a column
    path = tmp_path / "lr=1e-4" / "predictions.parquet"
    write_predictions(path, wrote)
    read = read_predictions(path)
    assert (read.ids, read.classes, read.text) == (wrote.ids, wrote.classes, wrote.text)
    np.testing.assert_array_equal(read.truth, wrote.truth)
    np.testing.assert_array_equal(read.probabilities, wrote.probabilities)
    np.testing.assert_equal(read.time_s, wrote.time_s)
    assert scores_of(read) == scores_of(wrote)


def test_the_file_can_be_understood_without_this_package(tmp_path):
    write_predictions(tmp_path / "p.parquet", simulate(2))
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert list(rows[0]) == ["id", "truth", "p_nue_cc", "p_numu_cc", "p_nc", "predicted", "text", "time_s"]
    assert [row["truth"] for row in rows] == ["nue_cc", "numu_cc"]
    for row in rows:
        assert row["predicted"] == max(CLASSES, key=lambda name: row[f"p_{name}"])


def damaged(tmp_path, change):
    write_predictions(tmp_path / "p.parquet", simulate())
    pq.write_table(change(pq.read_table(tmp_path / "p.parquet")), tmp_path / "p.parquet")
    return tmp_path / "p.parquet"


def with_column(table: pa.Table, name: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns("p_nc"), r"missing or of another type: \[.*p_nc: double"),
        (lambda table: with_column(table, "id", range(30)), r"missing or of another type: \[.*id: string"),
        (lambda table: table.append_column("note", pa.nulls(30)), "not expected: .*note"),
        (lambda table: table.replace_schema_metadata(None), "metadata 'nuvlm_classes' is missing"),
        (lambda table: with_column(table, "truth", ["muon"] * 30), "'truth' holds {'muon'}"),
        (lambda table: with_column(table, "predicted", [None] * 30).cast(table.schema), "'predicted' holds {None}"),
        (lambda table: with_column(table, "p_nc", [0.9] * 30), r"sum of probabilities\[0\]"),
        (
            lambda table: with_column(table, "predicted", table["predicted"].to_pylist()[::-1]),
            "event 'run1-event.*changed apart",
        ),
    ],
)
def test_a_file_that_is_not_as_promised_is_refused(tmp_path, change, message):
    path = damaged(tmp_path, change)
    with pytest.raises(FormatError, match=message) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_missing_or_not_parquet_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_predictions(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").write_text("id,truth\n")
    with pytest.raises(FormatError, match="not a Parquet file"):
        read_predictions(tmp_path / "p.parquet")


def test_predictions_that_do_not_fit_together_are_refused():
    good = simulate(3)
    with pytest.raises(UserError, match=r"lengths are \{'ids': 2\}"):
        replace(good, ids=good.ids[:2])
    with pytest.raises(UserError, match="'time_s': 1"):
        replace(good, time_s=np.zeros(1))
    with pytest.raises(UserError, match="'a' occurs 2 times"):
        replace(good, ids=("a", "b", "a"))
    with pytest.raises(UserError, match="each column needs a class"):
        replace(good, classes=("nue_cc", "nc"))


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk"), published(path) as file:
        file.write(b"half of the")
        raise RuntimeError("disk")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_published_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "other").write_text("")
    with published(tmp_path / "new") as file:
        file.write(b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("other", "new")}
    assert len(modes) == 1


def test_scores_are_written_as_json_with_what_was_scored(tmp_path):
    scores = scores_of(simulate())
    write_scores(tmp_path / "scores.json", scores, {"run": "ντ", "split": "test", "time_s": None})
    fields = json.loads((tmp_path / "scores.json").read_text())
    assert (fields["run"], fields["split"], fields["time_s"]) == ("ντ", "test", None)
    assert fields["scores"]["accuracy"]["value"] == scores.accuracy.value
    assert fields["scores"] == json.loads(json.dumps(scores.to_json()))


@pytest.mark.parametrize(
    ("extra", "message"),
    [({"scores": 1}, "'scores', which is taken"), ({"a": float("nan")}, "None for an unknown"), ({"a": {1}}, "JSON")],
)
def test_extra_fields_that_json_cannot_hold_are_refused(tmp_path, extra, message):
    with pytest.raises(UserError, match=message):
        write_scores(tmp_path / "scores.json", scores_of(simulate()), extra)
    assert not list(tmp_path.iterdir())


def test_a_comparison_has_a_row_for_each_run_and_a_dash_for_what_is_undefined():
    four = simulate(40, classes=("nue_cc", "numu_cc", "nutau_cc", "nc"))
    runs = {"vlm [bold]": scores_of(simulate()), "cnn|a": scores_of(four)}
    text = shown(as_table(comparison(runs)))
    accuracy = runs["vlm [bold]"].accuracy
    assert "vlm [bold]" in text and "ντ CC" in text and "–" in text
    assert f"{accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]" in text
    title, _, header, rule, first, second = as_markdown(comparison(runs)).splitlines()
    assert title == "**Scores, accuracy with its 95 % interval**"
    assert header.count("|") == rule.count("|") == first.count("|") == 12
    assert second.startswith(r"| cnn\|a | 40 |")
    cells = [cell.strip() for cell in first.split("|")]
    assert cells[6] == f"{runs['vlm [bold]'].macro_auc.value:.3f}" and cells[-2] == "–"


def test_a_comparison_of_no_run_is_refused():
    with pytest.raises(UserError, match="at least one"):
        comparison({})


def test_the_paired_table_tests_every_pair_of_runs():
    truth = np.zeros(40, int)
    ids = tuple(map(str, range(40)))

    def right_up_to(number):
        probabilities = np.where(np.arange(40)[:, None] < number, [[0.9, 0.1]], [[0.1, 0.9]])
        return Predictions(ids, truth, probabilities, ("nue_cc", "nc"))

    sheet = paired({"a": right_up_to(40), "b": right_up_to(36), "c": right_up_to(5)})
    text = shown(as_table(sheet))
    cells = [
        [cell.strip() for cell in line.strip("│\n").split("│")] for line in text.splitlines() if line.startswith("│")
    ]
    # Exact: two-sided p of 4 to 0 is 2 / 2^4. Truth holds one class alone, so there is no AUC
    assert cells == [
        ["a", "b", "4", "0", "0.1250", "–", "–"],
        ["a", "c", "35", "0", "< 0.0001", "–", "–"],
        ["b", "c", "31", "0", "< 0.0001", "–", "–"],
    ]
    assert sheet.note == "p is not corrected for the number of tests, 9"


def test_the_paired_table_gives_the_difference_of_each_area_with_its_p_value():
    a, b = simulate(90, seed=1), simulate(90, seed=2)
    found = delong(a.truth == 2, a.probabilities[:, 2], b.probabilities[:, 2])
    assert paired({"a": a, "b": b}).rows[0][-1] == f"{found.difference:+.3f} ({found.p_value:.4f})"


def test_a_table_by_class_counts_what_was_selected_and_what_was_found():
    scores = score(np.array([0] * 8 + [1] * 4), np.repeat([[0.8, 0.2], [0.3, 0.7]], [6, 6], 0), ("nue_cc", "nc"))
    nue, nc = per_class({"cnn": scores}).rows
    # Wilson's intervals of 6 of 6, 6 of 8, 4 of 6 and 4 of 4
    assert nue == ["cnn", "νe CC", "8", "1.000 [0.610, 1.000]", "0.750 [0.409, 0.929]", "0.857", "0.875"]
    assert nc[3:5] == ["0.667 [0.300, 0.903]", "1.000 [0.510, 1.000]"]


def test_a_table_by_slice_sets_the_runs_of_a_slice_side_by_side():
    one, two = scores_of(simulate(30, seed=1)), scores_of(simulate(60, seed=2))
    sheet = per_slice("mode", {"cnn": {"qe": one, "dis": two}, "vlm": {"qe": two}})
    assert [row[:3] for row in sheet.rows] == [["qe", "cnn", "30"], ["qe", "vlm", "60"], ["dis", "cnn", "60"]]
    assert sheet.header[:2] == ["mode", "run"] and {len(row) for row in sheet.rows} == {len(sheet.header)}
    assert per_slice("mode", {"cnn": {}}) is None


@pytest.mark.parametrize("priors", ["none", "balanced"])
def test_a_table_of_calibrations_says_before_and_after(priors):
    judged = [
        Judged(tuple(f"{name}{i}" for i in range(99)), p.truth, np.log(p.probabilities))
        for name, p in (("val", simulate(99, seed=3)), ("test", simulate(99, seed=4)))
    ]
    _, scores = calibrate(*judged, CLASSES, Options(priors, coverage=0.8))
    sheet = calibrations({"cnn": scores})
    (row,) = sheet.rows
    assert row[:3] == ["cnn", "99 events", f"{scores.temperature:.2f}"] and len(row) == len(sheet.header)
    before, after = scores.before.expected_calibration_error, scores.after.expected_calibration_error
    assert row[3] == f"{before:.3f} → {after:.3f}"
    assert row[-4].startswith(f"{scores.conformal.coverage:.3f} [{scores.conformal.low:.3f}")
    assert "80 % of the events" in sheet.note
    assert ("priors moved" in " ".join(sheet.header)) == (priors != "none")


def test_the_note_of_a_table_stands_below_it_in_markdown():
    assert as_markdown(Sheet("t", ["a", "b"], [["1", "2"]], "n")) == (
        "**t**\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n\nn.\n"
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (simulate(29), "30 events, 'b' has 29 events"),
        (replace(simulate(), ids=tuple(reversed(simulate().ids))), "event 0 with id 'run1-event0' .* 'run1-event29'"),
        (replace(simulate(), truth=np.roll(simulate().truth, 1)), "truth 'nue_cc', 'b' has .* truth 'nc'"),
        (simulate(classes=("numu_cc", "nue_cc", "nc")), "classes"),
    ],
)
def test_runs_that_scored_other_events_are_not_paired(other, message):
    with pytest.raises(UserError, match=message):
        paired({"a": simulate(), "b": other})


def test_a_paired_test_of_one_run_is_refused():
    with pytest.raises(UserError, match="at least two"):
        paired({"a": simulate()})


def test_classes_are_shown_as_physicists_write_them():
    assert [class_title(name) for name in ("nue_cc", "numu_cc", "nutau_cc", "nc", "cosmic")] == [
        "νe CC",
        "νμ CC",
        "ντ CC",
        "NC",
        "cosmic",
    ]


def one_class_only() -> Predictions:
    several = simulate(12, classes=("nue_cc", "cosmic"))
    return replace(several, truth=np.zeros(12, int))


@pytest.mark.parametrize("predictions", [simulate(60), one_class_only()], ids=["three classes", "one class in truth"])
def test_each_picture_is_one_png_with_something_on_it(tmp_path, predictions):
    scores = scores_of(predictions)
    plot_confusion(tmp_path / "confusion.png", scores, "cnn $a_b")
    plot_roc(tmp_path / "roc.png", predictions, scores, "cnn $a_b")
    plot_reliability(tmp_path / "reliability.png", predictions, scores, "cnn $a_b")
    pictures = sorted(tmp_path.iterdir())
    assert [path.name for path in pictures] == ["confusion.png", "reliability.png", "roc.png"]
    for path in pictures:
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 800
        assert len(np.unique(pixels[..., 0])) > 20


def test_the_reliability_picture_shows_calibration_beside_what_it_started_from(tmp_path):
    alone = simulate(60)
    for name, predictions in (("alone", alone), ("both", calibrated(alone))):
        plot_reliability(tmp_path / name, predictions, scores_of(predictions), "cnn")
    one, two = (matplotlib.image.imread(tmp_path / name, format="png").shape for name in ("alone", "both"))
    assert two[0] == one[0] and two[1] == 2 * one[1]


@pytest.mark.slow
def test_tables_load_no_matplotlib_and_plots_no_pyplot_which_may_look_for_a_display():
    check = (
        "import sys, hpc_nuvlm.report.tables; assert not {'matplotlib', 'torch'} & set(sys.modules)\n"
        "import hpc_nuvlm.report.plots; assert not {'matplotlib.pyplot', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
