"""Plain engine: torch alone. What the ZeRO engine must agree with, and enough for one device."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

import torch
import torch.distributed as dist

from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.state import MOMENTS, Tensors
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.sample import Batch


class Engine(Protocol):
    """Turns losses into new weights. All calls are collectives: every rank makes them, in the same order."""

    task: Task

    def backward(self, batch: Batch, num_valid: int) -> torch.Tensor:
        """Add this micro-batch's gradient of (sum of valid losses) / num_valid; return its losses (B,), detached."""

    def step(self, learning_rate: float) -> None:
        """Average gradients over ranks, clip, update the weights, clear the gradients."""

    def tensors(self) -> Tensors:
        """Weights and moments of the whole model, on every rank."""

    def weights_digest(self) -> str | None:
        """Of the weights that this rank computes with, which all ranks hold alike; None where each holds a part."""

    def restore(self, tensors: Tensors, step: int) -> None:
        """Continue from what `tensors` returned after `step` steps, here or in another world."""


def parameter_groups(task: Task, weight_decay: float) -> list[dict]:
    """Decay matrices and kernels, not biases, norms and gates."""
    decayed = [parameter for parameter in task.trainable().values() if parameter.ndim >= 2]
    plain = [parameter for parameter in task.trainable().values() if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def build_optimizer(task: Task, run: Run) -> torch.optim.AdamW:
    groups = parameter_groups(task, run.optimizer.weight_decay)
    return torch.optim.AdamW(groups, lr=run.optimizer.lr, betas=run.optimizer.betas)


def adamw_state(parameter: torch.Tensor, step: int) -> dict[str, torch.Tensor]:
    """The state that torch.optim.AdamW would have made for a parameter, with zero moments."""
    return {"step": torch.tensor(float(step)), **{kind: torch.zeros_like(parameter) for kind in MOMENTS}}


def digest_of(task: Task) -> str:
    """SHA-256 (hex) of the bytes of everything that is learned."""
    digest = sha256()
    for parameter in task.trainable().values():
        digest.update(parameter.detach().contiguous().view(-1).view(torch.uint8).cpu().numpy())
    return digest.hexdigest()


class PlainEngine:
    def __init__(self, run: Run, task: Task, world: World):
        self.task = task.to(world.device)
        self.world = world
        self.max_grad_norm = run.optimizer.max_grad_norm
        self.optimizer = build_optimizer(task, run)
        self._make_state(step=0)

    def backward(self, batch: Batch, num_valid: int) -> torch.Tensor:
        losses = self.task(batch)
        (torch.where(batch.valid_B, losses, 0).sum() / num_valid).backward()
        return losses.detach()

    def step(self, learning_rate: float) -> None:
        parameters = list(self.task.trainable().values())
        if self.world.size > 1:
            for parameter in parameters:
                dist.all_reduce(parameter.grad)
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad()

    def tensors(self) -> Tensors:
        values = {name: parameter.detach().cpu().clone() for name, parameter in self.task.trainable().items()}
        moments = {
            name: {kind: self.optimizer.state[parameter][kind].cpu().clone() for kind in MOMENTS}
            for name, parameter in self.task.trainable().items()
        }
        return Tensors(values, moments)

    def weights_digest(self) -> str:
        return digest_of(self.task)

    def restore(self, tensors: Tensors, step: int) -> None:
        self._make_state(step)
        for name, parameter in self.task.trainable().items():
            with torch.no_grad():
                parameter.copy_(tensors.values[name])
            for kind, value in tensors.moments[name].items():
                self.optimizer.state[parameter][kind].copy_(value)

    def _make_state(self, step: int) -> None:
        for parameter in self.task.trainable().values():
            self.optimizer.state[parameter] = adamw_state(parameter, step)
