"""Batches: several datasets in one, what is told of events, and events without a class."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpc_nuvlm.config import Augment, View
from hpc_nuvlm.detector import Detector, Symmetry, ViewPlane
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event, Hits, Identity, Truth
from hpc_nuvlm.rationale import read
from hpc_nuvlm.sample import UNLABELLED, Joined, Samples
from hpc_nuvlm.views.image import ImageView

CLASSES = ("nue_cc", "numu_cc", "nc")
FACTS = {"lead": "muon", "num_tracks": 2, "lead_U_from_row": 4.0, "lead_U_from_column": 8.0}
FACTS |= {"lead_U_to_row": 16.0, "lead_U_to_column": 24.0}


class Listed:
    """A split of events in memory."""

    def __init__(self, events: list[Event]):
        self.events = events
        self.fingerprint = "listed"

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, index: int) -> Event:
        return self.events[index]

    def labels(self) -> list[str | None]:
        return [event.truth.label for event in self.events]


def box(num_views: int) -> Detector:
    planes = tuple(ViewPlane(name, (0, 0, 1), (1, 0, 0), 1.0, 1.0) for name in ("U", "V", "Z")[:num_views])
    return Detector("box", "box", planes, 32, 32, None, None, 0.1, 0.001)


def event(number: int, label: str | None, facts: dict, num_views: int) -> Event:
    generator = np.random.default_rng(number)
    plane, row, column = (generator.integers(0, high, 40) for high in (num_views, 32, 32))
    hits = Hits("pixels", {"plane": plane, "row": row, "column": column, "charge": generator.uniform(20, 200, 40)})
    return Event(hits, Truth(label=label, facts=facts), Identity("ab" * 32, number))


def samples(num_views: int, labels: list[str | None], first: int = 0, facts: dict | None = None, **options) -> Samples:
    events = [event(first + number, label, facts or {}, num_views) for number, label in enumerate(labels)]
    detector = box(num_views)
    view = ImageView(View(size=(16, 16), pool=2), detector)
    return Samples(Listed(events), view, detector, CLASSES, seed=3, **options)


def whole(source, epoch=None):
    return source.batch(range(len(source)), np.ones(len(source), bool), epoch)


def test_events_of_several_datasets_are_those_of_each_in_any_order():
    three, two = samples(3, ["nue_cc", "nc", "numu_cc"]), samples(2, ["nc", "nue_cc"], first=10)
    joined = Joined((three, two))
    assert len(joined) == 5
    order = [4, 0, 3, 2, 1]
    batch = joined.batch(order, np.array([True, True, False, True, True]), None)
    apart = [whole(three).take(torch.tensor([i])) if i < 3 else whole(two).take(torch.tensor([i - 3])) for i in order]
    assert batch.keys == tuple(key for part in apart for key in part.keys)
    assert batch.label_B.tolist() == [int(part.label_B) for part in apart]
    assert batch.valid_B.tolist() == [True, True, False, True, True]
    assert batch.views_B.tolist() == [2, 3, 2, 3, 3]
    for row, part in zip(batch.image_BVHW, apart):
        views = part.image_BVHW.shape[1]
        assert torch.equal(row[:views], part.image_BVHW[0]) and not row[views:].any()


def test_a_part_of_a_batch_has_all_that_belongs_to_its_events():
    batch = whole(samples(2, ["nue_cc", "nc", "numu_cc"], facts=FACTS, tell=True))
    part = batch.part(2, 4)
    assert part.keys == (batch.keys[2], batch.keys[0]) and part.valid_B.tolist() == [True, False]
    assert part.rationale == (batch.rationale[2], batch.rationale[0])


def test_what_is_told_is_true_and_its_wording_is_that_of_the_epoch():
    source = samples(2, ["nue_cc"] * 6, facts=FACTS, tell=True)
    first, again, other = whole(source, 0), whole(source, 0), whole(source, 1)
    assert first.rationale == again.rationale != other.rationale
    claims = {claim.kind: claim.value for claim in read(first.rationale[0])}
    # Rows 4 and 16 of 32, columns 8 and 24
    assert claims == {"lead": "muon", "num_tracks": 2, "region": (("U", 12, 25, 50, 75),)}


def test_nothing_is_told_where_nothing_is_known_or_asked_for():
    assert whole(samples(2, ["nc"], tell=True)).rationale == ("",)
    assert whole(samples(2, ["nc"], facts=FACTS)).rationale is None


class Dotted(Listed):
    """Events of two hits in each view, where their facts say that the leading object begins and ends."""

    def __init__(self, number: int):
        events = []
        for index in range(number):
            ends = np.random.default_rng(index).integers(10, 22, (2, 2, 2))  # view, end, row and column
            plane = np.repeat([0, 1], 2)
            row, column = ends.reshape(4, 2).T
            hits = Hits("pixels", {"plane": plane, "row": row, "column": column, "charge": np.tile([60.0, 240.0], 2)})
            facts = {"lead": "muon"}
            for name, view in zip("UV", ends.tolist()):
                for end, (at_row, at_column) in zip(("from", "to"), view):
                    facts |= {f"lead_{name}_{end}_row": at_row + 0.5, f"lead_{name}_{end}_column": at_column + 0.5}
            events.append(Event(hits, Truth(label="nc", facts=facts), Identity("ef" * 32, index)))
        super().__init__(events)


def test_what_is_told_of_a_turned_and_moved_picture_is_true_of_it():
    turns = (Symmetry("rows", flip_rows=(0,)), Symmetry("columns", flip_columns=(0, 1)), Symmetry("both", (1,), (1,)))
    detector = replace(box(2), symmetries=(*turns, Symmetry("exchange", permutation=(1, 0))))
    augment = Augment(symmetries=True, stretch=0.3, shift=(4, 4))
    view = ImageView(View(size=(32, 32), pool=1), detector)
    source = Samples(Dotted(40), view, detector, CLASSES, augment, seed=5, tell=True)
    batch, turned = whole(source, 0), 0
    for picture, text, before in zip(batch.image_BVHW.numpy(), batch.rationale, whole(source).image_BVHW.numpy()):
        (claim,) = (claim for claim in read(text) if claim.kind == "region")
        turned += not np.array_equal(picture, before)
        assert [place[0] for place in claim.value] == ["U", "V"]
        for view_picture, (_, *numbers) in zip(picture, claim.value):
            faint, bright = (np.argwhere(view_picture == level)[0] for level in np.unique(view_picture)[1:])
            # Percent of 32 pixels, rounded down: of the pixel's centre
            expected = np.floor(100 * (np.concatenate([faint, bright]) + 0.5) / 32)
            assert np.array_equal(numbers, expected)
    assert turned > 30


def test_a_picture_of_which_nothing_is_told_is_stretched_too():
    augment = Augment(stretch=0.3)
    for facts, stays in ((FACTS, True), ({}, False)):
        source = samples(2, ["nc"] * 8, facts=facts, tell=True)
        assert torch.equal(whole(source).image_BVHW, whole(replace(source, augment=augment), 0).image_BVHW) == stays


def test_an_event_without_a_class_is_refused_unless_something_else_can_be_learned_of_it():
    with pytest.raises(ConfigError, match="events labelled None"):
        samples(2, ["nc", None])
    assert whole(samples(2, ["nc", None], unlabelled=True)).label_B.tolist() == [2, UNLABELLED]
