"""What evaluation makes of predictions: where it calibrates, what it prints and writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from hpc_nuvlm.calibration import Judged, Options, calibrate
from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine.predict import Predicted
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.evaluation import (
    Evaluated,
    Place,
    Request,
    calibration_place,
    describe,
    predictions_of,
    read_truths,
    show,
    write_report,
)
from hpc_nuvlm.metrics import score
from hpc_nuvlm.slices import by_mode, score_slices

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

CLASSES = ("nue_cc", "numu_cc", "nc")
SCORED = Place(Path("datasets/dune"), "val")


def predicted(num_events: int, seed: int, name: str) -> Predicted:
    generator = np.random.default_rng(seed)
    truth = np.arange(num_events) % 3
    logits = generator.normal(size=(num_events, 3)) + np.eye(3)[truth]
    keys = [f"{name}-{i}" for i in range(num_events)]
    return Predicted(keys, truth, log_softmax(logits, axis=1), None, np.zeros(num_events))


def evaluated(seed: int, calibrates: bool = True) -> Evaluated:
    scored, reference = predicted(60, seed, "event"), predicted(60, seed + 10, "val")
    known, asked = (Judged(tuple(p.keys), p.truth, p.log_probability) for p in (reference, scored))
    calibrated, scores = calibrate(known, asked, CLASSES, Options()) if calibrates else (None, None)
    predictions = predictions_of(scored, CLASSES, calibrated)
    columns = (predictions.truth, predictions.probabilities, CLASSES)
    slices = {"energy": {}, "mode": score_slices(*columns, by_mode(["qe", "dis"] * 30))}
    place = Place(Path("datasets/other"), "val") if calibrates else None
    return Evaluated(predictions, score(*columns), slices, place, scores)


def test_calibration_is_fitted_where_the_run_validated_unless_said_otherwise(run_fields):
    run = parse_run(run_fields, "test")
    assert calibration_place("own", run) == Place(run.data.dataset, "val")
    assert calibration_place("none", run) is None
    # A folder's name may hold a colon
    assert calibration_place("data/a:b:dev", run) == Place(Path("data/a:b"), "dev")
    for text in ("dataset", "dataset:", ":val"):
        with pytest.raises(ConfigError, match=f"--calibrate {text}: write it as DATASET:SPLIT"):
            calibration_place(text, run)


def test_truths_come_in_the_order_of_the_split(drawn_dataset):
    truths = read_truths(Place(drawn_dataset, "test"))
    assert [truth.label for truth in truths] == ["nue_cc", "numu_cc", "nc"] * 4


def test_everything_is_told_as_plain_json():
    fields = json.loads(json.dumps(describe("cnn", evaluated(1), Request(SCORED, Options())), allow_nan=False))
    assert (fields["run"], fields["dataset"], fields["split"]) == ("cnn", "datasets/dune", "val")
    assert (fields["calibration"]["dataset"], fields["calibration"]["split"]) == ("datasets/other", "val")
    assert {"temperature", "ece_before", "ece_after", "prior_corrected", "conformal"} < set(fields["calibration"])
    assert fields["slices"]["mode"]["qe"]["num_events"] == 30
    assert describe("cnn", evaluated(1, calibrates=False), Request(SCORED, Options()))["calibration"] is None


def test_a_terminal_shows_headlines_and_markdown_all_tables(capsys, tmp_path):
    request = Request(SCORED, Options(), markdown=tmp_path / "tables.md")
    show({"cnn": evaluated(1), "vlm": evaluated(2)}, request)
    said, written = capsys.readouterr().out, request.markdown.read_text()
    titles = ["Scores, accuracy", "Calibration", "Paired on 60 events", "By class", "By interaction mode"]
    assert [title in said for title in titles] == [True, True, True, False, False]
    places = [written.index(f"**{title}") for title in titles]
    assert places == sorted(places)
    assert "true neutrino energy" not in written, "truth told no energy"
    assert written.count("\n| cnn |") == 1 + 1 + 1 + 3 and written.count("| qe | cnn |") == 1


def test_one_run_without_calibration_has_one_table(capsys):
    show({"cnn": evaluated(1, calibrates=False)}, Request(SCORED, Options()))
    said = capsys.readouterr().out
    assert "Scores, accuracy" in said and "Calibration" not in said and "Paired" not in said


def test_json_takes_the_place_of_the_tables(capsys):
    show({"cnn": evaluated(1)}, Request(SCORED, Options(), as_json=True))
    fields = json.loads(capsys.readouterr().out)["cnn"]
    assert fields["scores"]["num_events"] == 60 and fields["calibration"]["num_events"] == 60


def test_a_report_holds_scores_predictions_and_pictures(tmp_path):
    result = evaluated(1)
    write_report(tmp_path / "report", "cnn", result, describe("cnn", result, Request(SCORED, Options())))
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"predictions.parquet", "scores.json", "confusion.png", "roc.png", "reliability.png"}
    written = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert written["calibration"]["temperature"] == result.calibration.temperature
