"""Who reads what, and when: a pure function of (fingerprint, seed, number of events, position).

The order of an epoch is a keyed permutation that is *computed* index by index (a Feistel network,
cycle-walked into [0, num_events)), not a shuffled list: no memory, no state, and resuming at any
position costs nothing. The world size enters only when a global batch is dealt out to the ranks, so
every world reads the same global batches in the same order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.errors import ConfigError

# Luby and Rackoff (1988) prove 4 rounds enough for wide halves. For a dozen events the halves have 2 bits, and 6
# rounds fail the chi-square test of tests/store/test_plan.py (p = 5e-5) where 10 and 16 pass.
NUM_ROUNDS = 12


@dataclass(frozen=True)
class Share:
    """One rank's part of a global batch: event indices, and which of them are padding (weight 0)."""

    indices: np.ndarray  # (n,) int64
    valid: np.ndarray  # (n,) bool
    epoch: int
    # Events of the global batch that count, over all ranks
    num_valid: int


@dataclass(frozen=True)
class Plan:
    """The reading order of a dataset split. `samples_seen` is the only state that a checkpoint needs of it."""

    fingerprint: str
    seed: int
    num_events: int
    global_size: int

    def __post_init__(self):
        if self.num_events < 1:
            raise ConfigError("plan: the split holds no events; pack some, or choose another split")

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_events // self.global_size)

    def order(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Event indices (stop - start,) int64 at positions [start, stop) of an epoch."""
        key = hashlib.sha256(f"{self.fingerprint}/{self.seed}/{epoch}".encode()).digest()
        round_keys = np.frombuffer(hashlib.shake_256(key).digest(8 * NUM_ROUNDS), np.uint64)
        return permute(np.arange(start, stop, dtype=np.uint64), self.num_events, round_keys).astype(np.int64)

    def global_batch(self, samples_seen: int) -> tuple[int, np.ndarray]:
        """Epoch and event indices of the batch that follows `samples_seen`; the last of an epoch may be short."""
        epoch, start = divmod(samples_seen, self.num_events)
        return epoch, self.order(epoch, start, min(start + self.global_size, self.num_events))

    def following(self, samples_seen: int) -> int:
        """Samples seen after that batch."""
        return samples_seen + min(self.global_size, self.num_events - samples_seen % self.num_events)

    def share(self, samples_seen: int, rank: int, world_size: int) -> Share:
        """What `rank` reads of the next global batch: equally many events on every rank, the surplus not valid.

        A rank takes every world_size-th event. Padding repeats the first event of the batch, with weight 0.
        """
        epoch, batch = self.global_batch(samples_seen)
        per_rank = -(-self.global_size // world_size)
        slots = np.arange(rank, per_rank * world_size, world_size)
        valid = slots < len(batch)
        return Share(batch[np.where(valid, slots, 0)], valid, epoch, len(batch))


def permute(position: np.ndarray, size: int, round_keys: np.ndarray) -> np.ndarray:
    """Map each position in [0, size) to another, one to one; (n,) uint64 in and out.

    The network permutes [0, 4**half_bits), at most 4 times larger than size (2 for size 1); values that
    fall outside are sent through again until they are inside, which keeps the map one to one.
    """
    half_bits = max(1, -(-int(size - 1).bit_length() // 2))
    value = _feistel(position, half_bits, round_keys)
    outside = value >= size
    while outside.any():
        value[outside] = _feistel(value[outside], half_bits, round_keys)
        outside = value >= size
    return value


def _feistel(value: np.ndarray, half_bits: int, round_keys: np.ndarray) -> np.ndarray:
    bits = np.uint64(half_bits)
    mask = np.uint64((1 << half_bits) - 1)
    left, right = value >> bits, value & mask
    for key in round_keys:
        left, right = right, left ^ (_mix(right ^ key) & mask)
    return (left << bits) | right


def _mix(value: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014): every input bit changes every output bit."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
