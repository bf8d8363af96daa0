"""Exported: a finished run as a user of its ONNX file has it, asked like any other model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from hpc_nuvlm.deployment import CALIBRATION_EVENTS, export_onnx, int8_path
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.models.onnx_export import in_onnxruntime
from hpc_nuvlm.models.task import Prediction, Task
from hpc_nuvlm.sample import Batch


class Exported(Task):
    def __init__(self, task: Task, run: Path, form: str):
        super().__init__()
        self.original = task
        # Read at once, so the file may go
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "model.onnx"
            _, failures = export_onnx(run, out, form == "int8", CALIBRATION_EVENTS)
            if failures:
                raise UserError(f"{run}: cannot be exported: {'; '.join(failures)}")
            self.classify = in_onnxruntime(int8_path(out) if form == "int8" else out)

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        return Prediction(torch.from_numpy(self.classify(batch.image_BVHW.numpy())).log(), None)

    def flops(self, batch: Batch) -> int:
        """Of the model that was exported."""
        return self.original.flops(batch)

    def loss(self, batch: Batch) -> torch.Tensor:
        raise NotImplementedError("an exported model does not learn")

    def export(self, folder: Path) -> None:
        raise NotImplementedError("is exported")
