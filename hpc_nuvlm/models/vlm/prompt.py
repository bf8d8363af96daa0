"""Prompt: the question after its pictures, and the answer that each class gets, as token ids.

Pictures come first. Mllama lets tokens before a picture see it all the same (transformers issue 39379), so
nothing but the chat template's own header may stand there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from hpc_nuvlm.config import Vlm
from hpc_nuvlm.errors import ConfigError

# How the classes are called in the published prompt (arXiv:2508.19376)
CLASS_TEXT = {"nue_cc": "NuE CC", "numu_cc": "NuMu CC", "nutau_cc": "NuTau CC", "nc": "Neutral Current"}


@dataclass(frozen=True)
class Prompt:
    """Token ids of the question (with its image tokens), and of the whole answer for each class."""

    question: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]

    @property
    def shared(self) -> tuple[int, ...]:
        """The beginning that every answer has in common; the classes differ after it."""
        alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*self.answers))
        return tuple(tokens[0] for tokens in alike)


def build_prompt(config: Vlm, classes: tuple[str, ...], processor, num_images: int) -> Prompt:
    if "{label}" not in config.answer:
        raise ConfigError(f"model.answer = {config.answer!r}: must contain {{label}}, where the class is named")
    content = [{"type": "image"}] * num_images + [{"type": "text", "text": config.question}]
    user = {"role": "user", "content": content}
    question_text = processor.apply_chat_template([user], add_generation_prompt=True)
    header = question_text.partition(processor.image_token)[0]
    if question_text.count(processor.image_token) != num_images or config.question in header:
        raise ConfigError(
            f"model.base: its chat template makes {question_text!r} of the question; {num_images} images must come "
            "first, before any of its words"
        )
    answers = []
    for label in classes:
        answer = {
            "role": "assistant",
            "content": [{"type": "text", "text": config.answer.format(label=CLASS_TEXT[label])}],
        }
        text = processor.apply_chat_template([user, answer])
        if not text.startswith(question_text):
            raise ConfigError("model.base: its chat template changes the question when an answer follows")
        answers.append(tuple(_ids(processor, text.removeprefix(question_text))))
    return Prompt(tuple(_ids(processor, question_text)), tuple(answers))


def _ids(processor, text: str) -> list[int]:
    return processor.tokenizer.encode(text, add_special_tokens=False)
