"""Texts that were written once are read again, if they are of the same weights and events."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.explaining import texts
from hpc_nuvlm.explaining.texts import Kept, Speaker, tell
from hpc_nuvlm.models.task import Prediction, Said, Task
from hpc_nuvlm.sample import UNLABELLED, Batch

ALONE = World(0, 1, 0, 1, torch.device("cpu"))


class Numbers:
    """Events whose picture is their number."""

    def __len__(self) -> int:
        return 50

    def batch(self, indices, valid, epoch) -> Batch:
        image = torch.tensor(np.asarray(indices), dtype=torch.uint8).view(-1, 1, 1, 1)
        label = torch.tensor([UNLABELLED if number % 2 else 1 for number in indices])
        return Batch(image, label, torch.tensor(np.asarray(valid)), tuple(f"k{number}" for number in indices))


class Counting(Task):
    """Tells the number that it sees, and how often it was asked."""

    def __init__(self, silent: bool = False):
        super().__init__()
        self.asked, self.silent = [], silent

    def loss(self, batch: Batch) -> torch.Tensor:
        raise NotImplementedError

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        numbers = batch.image_BVHW.flatten().tolist()
        self.asked += [number for number, valid in zip(numbers, batch.valid_B.tolist()) if valid]
        said = tuple(Said(f"{number} \u2028\x85 µ", ((0, 1), (1, 4)), (-0.1, -number / 3)) for number in numbers)
        log_probability = torch.tensor([[number / 7, -1 / 3] for number in numbers]).double()
        return Prediction(log_probability, None if self.silent else said)

    def export(self, folder: Path) -> None:
        raise NotImplementedError


@pytest.fixture
def kept(tmp_path) -> Kept:
    return Kept(tmp_path / "out" / "texts.jsonl", "weights", "events")


def ask(index, kept: Kept):
    task = Counting()
    return tell(Speaker(task, ALONE, per_rank=4), Numbers(), index, kept), task.asked


def test_what_is_in_the_file_is_not_written_again_and_equals_what_was_said(kept):
    first, asked = ask([5, 3, 8, 2, 9], kept)
    assert asked == [5, 3, 8, 2, 9] and first.keys == ("k5", "k3", "k8", "k2", "k9")
    assert first.label.tolist() == [UNLABELLED, UNLABELLED, 1, 1, UNLABELLED]
    again, asked = ask([8, 4, 5], kept)
    assert asked == [4] and again.keys == ("k8", "k4", "k5")
    assert again.said[0] == first.said[2] and again.said[2] == first.said[0]
    assert np.array_equal(again.log_probability[[0, 2]], first.log_probability[[2, 0]])
    assert ask([4, 5, 3, 8, 2, 9], kept)[1] == []


def test_what_was_written_before_an_interruption_stays(kept, monkeypatch):
    monkeypatch.setattr(texts, "EVENTS_AT_A_TIME", 2)
    ask([5, 3, 8, 2], kept)
    whole = kept.path.read_text()
    kept.path.write_text(whole[:-9])
    told, asked = ask([5, 3, 8, 2], kept)
    assert asked == [2] and told.texts[3].startswith("2 ")
    assert kept.path.read_text() == whole


@pytest.mark.parametrize("change", [{"weights": "others"}, {"events": "others"}])
def test_texts_of_other_weights_or_events_are_not_taken(kept, change):
    ask([5, 3], kept)
    other = Kept(kept.path, **({"weights": "weights", "events": "events"} | change))
    assert ask([5, 3], other)[1] == [5, 3]
    assert json.loads(kept.path.read_text().splitlines()[0]) == other.header


def test_a_model_without_words_is_refused(kept):
    with pytest.raises(UserError, match="writes no texts"):
        tell(Speaker(Counting(silent=True), ALONE, per_rank=4), Numbers(), [1], kept)
