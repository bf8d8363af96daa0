"""Prompt: the question after its pictures, and the answer that each class gets, as token ids.

Pictures come first. Mllama lets tokens before a picture see it all the same (transformers issue 39379), so
nothing but the chat template's own header may stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.families import Vlm
from hpc_nuvlm.models.vlm.eyes import Eyes
from hpc_nuvlm.rationale import CLASS_TEXT
from hpc_nuvlm.sample import UNLABELLED


@dataclass(frozen=True)
class Prompt:
    """Token ids of the question (with its image tokens), and of the whole answer for each class."""

    question: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    # The question with a line of context after it, as token ids
    ask: Callable[[str], tuple[int, ...]]

    @property
    def shared(self) -> tuple[int, ...]:
        """The beginning that every answer has in common; the classes differ after it."""
        return _shared(self.answers)


@dataclass(frozen=True)
class Explained:
    """What is asked for an explanation, and how one becomes token ids."""

    question: tuple[int, ...]
    processor: object
    # The answer of each class, which ends an explanation
    answers: tuple[str, ...]
    # What the chat template puts before an answer, and after it
    begin: str
    end: str
    # The question with a line of context after it, as token ids
    ask: Callable[[str], tuple[int, ...]]

    @property
    def stops(self) -> tuple[int, ...]:
        """Token ids after which nothing more is said: what the chat template puts after an answer begins with one."""
        return (self.processor.tokenizer.eos_token_id, *_ids(self.processor, self.end)[:1])

    def tokens(self, rationale: str, label: int) -> tuple[int, ...]:
        """The whole explanation: the rationale, then the answer of the class; UNLABELLED: the rationale alone."""
        answer = "" if label == UNLABELLED else self.answers[label]
        said = " ".join(part for part in (rationale, answer) if part)
        return tuple(_ids(self.processor, self.begin + said + self.end))

    def num_before_class(self, rationale: str) -> int:
        """How many tokens an explanation has before the first that tells its class from another."""
        return len(_shared([self.tokens(rationale, label) for label in range(len(self.answers))]))


def _shared(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The beginning that all have in common."""
    alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*rows))
    return tuple(tokens[0] for tokens in alike)


def build_prompt(config: Vlm, classes: tuple[str, ...], processor, eyes: Eyes) -> Prompt:
    ask = partial(_asked, config.question, processor, eyes)
    answers = _answers(config, classes)
    told = (_answered(config.question, answer, processor, eyes.num_images) for answer in answers)
    return Prompt(ask(""), tuple(tuple(_ids(processor, text)) for text in told), ask)


def build_explained(config: Vlm, classes: tuple[str, ...], processor, eyes: Eyes) -> Explained:
    ask = partial(_asked, config.explain, processor, eyes)
    answers = _answers(config, classes)
    begin, _, end = _answered(config.explain, answers[0], processor, eyes.num_images).partition(answers[0])
    return Explained(ask(""), processor, answers, begin, end, ask)


def _answers(config: Vlm, classes: tuple[str, ...]) -> tuple[str, ...]:
    if "{label}" not in config.answer:
        raise ConfigError(f"model.answer = {config.answer!r}: must contain {{label}}, where the class is named")
    return tuple(config.answer.format(label=CLASS_TEXT[label]) for label in classes)


def _user(question: str, num_images: int) -> dict:
    return {"role": "user", "content": [{"type": "image"}] * num_images + [{"type": "text", "text": question}]}


def _question(question: str, processor, num_images: int) -> str:
    """The question as the chat template writes it; ConfigError if words stand before its pictures."""
    text = processor.apply_chat_template([_user(question, num_images)], add_generation_prompt=True)
    header = text.partition(processor.image_token)[0]
    if text.count(processor.image_token) != num_images or question in header:
        raise ConfigError(
            f"model.base: its chat template makes {text!r} of the question; {num_images} images must come "
            "first, before any of its words"
        )
    return text


def _asked(question: str, processor, eyes: Eyes, context: str) -> tuple[int, ...]:
    """Token ids of the question, with the line of context after it; "": without one."""
    whole = f"{question} {context}" if context else question
    return tuple(_ids(processor, eyes.expand(_question(whole, processor, eyes.num_images))))


def _answered(question: str, answer: str, processor, num_images: int) -> str:
    """What the chat template writes after the question when `answer` follows."""
    reply = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
    text = processor.apply_chat_template([_user(question, num_images), reply])
    asked = _question(question, processor, num_images)
    if not text.startswith(asked):
        raise ConfigError("model.base: its chat template changes the question when an answer follows")
    return text.removeprefix(asked)


def _ids(processor, text: str) -> list[int]:
    return processor.tokenizer.encode(text, add_special_tokens=False)
