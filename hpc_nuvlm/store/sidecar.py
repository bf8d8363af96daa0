"""Part: a finished piece of a dataset that is made in parts, as the file beside its shards describes it."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
from pydantic import Field

from hpc_nuvlm.store.manifest import Count, Duplicate, Record, Shard, SplitName

CONTENT_BYTES = 16


class Part(Record):
    name: str
    # Kind and column names of the hits; None: no event was left to store
    layout: tuple[str, tuple[str, ...]] | None
    shards: tuple[Shard, ...]
    # Split -> label -> events
    labels: dict[SplitName, dict[str, Count]]
    left_out: dict[str, Count] = Field(default_factory=dict)
    duplicates: tuple[Duplicate, ...] = ()
    # Base64 of 16 bytes an event, in the order of the shards: equal for equal events. Zeros are not compared.
    contents: str = Field(default="", repr=False)

    def digests(self) -> np.ndarray:
        """(num_events, 2) uint64."""
        return np.frombuffer(base64.b64decode(self.contents), np.uint64).reshape(-1, 2)


def encode_contents(digests: Iterable[bytes]) -> str:
    """Contents of a sidecar from a digest for each event; an empty one is not compared."""
    cut = (digest[:CONTENT_BYTES].ljust(CONTENT_BYTES, b"\0") for digest in digests)
    return base64.b64encode(b"".join(cut)).decode()
