"""explain() from run folder to files: a model of random weights, and one that tells the truth."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hpc_nuvlm import explanation
from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine.state import BEST, Position, Tensors, checkpoint_folder, save_checkpoint
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.evaluation import Place
from hpc_nuvlm.explanation import Request, ask, explain
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import Prediction, Said, Task
from hpc_nuvlm.rationale import CLASS_TEXT, claims_of, write
from hpc_nuvlm.sample import Batch
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.store.pack import pack
from hpc_nuvlm.training import view_of

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

ALONE = World(0, 1, 0, 1, torch.device("cpu"))
LEADS = {"nue_cc": "electron", "numu_cc": "muon", "nc": "hadron"}


def with_facts(event):
    """Facts of a drawn event (conftest.py): lines begin in row 200, column 250, and go up to 180 rows far."""
    length = 40 if event.truth.label == "nc" else 180
    ends = {"from_row": 200.0, "from_column": 250.0, "to_row": 200.0 + length, "to_column": 250.0}
    region = {f"lead_{plane}_{name}": value for plane in "UVZ" for name, value in ends.items()}
    facts = {"lead": LEADS[event.truth.label], "num_tracks": event.identity.event % 3, "contained": True} | region
    return replace(event, truth=replace(event.truth, facts=facts))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, drawn_dataset, cvn_detector):
    drawn = open_dataset(drawn_dataset)
    folder = tmp_path_factory.mktemp("told") / "dataset"
    options = {"split": {"train": 0.4, "val": 0.6}, "classes": None, "command": "test", "shard_events": 16}
    training, test = (list(map(with_facts, drawn.split(name))) for name in ("train", "test"))
    pack(training, folder, cvn_detector, test_events=test, **options)
    return folder


@pytest.fixture
def fields(run_fields, dataset) -> dict:
    return run_fields | {"data": {"dataset": str(dataset)}, "model": {"family": "vlm", "base": "untrained:tiny"}}


def make_run(fields: dict, values: dict) -> Path:
    run = parse_run(fields, where="test")
    run.folder.mkdir()
    (run.folder / "run.yaml").write_text(yaml.safe_dump(fields))
    save_checkpoint(checkpoint_folder(run.folder, 1, BEST), Tensors(values, {}), Position(1, 1, "none", 1))
    return run.folder


class Truthful(Task):
    """Says what is true of each event, and is unsure of how many tracks there are; sees the light of rows 50..95."""

    def __init__(self, asked):
        super().__init__()
        self.texts = {}
        for one in asked:
            for key, truth, window in zip(one.keys, one.truths, one.windows):
                told = write(claims_of(truth, window), np.random.default_rng(0))
                self.texts[key] = f"{told} I classify the pixel maps as {CLASS_TEXT[truth.label]}."

    def loss(self, batch: Batch) -> torch.Tensor:
        raise NotImplementedError

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        light_B = batch.image_BVHW[:, :, 50:95].double().sum((1, 2, 3)) / 1e4
        score_BC = light_B[:, None] * torch.nn.functional.one_hot(batch.label_B, 3)
        said = tuple(self._say(self.texts[key]) for key in batch.keys) if explain else None
        return Prediction(score_BC.log_softmax(1), said)

    def _say(self, text: str) -> Said:
        digit = text.index(" track") - 1
        spans = tuple((place, place + 1) for place in range(len(text)))
        return Said(text, spans, tuple(-2.0 if place == digit else 0.0 for place in range(len(text))))

    def export(self, folder: Path) -> None:
        raise NotImplementedError


def test_true_texts_are_judged_true_and_what_they_name_matters(fields, dataset, tmp_path, monkeypatch, capsys):
    folder = make_run(fields, {"none": torch.zeros(1)})
    run = parse_run(fields, where="test")
    asked = [ask(run, Place(dataset, split), None) for split in ("test", "val")]
    monkeypatch.setattr(explanation, "load_best", lambda run, views: Truthful(asked))
    request = Request(folder, Place(dataset, "test"), tmp_path / "out", precision=0.8, markdown=tmp_path / "tables.md")
    explain(request, ALONE)
    found = json.loads((tmp_path / "out" / "explanation.json").read_text())
    for name in ("as written", "unsure left out"):
        assert found["claims"][name]["precision"]["value"] == found["claims"][name]["recall"]["value"] == 1
    assert found["agreement"]["value"] == found["accuracy_of_text"]["value"] == found["accuracy_of_score"]["value"] == 1
    assert found["claims"]["as written, of other events"]["precision"]["value"] < 0.8
    assert found["deletion"]["num_named"] == 12
    effect = found["deletion"]["effects"]["random"]["all"]["log_odds"]
    assert effect["named"] > 0 and effect["num_events"] + found["deletion"]["num_too_large"] == 12
    assert found["thresholds"]["michel"]["confidence"] is None
    assert {text["predicted"] for text in found["texts"]} == {"nue_cc", "numu_cc", "nc"}
    printed, markdown = capsys.readouterr().out, (tmp_path / "tables.md").read_text()
    for said in ("hallucination rate", "num_tracks", "a random region"):
        assert said in printed and said in markdown
    assert (tmp_path / "out" / "examples.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_model_of_random_weights_is_judged_too(fields, dataset, tmp_path):
    task = build_task(parse_run(fields, where="test"), num_views=3)
    folder = make_run(fields, {name: value.detach() for name, value in task.trainable().items()})
    request = Request(folder, Place(dataset, "test"), tmp_path / "out", num_events=3)
    explain(request, ALONE)
    found = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert found["num_events"] == len(found["texts"]) == 3
    assert len((tmp_path / "out" / "texts.jsonl").read_text().splitlines()) == 4


def test_of_one_split_the_first_events_are_scored_and_the_last_teach_thresholds(fields, dataset):
    run = parse_run(fields, where="test")
    place = Place(dataset, "test")
    whole, first, last = ask(run, place, None), ask(run, place, 5), ask(run, place, 5, from_end=True)
    assert first.keys == whole.keys[:5] and last.keys == whole.keys[:-6:-1]


def test_thresholds_of_the_scored_events_are_refused_before_texts_are_written(fields, dataset, tmp_path):
    folder = make_run(fields, {"none": torch.zeros(1)})
    request = Request(folder, Place(dataset, "val"), tmp_path / "out")
    with pytest.raises(UserError, match="events that they would be fitted on are scored too"):
        explain(request, ALONE)
    assert not (tmp_path / "out").exists()


def test_an_aim_that_is_no_share_and_too_few_events_are_refused(fields, dataset, tmp_path):
    folder = make_run(fields, {"none": torch.zeros(1)})
    request = Request(folder, Place(dataset, "test"), tmp_path / "out")
    with pytest.raises(ConfigError, match=r"--precision 92: must lie between 0 and 1"):
        explain(replace(request, precision=92), ALONE)
    with pytest.raises(UserError, match="1 events are too few"):
        explain(replace(request, num_events=1), ALONE)


def test_events_are_seen_as_the_run_was_trained_on_them(fields, dataset, tmp_path):
    view = {"size": [112, 112], "pool": 2, "crop": "centroid"}
    more = [{"dataset": str(tmp_path / "other"), "view": view}]
    run = parse_run(fields | {"data": {"dataset": str(dataset), "more": more}}, where="test")
    assert view_of(run, tmp_path / "other").crop == "centroid"
    assert view_of(run, dataset) == view_of(run, tmp_path / "third") == run.view
