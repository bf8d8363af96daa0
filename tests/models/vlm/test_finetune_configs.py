"""The shipped fine-tunes of models that are not shipped, on tiny models of their classes."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from hpc_nuvlm.config import load_run, parse_run
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.families import Vlm
from hpc_nuvlm.models.vlm import nano
from hpc_nuvlm.training import train

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

CONFIGS = {"finetune-llama32-11b.yaml": "mllama", "finetune-idefics3-8b.yaml": "idefics3"}
# What arXiv:2508.19376 says of its fine-tune
PUBLISHED = {
    "model": {"nf4": True, "lora": {"rank": 8, "alpha": 16, "dropout": 0.05}},
    "batch": {"global_size": 8},
    "optimizer": {"lr": 2e-4, "schedule": "constant", "warmup": 0.03, "max_grad_norm": 0.3},
    "engine": {"precision": "bf16"},
    "schedule": {"epochs": 1},
}


@pytest.fixture(params=CONFIGS)
def config(request, repository) -> Path:
    return repository / "configs" / request.param


@pytest.fixture
def tiny_folder(config, idefics3_folder, tmp_path) -> Path:
    if CONFIGS[config.name] == "idefics3":
        return idefics3_folder
    nano.write_nano(tmp_path / "mllama", seed=1, shape="tiny")
    return tmp_path / "mllama"


def test_a_fine_tune_has_the_published_settings_and_a_relative_base(config):
    run = load_run(config)
    for part, values in PUBLISHED.items():
        assert values.items() <= getattr(run, part).model_dump().items()
    assert not Path(run.model.base).is_absolute() and run.model.base.startswith("models/")


def test_a_fine_tune_takes_steps_on_a_tiny_model_of_its_class(config, tiny_folder, run_fields):
    torch.set_num_threads(1)
    assert json.loads((tiny_folder / "config.json").read_text())["model_type"] == CONFIGS[config.name]
    fields = yaml.safe_load(config.read_text())
    fields["model"]["base"] = str(tiny_folder)
    # Another detector, pictures of the tiny model's size, and the engine of one process, which has no bf16
    fields |= {name: run_fields[name] for name in ("folder", "data", "view", "engine")}
    fields["schedule"]["stop_after_steps"] = 2
    run = parse_run(fields, where="test")
    assert train(run, World(0, 1, 0, 1, torch.device("cpu")), StopRequest()) == 0
    records = map(json.loads, (run.folder / "records.jsonl").read_text().splitlines())
    steps = [record for record in records if record["kind"] == "step"]
    assert [step["learning_rate"] for step in steps] == [2e-4, 2e-4]
    assert steps[1]["loss"] != steps[0]["loss"] and isinstance(run.model, Vlm)
