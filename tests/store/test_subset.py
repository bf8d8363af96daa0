"""The first events of each class of a split."""

import pytest

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.store.subset import Subset, per_class

CLASSES = ("nue_cc", "numu_cc", "nc")


@pytest.fixture
def split(drawn_dataset):
    return open_dataset(drawn_dataset).split("train")


def keys(part) -> set[str]:
    return {part[index].identity.key for index in range(len(part))}


def test_each_class_has_as_many_events_as_asked_for(split):
    part = per_class(split, CLASSES, 5, seed=1)
    assert len(part) == 15 and all(part.labels().count(name) == 5 for name in CLASSES)
    assert [part[index].truth.label for index in range(15)] == part.labels()


def test_a_smaller_part_lies_within_a_larger_one_of_the_same_seed(split):
    assert keys(per_class(split, CLASSES, 3, seed=1)) < keys(per_class(split, CLASSES, 6, seed=1))
    assert keys(per_class(split, CLASSES, 3, seed=1)) != keys(per_class(split, CLASSES, 3, seed=2))


def test_another_choice_has_another_fingerprint_and_the_same_choice_the_same(split):
    prints = {per_class(split, CLASSES, n, seed).fingerprint for n in (3, 4) for seed in (1, 2)}
    assert len(prints) == 4 and split.fingerprint not in prints
    assert Subset(split, [1, 2]).fingerprint == Subset(split, [1, 2]).fingerprint


def test_more_than_there_are_is_refused(split):
    with pytest.raises(ConfigError, match=r"data\.per_class = 1000: the training split holds \d+ events of nue_cc"):
        per_class(split, CLASSES, 1000, seed=1)
