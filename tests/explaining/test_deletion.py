"""The deletion test on models whose reasons are known, because they are planted."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hpc_nuvlm.engine.world import World
from hpc_nuvlm.explaining.deletion import (
    ELSEWHERE,
    LARGEST_SHARE,
    NUM_DRAWS,
    RANDOM,
    Blanked,
    draw_regions,
    find_regions,
    log_odds_of,
    measure_deletion,
)
from hpc_nuvlm.explaining.regions import band, light_by_view
from hpc_nuvlm.explaining.texts import Speaker, Told
from hpc_nuvlm.models.task import Prediction, Said, Task
from hpc_nuvlm.sample import Batch

PLANES = ("U", "V")
PLACE = (20, 20, 70, 60)
TEXT = "In percent the leading object runs from U 20 20, V 20 20 to U 70 60, V 70 60."
SIZE = 40
IN_BAND = np.broadcast_to(band((SIZE, SIZE), PLACE, 3.0), (2, SIZE, SIZE))
ALONE = World(0, 1, 0, 1, torch.device("cpu"))


class Pictures:
    """Events with light in the band and around it."""

    def __init__(self, num_events: int, around: float = 0.3):
        generator = np.random.default_rng(5)
        shape = (num_events, 2, SIZE, SIZE)
        lit = generator.random(shape) < np.where(IN_BAND, 0.6, around)
        self.image = np.where(lit, generator.integers(1, 256, shape), 0).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.image)

    def batch(self, indices, valid, epoch) -> Batch:
        image = torch.from_numpy(self.image[np.asarray(indices)])
        keys = tuple(f"event {number}" for number in indices)
        return Batch(image, torch.zeros(len(keys), dtype=torch.int64), torch.from_numpy(np.array(valid)), keys)


class Planted(Task):
    """Sees the mean light of some pixels, and nothing else."""

    def __init__(self, mask: np.ndarray, gain: float = 8.0):
        super().__init__()
        self.mask, self.gain = torch.from_numpy(mask.copy()), gain

    def loss(self, batch: Batch) -> torch.Tensor:
        raise NotImplementedError

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        light_B = (batch.image_BVHW * self.mask).double().sum((1, 2, 3)) / (128 * self.mask.sum())
        score_BC = torch.stack([self.gain * light_B, 0 * light_B, 0 * light_B], 1)
        said = tuple(Said(TEXT, (), ()) for _ in batch.keys) if explain else None
        return Prediction(score_BC.log_softmax(1), said)

    def export(self, folder: Path) -> None:
        raise NotImplementedError


def measure(task: Task, source: Pictures, text: str = TEXT):
    speaker = Speaker(task, ALONE, per_rank=16)
    predicted = speaker.predict(source)
    said = (Said(text, (), ()),) * len(source)
    told = Told(tuple(range(len(source))), tuple(predicted.keys), predicted.truth, predicted.log_probability, said)
    groups = {"all": np.ones(len(source), bool), "nc": told.predicted == 2}
    return measure_deletion(speaker, source, told, find_regions(source, told, PLANES), groups)


def test_a_model_that_sees_the_named_region_alone_gets_a_large_ratio():
    found = measure(Planted(IN_BAND), Pictures(60)).effects
    random = found[RANDOM]["all"]["probability"]
    assert random.named > 0.3 and random.ratio.value > 5 and random.difference.low > 0
    assert random.ratio.low <= random.ratio.value <= random.ratio.high
    elsewhere = found[ELSEWHERE]["all"]["log_odds"]
    assert elsewhere.others == 0 and elsewhere.ratio.value == elsewhere.ratio.low == math.inf
    # No event is taken for this class
    assert "nc" not in found[RANDOM]


def test_a_model_that_sees_all_light_alike_gets_a_ratio_of_one():
    found = measure(Planted(np.ones_like(IN_BAND)), Pictures(60)).effects
    for kind in (RANDOM, ELSEWHERE):
        for effect in found[kind]["all"].values():
            assert effect.ratio.value == pytest.approx(1, abs=0.02)


def test_a_model_that_does_not_see_the_named_region_gets_a_ratio_of_zero():
    found = measure(Planted(~IN_BAND), Pictures(60)).effects[ELSEWHERE]["all"]["log_odds"]
    assert found.named == 0 and found.others > 0 and found.ratio.value == 0


def test_a_model_that_sees_nothing_has_no_ratio():
    found = measure(Planted(IN_BAND, gain=0), Pictures(20)).effects[RANDOM]["all"]["probability"]
    assert found.named == found.others == found.ratio.low == found.ratio.high == 0 and math.isnan(found.ratio.value)


def test_regions_that_are_nearly_all_light_are_counted_and_left_out():
    deletion = measure(Planted(IN_BAND), Pictures(10, around=0.0))
    assert (deletion.num_named, deletion.num_too_large, deletion.largest_share) == (10, 10, LARGEST_SHARE)
    assert deletion.effects == {RANDOM: {}, ELSEWHERE: {}} and deletion.share is None


def test_texts_that_name_no_region_or_a_dark_one_are_counted():
    assert measure(Planted(IN_BAND), Pictures(10), text="The event is contained.").num_named == 0
    dark = "In percent the leading object runs from Q 20 20 to Q 70 60."
    deletion = measure(Planted(IN_BAND), Pictures(10), dark)
    assert (deletion.num_named, deletion.num_dark) == (10, 10)
    assert deletion.effects[RANDOM]["all"]["probability"].named == 0


def test_other_regions_are_as_bright_and_what_they_share_with_the_named_one_is_told():
    image = Pictures(1).image[0]
    named = np.flatnonzero(IN_BAND & (image > 0))
    regions = draw_regions(image, named, np.random.default_rng(0))
    assert len(regions.random) == len(regions.elsewhere) == NUM_DRAWS
    for pixels in (*regions.random, *regions.elsewhere):
        assert (abs(light_by_view(image, pixels) - light_by_view(image, named)) <= 128).all()
    assert not np.isin(np.concatenate(regions.elsewhere), named).any()
    flat = image.reshape(-1).astype(int)
    common = [flat[pixel] for pixels in regions.random for pixel in pixels if pixel in set(named.tolist())]
    assert regions.overlap == pytest.approx(sum(common) / sum(flat[pixels].sum() for pixels in regions.random))
    assert regions.share == pytest.approx(flat[named].sum() / flat.sum())


def test_the_regions_of_an_event_are_the_same_whichever_others_are_asked_about():
    source = Pictures(4)
    said = (Said(TEXT, (), ()),)
    whole = Told((0, 1, 2), ("a", "b", "c"), np.zeros(3), np.zeros((3, 3)), said * 3)
    alone = Told((2,), ("c",), np.zeros(1), np.zeros((1, 3)), said)
    of_whole, of_alone = find_regions(source, whole, PLANES)[2], find_regions(source, alone, PLANES)[0]
    assert all(np.array_equal(a, b) for a, b in zip(of_whole.random, of_alone.random))
    assert len({pixels.tobytes() for pixels in of_whole.random}) == NUM_DRAWS


def test_a_region_that_is_most_of_a_view_has_none_elsewhere():
    image = Pictures(1).image[0]
    named = np.flatnonzero(image[0])
    assert draw_regions(image, named, np.random.default_rng(0)).elsewhere is None


def test_blanking_changes_these_pixels_of_this_event_and_not_the_source():
    source = Pictures(3)
    before = source.image.copy()
    pixels = [np.array([0, 5]), np.array([7]), np.array([], int)]
    blanked = Blanked(source, [2, 2, 0], pixels)
    image = blanked.batch(np.array([1, 0, 2]), np.ones(3, bool), None).image_BVHW.numpy()
    expected = before[[2, 2, 0]]
    expected[0].reshape(-1)[7] = 0
    expected[1].reshape(-1)[[0, 5]] = 0
    assert np.array_equal(image, expected) and np.array_equal(source.image, before) and len(blanked) == 3


def test_log_odds_are_finite_where_a_probability_rounds_to_one():
    log_probability = np.array([[-1e-30, -60.0, -61.0], [math.log(0.5), math.log(0.25), math.log(0.25)]])
    odds = log_odds_of(log_probability, np.array([0, 1]))
    assert odds == pytest.approx([60 - math.log1p(math.exp(-1)), math.log(1 / 3)])
