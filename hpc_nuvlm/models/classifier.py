"""ClassifierTask: networks that look at pictures and name a class at once, as all families but the VLM do."""

# B batch, V view, H row, W column, C class

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from hpc_nuvlm.models.task import Prediction, Task
from hpc_nuvlm.sample import UNLABELLED, Batch


class ClassifierTask(Task):
    """One network from 8-bit pictures (B, V, H, W) to logits (B, C) in float32, or several.

    The probabilities of several are averaged (deep ensemble, arXiv:1612.01474).
    """

    def __init__(self, members: Iterable[nn.Module], num_views: int, label_smoothing: float):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.num_views = num_views
        self.label_smoothing = label_smoothing

    def logits(self, batch: Batch) -> list[torch.Tensor]:
        """(B, C) of each network."""
        image_BVHW = self.pictures(batch)
        return [member(image_BVHW) for member in self.members]

    def pictures(self, batch: Batch) -> torch.Tensor:
        """(B, V, H, W) with every view: where detectors are mixed, a batch may have fewer, and gets blank ones."""
        missing = max(0, self.num_views - batch.image_BVHW.shape[1])
        return functional.pad(batch.image_BVHW, (0, 0, 0, 0, 0, missing))

    def loss(self, batch: Batch) -> torch.Tensor:
        return self._loss(self.logits(batch), batch)

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        return Prediction(averaged(self.logits(batch)))

    def loss_and_scores(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.logits(batch)
        return self._loss(logits, batch), averaged(logits)

    def _loss(self, logits: list[torch.Tensor], batch: Batch) -> torch.Tensor:
        smoothing = {"ignore_index": UNLABELLED, "label_smoothing": self.label_smoothing}
        losses = [functional.cross_entropy(one, batch.label_B, reduction="none", **smoothing) for one in logits]
        return torch.stack(losses).mean(0)

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), folder / "model.safetensors")


def averaged(logits: list[torch.Tensor]) -> torch.Tensor:
    """(B, C) logarithm of the mean of the networks' probabilities."""
    logs = [functional.log_softmax(one, -1) for one in logits]
    return torch.stack(logs).logsumexp(0) - math.log(len(logs))
