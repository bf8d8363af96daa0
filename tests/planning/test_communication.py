import pytest

from hpc_nuvlm.planning.communication import LATENCY_S, Traffic, seconds_of, traffic_of
from hpc_nuvlm.planning.shadow import Weights

# 100 numbers that are learned, 1,000 that are not, none of them packed
WEIGHTS = Weights(100, 1000, 0, 0)


@pytest.mark.parametrize(
    "stage, micro_batches, bytes_sent, rounds",
    [
        # Twice the gradients, as any ring sums them; a stage-1 rank gathers new weights instead
        (0, 3, 2 * 200, 2),
        (1, 3, 2 * 200, 2),
        (2, 1, 2 * 200, 2),
        (2, 3, 3 * 200 + 200, 4),
        # For every micro-batch: gradients, and all weights forward and backward
        (3, 1, 200 + 2 * 2200, 3),
        (3, 2, 2 * (200 + 2 * 2200), 6),
    ],
)
def test_volumes_are_those_of_the_zero_paper(stage, micro_batches, bytes_sent, rounds):
    sent = traffic_of(stage, 2, WEIGHTS, micro_batches, ranks=4)
    assert sent.num_bytes == pytest.approx(bytes_sent * 3 / 4) and sent.rounds == rounds


def test_one_rank_sends_nothing():
    assert traffic_of(3, 2, WEIGHTS, 4, ranks=1) == Traffic(0, 0)
    assert seconds_of(Traffic(0, 0), 1, 1e9) == 0


def test_many_ranks_wait_for_latency_where_there_is_little_to_send():
    little = Traffic(1e3, 2)
    assert seconds_of(little, 256, 25e9) == pytest.approx(2 * 255 * LATENCY_S, rel=0.01)
    much = Traffic(1e10, 2)
    assert seconds_of(much, 256, 25e9) == pytest.approx(0.4, rel=0.02)
