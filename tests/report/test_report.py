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

from hpc_nuvlm.errors import FormatError, UserError
from hpc_nuvlm.metrics import apply_temperature, score
from hpc_nuvlm.report import class_title
from hpc_nuvlm.report.plots import plot_confusion, plot_reliability, plot_roc
from hpc_nuvlm.report.predictions import Predictions, published, read_predictions, write_predictions, write_scores
from hpc_nuvlm.report.tables import comparison_markdown, comparison_table, paired_table

CLASSES = ("nue_cc", "numu_cc", "nc")


def simulate(num_events: int = 30, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> Predictions:
    truth = np.arange(num_events) % len(classes)
    logits = np.random.default_rng(seed).normal(size=(num_events, len(classes))) + np.eye(len(classes))[truth]
    ids = tuple(f"run1-event{i}" for i in range(num_events))
    return Predictions(ids, truth, apply_temperature(logits, 1.0), classes)


def scores_of(predictions: Predictions):
    return score(predictions.truth, predictions.probabilities, predictions.classes, num_resamples=20)


def shown(table) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(table)
    return text.getvalue()


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
    text = shown(comparison_table(runs))
    accuracy = runs["vlm [bold]"].accuracy
    assert "vlm [bold]" in text and "ντ CC" in text and "–" in text
    assert f"{accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]" in text
    header, rule, first, second = comparison_markdown(runs).splitlines()
    assert header.count("|") == rule.count("|") == first.count("|") == 12
    assert second.startswith(r"| cnn\|a | 40 |")
    cells = [cell.strip() for cell in first.split("|")]
    assert cells[6] == f"{runs['vlm [bold]'].macro_auc.value:.3f}" and cells[-2] == "–"


def test_a_comparison_of_no_run_is_refused():
    with pytest.raises(UserError, match="at least one"):
        comparison_table({})


def test_the_paired_table_tests_every_pair_of_runs():
    truth = np.zeros(40, int)
    ids = tuple(map(str, range(40)))

    def right_up_to(number):
        probabilities = np.where(np.arange(40)[:, None] < number, [[0.9, 0.1]], [[0.1, 0.9]])
        return Predictions(ids, truth, probabilities, ("nue_cc", "nc"))

    text = shown(paired_table({"a": right_up_to(40), "b": right_up_to(36), "c": right_up_to(5)}))
    cells = [
        [cell.strip() for cell in line.strip("│\n").split("│")] for line in text.splitlines() if line.startswith("│")
    ]
    # Exact: two-sided p of 4 to 0 is 2 / 2^4
    assert cells == [
        ["a", "b", "4", "0", "0.1250"],
        ["a", "c", "35", "0", "< 0.0001"],
        ["b", "c", "31", "0", "< 0.0001"],
    ]


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
        paired_table({"a": simulate(), "b": other})


def test_a_paired_test_of_one_run_is_refused():
    with pytest.raises(UserError, match="at least two"):
        paired_table({"a": simulate()})


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


@pytest.mark.slow
def test_tables_load_no_matplotlib_and_plots_no_pyplot_which_may_look_for_a_display():
    check = (
        "import sys, hpc_nuvlm.report.tables; assert not {'matplotlib', 'torch'} & set(sys.modules)\n"
        "import hpc_nuvlm.report.plots; assert not {'matplotlib.pyplot', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
