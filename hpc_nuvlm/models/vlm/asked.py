"""Asked: the questions to the events of a batch, which differ in what they say of each, as one block of tokens."""

# B batch, T token

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch


@dataclass(frozen=True)
class Asked:
    """Token ids of the question to each event, all equally long.

    Shorter ones are filled up where they begin to differ. That is after their pictures, so that all have these at the
    same places, and every answer begins at the same place. Nothing looks at what fills, and it does not count in the
    positions of what follows: each event gets what it would get alone.
    """

    questions: tuple[tuple[int, ...], ...]
    # Where filling begins, and how many tokens of each question it is
    start: int
    num_filled: tuple[int, ...]

    @property
    def first(self) -> tuple[int, ...]:
        """The question to the first event: it has the pictures where all have them."""
        return self.questions[0]

    def inputs(self, start: int, stop: int, device: torch.device) -> dict:
        """What the model's forward takes beside tokens [start, stop), the question's and those that follow it.

        attention_mask (B, stop) and position_ids (B, stop - start); nothing if nothing is filled.
        """
        if not any(self.num_filled):
            return {}
        place_T = torch.arange(stop, device=device)
        end_B = self.start + torch.tensor(self.num_filled, device=device)
        real_BT = ((place_T < self.start) | (place_T >= end_B.unsqueeze(1))).long()
        return {"attention_mask": real_BT, "position_ids": (real_BT.cumsum(1) - 1)[:, start:]}


def fill(questions: Sequence[tuple[int, ...]], pad_id: int) -> Asked:
    """Questions of any length, which begin alike up to the end of their pictures, as equally long ones."""
    start = sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*questions)))
    longest = max(map(len, questions))
    num_filled = tuple(longest - len(question) for question in questions)
    filled = (ids[:start] + (pad_id,) * count + ids[start:] for ids, count in zip(questions, num_filled))
    return Asked(tuple(filled), start, num_filled)
