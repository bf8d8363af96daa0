"""ONNX files against the model that they were written from, run by another library."""

import json

import numpy as np
import onnx
import pytest
import torch

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.models import build_task, onnx_export
from hpc_nuvlm.models.onnx_export import in_onnxruntime, in_torch, require_libraries, write_int8, write_onnx

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

MODELS = {
    "cnn": {"family": "cnn", "widths": [8, 16], "hidden": 8},
    "an ensemble of cnns": {"family": "cnn", "widths": [8], "hidden": 8, "members": 2},
    "cvn": {"family": "cvn", "widths": [8, 16], "depths": [1, 1], "separate_stages": 1},
    "vit": {"family": "vit", "hidden": 24, "layers": 2},
}
FACTS = {"classes": json.dumps(["nue_cc", "numu_cc", "nc"]), "detector": "drawn"}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def build(run_fields: dict, model: dict):
    return build_task(parse_run(run_fields | {"view": {"size": [52, 44]}, "model": model}, where="test"), 3)


def draw_pictures(num_events: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shape = (num_events, 3, 52, 44)
    return (generator.integers(1, 256, shape) * (generator.random(shape) < 0.1)).astype(np.uint8)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "cnn" else pytest.mark.slow) for name in MODELS]
)
def test_the_file_gives_what_the_model_gives_for_any_number_of_events(run_fields, tmp_path, name):
    task = build(run_fields, MODELS[name])
    task.train()
    write_onnx(task, draw_pictures(1)[0], tmp_path / "model.onnx", FACTS)
    assert task.training, "the mode before is restored"
    classify = in_onnxruntime(tmp_path / "model.onnx")
    for num_events in (1, 2, 5):
        pictures = draw_pictures(num_events, seed=num_events)
        found = classify(pictures)
        assert found.shape == (num_events, 3) and found.sum(1) == pytest.approx(1, abs=1e-5)
        assert found == pytest.approx(in_torch(task)(pictures), abs=1e-5)


@pytest.mark.slow
def test_the_file_says_what_its_classes_are_and_is_one_file(run_fields, tmp_path):
    write_onnx(build(run_fields, MODELS["cnn"]), draw_pictures(1)[0], tmp_path / "model.onnx", FACTS)
    write_int8(tmp_path / "model.onnx", tmp_path / "int8.onnx", [draw_pictures(4)], FACTS | {"precision": "int8"})
    for name, facts in (("model.onnx", FACTS), ("int8.onnx", FACTS | {"precision": "int8"})):
        held = {entry.key: entry.value for entry in onnx.load(tmp_path / name).metadata_props}
        assert held.items() >= facts.items()
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "int8.onnx"}


def test_8_bit_convolutions_and_layers_give_almost_the_same(run_fields, tmp_path):
    task = build(run_fields, MODELS["cnn"])
    write_onnx(task, draw_pictures(1)[0], tmp_path / "model.onnx", FACTS)
    write_int8(tmp_path / "model.onnx", tmp_path / "int8.onnx", [draw_pictures(16, seed=1)], FACTS)
    held = onnx.load(tmp_path / "int8.onnx").graph.initializer
    # Those of norms have one dimension that is not 1
    weights = [tensor for tensor in held if sum(size > 1 for size in tensor.dims) >= 2]
    assert weights and all(tensor.data_type == onnx.TensorProto.INT8 for tensor in weights)
    pictures = draw_pictures(16, seed=2)
    assert in_onnxruntime(tmp_path / "int8.onnx")(pictures) == pytest.approx(in_torch(task)(pictures), abs=0.05)


def test_a_model_that_scores_sentences_is_refused(run_fields, tmp_path):
    class Sentences(torch.nn.Module):
        pass

    with pytest.raises(ConfigError, match="distil it into a cnn"):
        write_onnx(Sentences(), draw_pictures(1)[0], tmp_path / "model.onnx", FACTS)
    assert list(tmp_path.iterdir()) == []


def test_missing_libraries_are_named_with_the_way_to_get_them(monkeypatch):
    require_libraries()

    def refuse(name: str):
        if name == "onnxscript":
            raise ImportError(name)

    monkeypatch.setattr(onnx_export.importlib, "import_module", refuse)
    with pytest.raises(UserError, match=r"needs onnxscript, .* pip install 'hpc-nuvlm\[export\]'"):
        require_libraries()
