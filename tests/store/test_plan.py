from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.store.plan import Plan

plans = st.builds(
    Plan,
    fingerprint=st.text(max_size=8),
    seed=st.integers(0, 2**31),
    num_events=st.integers(1, 120),
    global_size=st.integers(1, 40),
)


def read_epoch(plan: Plan, world_size: int, epoch: int = 0) -> list[list[int]]:
    """Valid events of each step of an epoch, in the order of the global batch, as the ranks read them together."""
    samples_seen, batches = epoch * plan.num_events, []
    while samples_seen < (epoch + 1) * plan.num_events:
        shares = [plan.share(samples_seen, rank, world_size) for rank in range(world_size)]
        slots = [(index, valid) for step in zip(*(zip(s.indices, s.valid) for s in shares)) for index, valid in step]
        batches.append([int(index) for index, valid in slots if valid])
        assert len({len(share.indices) for share in shares}) == 1, "ranks must compute equally many events"
        assert all(share.num_valid == len(batches[-1]) for share in shares)
        samples_seen += len(batches[-1])
    return batches


@given(plans, st.integers(1, 6), st.integers(0, 3))
def test_every_event_is_read_once_per_epoch_in_equal_steps_for_any_world_size(plan, world_size, epoch):
    batches = read_epoch(plan, world_size, epoch)
    assert sorted(chain.from_iterable(batches)) == list(range(plan.num_events))
    assert len(batches) == plan.steps_per_epoch


@given(plans, st.integers(2, 6))
def test_the_global_order_does_not_depend_on_the_world_size(plan, world_size):
    assert read_epoch(plan, world_size) == read_epoch(plan, 1)


@given(plans, st.data())
def test_resuming_anywhere_continues_the_same_order(plan, data):
    whole = plan.order(0, 0, plan.num_events)
    position = data.draw(st.integers(0, plan.num_events - 1))
    _, batch = plan.global_batch(position)
    assert batch.tolist() == whole[position : position + plan.global_size].tolist()


def test_resuming_costs_the_same_at_any_position_of_a_huge_dataset():
    plan = Plan("x", 0, 10**12, 8)
    epoch, batch = plan.global_batch(5 * 10**12 + 123_456_789_012)
    assert epoch == 5 and len(set(batch.tolist())) == 8 and batch.max() < 10**12


def test_epochs_seeds_and_datasets_have_orders_of_their_own():
    orders = [
        Plan("a", 1, 500, 8).order(0, 0, 500),
        Plan("a", 1, 500, 8).order(1, 0, 500),
        Plan("a", 2, 500, 8).order(0, 0, 500),
        Plan("b", 1, 500, 8).order(0, 0, 500),
    ]
    for i, first in enumerate(orders):
        for second in orders[:i]:
            assert (first == second).mean() < 0.05


def test_the_order_looks_random():
    """Where an event lands, and what follows it, are uniform: chi-square over many seeds, fixed in advance."""
    for size in (5, 12, 40):
        landed, followed = np.zeros((size, size)), np.zeros((size, size))
        for seed in range(1000):
            order = Plan("u", seed, size, 4).order(0, 0, size)
            landed[np.arange(size), order] += 1
            followed[order[:-1], order[1:]] += 1
        assert stats.chisquare(landed.ravel()).pvalue > 1e-3
        assert stats.chisquare(followed[~np.eye(size, dtype=bool)]).pvalue > 1e-3


def test_an_empty_split_is_refused():
    with pytest.raises(ConfigError, match="no events"):
        Plan("x", 0, 0, 8)
