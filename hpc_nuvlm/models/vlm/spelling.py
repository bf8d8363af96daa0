"""Spelling: generated tokens to text, and which of its characters each token made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from transformers import PreTrainedTokenizerBase

from hpc_nuvlm.models.task import Said


class Speller:
    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]):
        self.tokenizer = tokenizer
        # Tokens that end a text
        self.ends = frozenset(ends)
        self.special = frozenset(tokenizer.all_special_ids)
        # Token -> its text: to decode one takes as long as a thousand look-ups
        self.pieces: dict[int, str] = {}

    def spell(self, tokens: Sequence[int], log_probabilities: Sequence[float]) -> Said:
        """The text of the tokens before the first that ends it; special tokens have no text.

        A token that holds a part of a character has the whole character.
        """
        length = next((place for place, token in enumerate(tokens) if token in self.ends), len(tokens))
        tokens = tokens[:length]
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        pieces = [self._piece(token) for token in tokens]
        stops = [*accumulate(map(len, pieces))] if "".join(pieces) == text else self._stops(tokens, text)
        spans = []
        for token, (start, stop) in zip(tokens, pairwise([0, *stops])):
            if stop == start and token not in self.special:
                stop = next((later for later in stops if later > start), start)
            spans.append((start, stop))
        return Said(text, tuple(spans), tuple(log_probabilities[:length]))

    def _piece(self, token: int) -> str:
        if token not in self.pieces:
            self.pieces[token] = self.tokenizer.decode([token], skip_special_tokens=True)
        return self.pieces[token]

    def _stops(self, tokens: Sequence[int], text: str) -> list[int]:
        """Characters of the text that are whole after each token.

        A character may be spread over tokens, and what a token adds may depend on those before it.
        """
        stops = [0]
        for i in range(len(tokens)):
            beginning = self.tokenizer.decode(tokens[: i + 1], skip_special_tokens=True)
            same = (place for place, pair in enumerate(zip(beginning, text)) if pair[0] != pair[1])
            stops.append(max(stops[-1], next(same, min(len(beginning), len(text)))))
        return [*stops[1:-1], len(text)]
