"""Task: all that the engine and the evaluation know of a model, and all that a model knows of them.

A new family is a Task in a file of its own, a config class, a row in FAMILIES, and a YAML.
"""

# B batch, C class

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hpc_nuvlm.models.operations import counting_operations
from hpc_nuvlm.sample import Batch


@dataclass(frozen=True)
class Said:
    """A generated text; of each of its tokens the characters [start, stop), and the natural log of its probability."""

    text: str
    spans: tuple[tuple[int, int], ...]
    log_probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Prediction:
    """Log-probabilities of the classes, normalized in each row, and what was generated if it was asked for."""

    log_probability_BC: torch.Tensor
    said: tuple[Said, ...] | None = None

    @property
    def text(self) -> tuple[str, ...] | None:
        return None if self.said is None else tuple(said.text for said in self.said)


class Task(nn.Module, ABC):
    """A model with its loss. Parameters belong to submodules, never to the Task: ZeRO-3 gathers by submodule."""

    @abstractmethod
    def loss(self, batch: Batch) -> torch.Tensor:
        """(B,) loss of each event, in nats; padding rows are computed too, and weighted by the engine.

        The class costs nothing where the event has none.
        """

    @abstractmethod
    def predict(self, batch: Batch, explain: bool = False) -> Prediction: ...

    def loss_and_scores(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(B,) `loss`, and (B, C) log-probabilities as `predict` gives them: what a student of a teacher needs of both.

        A family in which both have a part in common computes it once.
        """
        return self.loss(batch), self.predict(batch).log_probability_BC

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the model as its own ecosystem expects it, for use without this toolkit."""

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.loss(batch)

    def trainable(self) -> dict[str, nn.Parameter]:
        """What is learned, by name: the only tensors that a checkpoint holds."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def flops(self, batch: Batch) -> int:
        """Floating-point operations of one forward pass of the loss, a multiply-add counted as two."""
        with counting_operations() as counter, torch.no_grad():
            self.loss(batch)
        return counter.get_total_flops()


@contextmanager
def evaluating(task: Task) -> Iterator[None]:
    """Evaluation mode without gradients; the mode before is restored."""
    training = task.training
    task.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        task.train(training)
