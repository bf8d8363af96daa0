"""One batch through a model, to see that it can learn."""

from __future__ import annotations

import torch

from hpc_nuvlm.errors import UserError
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.sample import Batch


def try_step(task: Task, batch: Batch) -> float:
    """Mean loss of the batch; UserError if it is not finite, or if something that is learned gets no gradient."""
    losses = task.loss(batch)
    if not bool(torch.isfinite(losses).all()):
        raise UserError(f"model: the loss of the first batch is not finite: {losses.tolist()}")
    losses.mean().backward()
    without = [name for name, parameter in task.trainable().items() if parameter.grad is None]
    if without:
        raise UserError(f"model: {len(without)} parameters get no gradient, first {without[0]}")
    return float(losses.detach().mean())
