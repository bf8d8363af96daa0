"""The shipped model: made from a run, opened by name, refused when its weights are others."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.models.vlm import nano
from hpc_nuvlm.release import release_run
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data, train

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

ALONE = World(0, 1, 0, 1, torch.device("cpu"))


@pytest.fixture
def pretrained(run_fields, tmp_path):
    """A run of a tiny model that looks at lit patches, trained for a few steps."""
    model = {"family": "vlm", "base": "untrained:tiny", "patches": 24}
    fields = run_fields | {"model": model, "schedule": {"epochs": 1}}
    run = parse_run(fields, where="test")
    torch.set_num_threads(1)
    assert train(run, ALONE, StopRequest()) == 0
    return run


@pytest.mark.slow
def test_a_released_run_opens_by_name_and_says_what_the_run_said(pretrained, run_fields, tmp_path, monkeypatch):
    told = release_run(pretrained.folder, tmp_path / "weights")
    assert told["patches"] == 24 and told["samples_seen"] > 0 and told["steps"] > 0
    assert set(told["trained_on"]) == {str(pretrained.data.dataset)}
    weights = load_file(tmp_path / "weights" / nano.WEIGHTS)
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    for folder in (tmp_path / "weights", pretrained.folder / "model", *(pretrained.folder / "checkpoints").iterdir()):
        readers = folder.stat().st_mode & 0o444
        assert {path.stat().st_mode & 0o444 for path in folder.iterdir()} == {readers}, "as its folder"
    monkeypatch.setattr(nano, "shipped_place", lambda: tmp_path / "weights")
    run = parse_run(run_fields | {"model": {"family": "vlm"}}, where="test")
    shipped, own = build_task(run, num_views=3), build_task(pretrained, num_views=3)
    own.load_state_dict(load_best_weights(pretrained, own))
    _, training, _ = build_data(pretrained, open_dataset(pretrained.data.dataset))
    batch = training.batch(range(4), [True] * 4, None)
    with evaluating(shipped), evaluating(own):
        expected, found = own.predict(batch).log_probability_BC, shipped.predict(batch).log_probability_BC
    # Its weights are rounded to 8 bits of mantissa
    assert torch.allclose(found, expected, atol=0.05)


@pytest.mark.slow
def test_a_release_says_what_came_before_it(pretrained, run_fields, tmp_path):
    """A second part of pretraining, which begins with the first, and learns from a CNN."""
    taught = run_fields | {"folder": str(tmp_path / "teacher"), "schedule": {"epochs": 1}}
    assert train(parse_run(taught, where="test"), ALONE, StopRequest()) == 0
    fields = run_fields | {
        "folder": str(tmp_path / "second"),
        "model": {"family": "vlm", "base": str(pretrained.folder / "model"), "patches": 24},
        "distill": {"teacher": taught["folder"]},
        "schedule": {"epochs": 1, "stop_after_steps": 1},
    }
    assert train(parse_run(fields, where="test"), ALONE, StopRequest()) == 0
    told = release_run(tmp_path / "second", tmp_path / "weights")
    assert told["steps"] == 1 and told["began_with"]["run"] == pretrained.folder.name
    assert told["began_with"]["steps"] > 1 and told["began_with"]["base"] == "untrained:tiny"
    assert "began_with" not in told["began_with"] and "taught_by" not in told["began_with"]
    assert told["taught_by"]["run"] == "teacher" and told["taught_by"]["trained_on"] == told["trained_on"]


@pytest.mark.slow
def test_a_release_of_what_began_with_the_shipped_weights_says_what_these_came_from(
    pretrained, run_fields, tmp_path, monkeypatch
):
    monkeypatch.setattr(nano, "shipped_place", lambda: tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / nano.RELEASE).write_text(json.dumps({"run": "before"}))
    first = release_run(pretrained.folder)
    before = {"folder": str(tmp_path / "before"), "model": {"family": "vlm"}, "schedule": {"epochs": 0}}
    assert train(parse_run(run_fields | before, where="test"), ALONE, StopRequest()) == 0
    # Its teacher is what it began with, taken as it comes
    fields = before | {"folder": str(tmp_path / "last"), "schedule": {"epochs": 1}}
    fields["distill"] = {"teacher": before["folder"]}
    assert train(parse_run(run_fields | fields, where="test"), ALONE, StopRequest()) == 0
    told = release_run(tmp_path / "last")
    assert told["run"] == "last" and told["began_with"] == first and told["sha256"] != first["sha256"]
    assert told["taught_by"]["steps"] == 0 and told["taught_by"]["began_with"] == first
    # It looks at as many patches as what it began with, which its own configuration does not say
    config = json.loads((tmp_path / "weights" / "config.json").read_text())
    assert told["patches"] == config["lit_patches"] == 24
    assert {config[at]["dtype"] for at in ("text_config", "vision_config")} == {config["dtype"]} == {"bfloat16"}
    assert "local" not in (tmp_path / "weights" / "tokenizer_config.json").read_text()
    # Once more: its own weights are the shipped ones now
    assert release_run(tmp_path / "last") == told


def load_best_weights(run, task) -> dict:
    exported = load_file(run.folder / "model" / nano.WEIGHTS)
    return {name: exported[name.removeprefix("model.")] for name in task.state_dict()}


def released(folder, sha256: str) -> None:
    folder.mkdir()
    (folder / nano.WEIGHTS).write_bytes(b"weights")
    (folder / nano.RELEASE).write_text(json.dumps({"sha256": sha256}))


def test_weights_that_are_not_the_released_ones_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(nano, "shipped_place", lambda: tmp_path / "weights")
    released(tmp_path / "weights", "0" * 64)
    with pytest.raises(ConfigError, match=r"its sha256 is [0-9a-f]{64}, the released one 0{64}"):
        nano.shipped_folder()
    good = nano.digest(tmp_path / "weights" / nano.WEIGHTS)
    (tmp_path / "weights" / nano.RELEASE).write_text(json.dumps({"sha256": good}))
    assert nano.shipped_folder() == tmp_path / "weights"


def test_a_run_without_a_whole_model_is_not_released(run_fields, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.yaml").write_text(yaml.safe_dump(run_fields))
    with pytest.raises(ConfigError, match="holds no whole model"):
        release_run(folder, tmp_path / "weights")


def test_a_model_that_is_too_large_is_not_released(tmp_path, monkeypatch):
    monkeypatch.setattr(nano, "LARGEST_MB", 1)
    nano.write_nano(tmp_path / "model", seed=1, shape="tiny")
    with pytest.raises(ConfigError, match="MB in bf16; what is shipped has at most 1"):
        nano.release(tmp_path / "model", tmp_path / "weights", {"patches": 24})
