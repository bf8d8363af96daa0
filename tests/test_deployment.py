"""nuvlm export-onnx: a file is published if it does what the run does, and only then."""

import sys

import numpy as np
import onnx
import pytest
import torch

from hpc_nuvlm import cli
from hpc_nuvlm.config import Run, parse_run
from hpc_nuvlm.deployment import INT8, ONNX, TORCH, Form, compare, export_onnx, int8_path, judge
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.metrics import Estimate
from hpc_nuvlm.models import build_task, onnx_export
from hpc_nuvlm.training import train

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(drawn_dataset, tmp_path_factory) -> Run:
    torch.set_num_threads(1)
    fields = {
        "folder": str(tmp_path_factory.mktemp("exported") / "run"),
        "data": {"dataset": str(drawn_dataset)},
        "view": {"size": [60, 60], "pool": 8, "full_scale": 1020},
        "model": {"family": "cnn", "widths": [8, 16], "hidden": 8},
        "batch": {"global_size": 8, "per_rank": 4},
        "optimizer": {"lr": 1e-2},
        "engine": {"kind": "plain", "threads": 1},
        "schedule": {"epochs": 8},
    }
    made = parse_run(fields, where="test")
    assert train(made, World(0, 1, 0, 1, torch.device("cpu")), StopRequest()) == 0
    return made


def nuvlm(monkeypatch, capsys, *arguments) -> tuple[int, str]:
    """Exit code and output of the command in this process."""
    monkeypatch.setattr(sys, "argv", ["nuvlm", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
        raise SystemExit(0)
    said = capsys.readouterr()
    return ended.value.code or 0, said.out + said.err


@pytest.mark.slow
def test_the_command_writes_both_files_and_says_what_they_give(monkeypatch, capsys, run, tmp_path):
    out = tmp_path / "new" / "model.onnx"
    code, said = nuvlm(monkeypatch, capsys, "export-onnx", run.folder, "--out", out, "--int8", "--events", "6")
    assert code == 0, said
    assert {path.name for path in out.parent.iterdir()} == {"model.onnx", "model.int8.onnx"}
    assert "6 validation events" in said and "same class" in said and all(n in said for n in (TORCH, ONNX, INT8))
    facts = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert facts["run"] == "run" and facts["detector"] == "dune_fd_cvn" and '"pool": 8' in facts["view"]


def test_a_file_of_other_weights_is_not_published(monkeypatch, capsys, run, tmp_path):
    out = tmp_path / "model.onnx"
    out.write_text("what lay there")
    write = onnx_export.write_onnx

    def write_another(task, *arguments):
        write(build_task(run.model_copy(update={"seed": 99}), 3), *arguments)

    monkeypatch.setattr(onnx_export, "write_onnx", write_another)
    code, said = nuvlm(monkeypatch, capsys, "export-onnx", run.folder, "--out", out)
    assert code == 1 and "not written: onnx float32: a probability differs by" in said
    assert out.read_text() == "what lay there" and list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_8_bits_that_were_calibrated_on_nothing_are_not_published(monkeypatch, run, tmp_path):
    write = onnx_export.write_int8

    def calibrate_on_blank(source, path, pictures, facts):
        write(source, path, [np.zeros_like(image) for image in pictures], facts)

    monkeypatch.setattr(onnx_export, "write_int8", calibrate_on_blank)
    _, failures = export_onnx(run.folder, tmp_path / "model.onnx", int8=True, num_events=None)
    assert len(failures) == 1 and "of events keep their class, limit 98%" in failures[0]
    assert list(tmp_path.iterdir()) == []


def form(name: str, probabilities: list) -> Form:
    return Form(name, 1, np.array(probabilities), Estimate(1.0, 1.0, 1.0), 1.0)


def test_the_limits_are_judged_form_by_form():
    reference = form(TORCH, [[0.6, 0.4]] * 100)
    assert judge([reference, form(ONNX, [[0.60005, 0.39995]] * 100)]) == []
    assert len(judge([reference, form(ONNX, [[0.6002, 0.3998]] * 100)])) == 1
    assert len(judge([reference, form(ONNX, [[np.nan, np.nan]] * 100)])) == 1
    assert judge([reference, form(INT8, [[0.7, 0.3]] * 98 + [[0.3, 0.7]] * 2)]) == []
    assert len(judge([reference, form(INT8, [[0.7, 0.3]] * 97 + [[0.3, 0.7]] * 3)])) == 1


def test_all_forms_see_the_same_events_in_order():
    seen = {name: [] for name in "ab"}
    batches = [(np.full((n, 1, 2, 2), n, np.uint8), np.arange(n) % 2) for n in (4, 3)]

    def classify(name):
        return lambda image: seen[name].append(int(image[0, 0, 0, 0])) or np.tile([[0.3, 0.7]], (len(image), 1))

    forms = compare({name: classify(name) for name in "ab"}, dict.fromkeys("ab", 1), batches, ("x", "y"))
    # The first batch once more, to warm up
    assert seen == {"a": [4, 4, 3], "b": [4, 4, 3]}
    assert forms[0].probabilities.shape == (7, 2) and forms[0].accuracy.value == pytest.approx(3 / 7)


def test_the_8_bit_file_lies_beside_the_other(tmp_path):
    assert int8_path(tmp_path / "a.b.onnx") == tmp_path / "a.b.int8.onnx"
