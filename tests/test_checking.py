"""`nuvlm validate`: what is wrong with a training is found before it is queued."""

import shutil
from pathlib import Path

import pytest
import yaml

from hpc_nuvlm import checking
from hpc_nuvlm.checking import check
from hpc_nuvlm.config import parse_run
from hpc_nuvlm.errors import ConfigError, StoreError, UserError
from hpc_nuvlm.models.cnn import CnnTask
from hpc_nuvlm.store import open_dataset

CONFIG = Path("run.yaml")


@pytest.fixture
def found(run_fields, repository):
    """Findings by name, of the small run with changes."""

    def call(**changes) -> dict[str, str]:
        return dict(check(parse_run(run_fields | changes, where="test"), CONFIG, (), repository))

    return call


def test_a_good_run_is_told_in_the_order_of_what_comes(found, run_fields):
    told = found()
    assert list(told) == ["configuration", "dataset", "leakage", "order", "batch", "model", "job"]
    assert told["leakage"] == "none of 48 events is in two splits"
    assert told["batch"].startswith("pictures 4 x 3 x 112 x 112, ")
    assert "gradients for all" in told["model"] and told["job"].endswith("slurm/finetune.sh run.yaml)")
    assert not Path(run_fields["folder"]).exists(), "nothing is written"


def test_a_dataset_that_is_not_there_or_damaged_is_refused(found, drawn_dataset, tmp_path):
    with pytest.raises(StoreError, match=r"holds no manifest\.json"):
        found(data={"dataset": str(tmp_path)})
    copy = shutil.copytree(drawn_dataset, tmp_path / "copy")
    shard = next(copy.glob("train-*.zip"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(StoreError, match=shard.name):
        found(data={"dataset": str(copy)})


def test_an_event_in_two_splits_is_named(drawn_dataset, monkeypatch):
    dataset = open_dataset(drawn_dataset)
    first = dataset.split("train").event_keys()[0]
    other = type("Other", (), {"event_keys": lambda self: [first]})()
    split = dataset.split
    monkeypatch.setattr(type(dataset), "split", lambda self, name: other if name == "val" else split(name))
    with pytest.raises(UserError, match=f"event {first} is in the splits"):
        checking.told_of_leakage(dataset)


def test_a_window_beside_the_hits_is_told(found):
    view = {"size": [32, 32], "pool": 1, "curve": "linear", "full_scale": 1e9}
    with pytest.raises(UserError, match="view: no pixel of the first 4 training events is lit"):
        found(view=view)


def test_a_model_that_cannot_learn_is_told(found, monkeypatch):
    monkeypatch.setattr(CnnTask, "loss", lambda task, batch: task.members[0](batch.image_BVHW)[:, 0] * float("nan"))
    with pytest.raises(UserError, match="the loss of the first batch is not finite"):
        found()
    first = lambda task, batch: task.members[0].tower(batch.image_BVHW[:, :1].float()).mean((1, 2, 3))  # noqa: E731
    monkeypatch.setattr(CnnTask, "loss", first)
    with pytest.raises(UserError, match=r"parameters get no gradient, first members\.0\.head"):
        found()


def test_a_mistake_in_the_configuration_is_refused(run_fields, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run_fields | {"batch": {"per_ranc": 3}}))
    with pytest.raises(ConfigError, match="did you mean 'per_rank'"):
        checking.check(parse_run(yaml.safe_load(path.read_text()), str(path)), path, (), tmp_path)
