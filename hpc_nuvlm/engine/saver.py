"""Saver: writes checkpoints while training goes on, one after the other, on rank 0."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Saver:
    """What it is given must not change any more: tensors have to be copies."""

    def __init__(self):
        self.pool = ThreadPoolExecutor(1, "saver")
        self.pending: Future | None = None

    @property
    def failed(self) -> bool:
        """Whether something could not be written; `settle` says what."""
        return self.pending is not None and self.pending.done() and self.pending.exception() is not None

    def submit(self, write: Callable[..., None], *arguments) -> None:
        """Write in the background; what came before has to be settled."""
        self.pending = self.pool.submit(write, *arguments)

    def settle(self) -> None:
        """Wait until everything is written; raises what could not be."""
        if self.pending is not None:
            self.pending.result()
