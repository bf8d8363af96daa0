"""Ahead: the next batch is read and rasterized while the present one is computed.

A thread does it: decoding and rasterizing leave the interpreter to others, and to ship pictures from another process
costs more than to draw them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Made = TypeVar("Made")
# What the names of its threads begin with
READER = "reader"


class Ahead(Generic[Made]):
    """`make(place)`, of which the following one is begun as soon as one was asked for."""

    def __init__(self, make: Callable[[int], Made], following: Callable[[int], int | None]):
        """`following`: the place after another; None after the last."""
        self._make, self._following = make, following
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=READER)
        self._begun: tuple[int, Future] | None = None

    def __call__(self, place: int) -> Made:
        """What is at this place; an error in making it comes here, and not before it is asked for."""
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] == place:
            made = begun[1].result()
        else:
            made = self._thread.submit(self._make, place).result()
        following = self._following(place)
        if following is not None:
            self._begun = following, self._thread.submit(self._make, following)
        return made

    def rest(self) -> None:
        """Until nothing is being made: kernels of two threads at a time are not safe with every layer of threads."""
        if self._begun is not None:
            self._begun[1].exception()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
