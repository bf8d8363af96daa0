"""Part of a split: the first events of each class, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

import numpy as np

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event


class Whole(Protocol):
    fingerprint: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Event: ...

    def labels(self) -> list[str | None]: ...


class Subset:
    """The events of a split at `indices`; a split itself, with a fingerprint of its own."""

    def __init__(self, split: Whole, indices: Sequence[int]):
        self._split = split
        self._indices = [int(index) for index in indices]
        self.fingerprint = sha256(f"{split.fingerprint} {self._indices}".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Event:
        return self._split[self._indices[index]]

    def labels(self) -> list[str | None]:
        labels = self._split.labels()
        return [labels[index] for index in self._indices]


def per_class(split: Whole, classes: tuple[str, ...], number: int, seed: int) -> Subset:
    """`number` events of each class. With the same seed, those of a smaller number are among those of a larger one."""
    labels = np.array([str(label) for label in split.labels()])
    chosen = []
    for place, name in enumerate(classes):
        members = np.flatnonzero(labels == name)
        if len(members) < number:
            raise ConfigError(
                f"data.per_class = {number}: the training split holds {len(members)} events of {name}; take fewer"
            )
        chosen.append(np.random.default_rng([seed, place]).permutation(members)[:number])
    return Subset(split, np.sort(np.concatenate(chosen)))
