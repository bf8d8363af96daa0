"""Communication: what a rank sends in one step of data-parallel training, and how long that takes.

Volumes are those of the ZeRO paper (arXiv:1910.02054, section 7), counted in its way: to sum over ranks or to gather
from them, a rank sends the whole once. Stages 2 and 3 sum gradients after every micro-batch; stage 3 gathers weights
twice for each, those that are frozen too.

Assumed: rings over all ranks, which go through each node's network once, at the speed of the slowest link; nothing
overlaps with computing. So it is an upper limit where one assumes that the network is one's own, and a lower one else.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpc_nuvlm.planning.shadow import NF4_BYTES, Weights

# Of a message from one rank to the next; a round of n ranks takes n - 1 of them
LATENCY_S = 1e-5


@dataclass(frozen=True)
class Traffic:
    """Of one rank in one step."""

    num_bytes: float
    # Times that something goes around all ranks
    rounds: int


def traffic_of(stage: int, width: int, weights: Weights, micro_batches: int, ranks: int) -> Traffic:
    """`stage`: of ZeRO, 0 without it; `width`: bytes of a number."""
    if ranks == 1:
        return Traffic(0, 0)
    gradients = learned = weights.learned * width
    frozen = (weights.frozen - weights.nf4) * width + weights.nf4 * NF4_BYTES
    if stage <= 1:
        # To sum for all is to sum for one each, and to gather from all: gradients, or at stage 1 new weights
        whole, rounds = gradients + learned, 2
    elif stage == 2:
        whole, rounds = micro_batches * gradients + learned, micro_batches + 1
    else:
        whole, rounds = micro_batches * (gradients + 2 * (learned + frozen)), 3 * micro_batches
    return Traffic(whole * (ranks - 1) / ranks, rounds)


def seconds_of(traffic: Traffic, ranks: int, bytes_a_second: float) -> float:
    return traffic.num_bytes / bytes_a_second + traffic.rounds * (ranks - 1) * LATENCY_S
