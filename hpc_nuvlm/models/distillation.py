"""Distillation: a model learns from a teacher's probabilities, beside the labels or in place of them.

Teacher and student look at the same event after the same augmentation, each through its own view. Both are
asked for class probabilities and for nothing else, so either may be of any family.
"""

# B batch, C class

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from hpc_nuvlm.models.task import Prediction, Task, evaluating
from hpc_nuvlm.sample import Batch


@dataclass(frozen=True)
class Teacher:
    """A finished model that is asked and never changed.

    No module: what engines move, shard, convert or save is the student alone, and the teacher keeps the precision that
    it was trained in. Every rank holds a whole one.
    """

    task: Task
    # Whether it was trained with the lines of context that batches may hold
    reads_context: bool = False

    def log_probability(self, batch: Batch) -> torch.Tensor:
        """(B, C) of the events as the teacher sees them, in evaluation mode, without gradient."""
        context = batch.context if self.reads_context else None
        seen = replace(batch, image_BVHW=batch.teacher_image_BVHW, teacher_image_BVHW=None, context=context)
        with evaluating(self.task):
            return self.task.predict(seen).log_probability_BC


def divergence(teacher_BC: torch.Tensor, student_BC: torch.Tensor, temperature: float) -> torch.Tensor:
    """(B,) temperature^2 KL(teacher || student) of the softened distributions [nats], from log-probabilities.

    The square keeps the size of the gradient when the temperature changes (Hinton, Vinyals, Dean, arXiv:1503.02531,
    section 2). Log-probabilities serve as logits: a softmax does not see what they differ by.
    """
    teacher_BC, student_BC = (functional.log_softmax(logs / temperature, -1) for logs in (teacher_BC, student_BC))
    return temperature**2 * functional.kl_div(student_BC, teacher_BC, reduction="none", log_target=True).sum(-1)


class Distillation(Task):
    """The student, whose loss is (1 - weight) of its own and `weight` of the divergence from its teacher."""

    def __init__(self, student: Task, teacher: Teacher, weight: float, temperature: float):
        super().__init__()
        self.student = student
        self.teacher = teacher
        self.weight = weight
        self.temperature = temperature

    def loss(self, batch: Batch) -> torch.Tensor:
        # What has no weight is not computed: it would draw from the generator that dropout uses, and cost time
        if self.weight == 0:
            return self.student.loss(batch)
        if self.weight == 1:
            loss_B, student_BC = 0, self.student.predict(batch).log_probability_BC
        else:
            loss_B, student_BC = self.student.loss_and_scores(batch)
        apart_B = divergence(self.teacher.log_probability(batch), student_BC, self.temperature)
        return (1 - self.weight) * loss_B + self.weight * apart_B

    def trainable(self) -> dict[str, nn.Parameter]:
        """The student's, by the names that they have in it: a checkpoint is that of a plain run of the student."""
        return self.student.trainable()

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        return self.student.predict(batch, explain)

    def export(self, folder: Path) -> None:
        self.student.export(folder)
