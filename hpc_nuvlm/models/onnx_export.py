"""ONNX files of models that name a class at once, in float32 or with 8-bit weights; the one home of onnx's libraries.

A file takes 8-bit pictures (batch, view, row, column), any number at a time, and gives probabilities (batch, class).
Its metadata say the rest that a user needs: classes, view, detector, run.
"""

# B batch, V view, H row, W column, C class

from __future__ import annotations

import importlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.models.classifier import ClassifierTask
from hpc_nuvlm.models.task import Task, evaluating
from hpc_nuvlm.sample import UNLABELLED, Batch

INPUT, OUTPUT = "image", "probability"
LIBRARIES = ("onnx", "onnxruntime", "onnxscript")
# What is stored and multiplied in 8 bits; norms and activations between them stay in float32
QUANTIZED = ["Conv", "Gemm", "MatMul"]

# 8-bit pictures (B, V, H, W) to probabilities (B, C)
Classify = Callable[[np.ndarray], np.ndarray]


class Probabilities(nn.Module):
    """The task as a function of pictures alone."""

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def forward(self, image_BVHW: torch.Tensor) -> torch.Tensor:
        count_B = torch.ones_like(image_BVHW[:, 0, 0, 0], dtype=torch.int64)
        batch = Batch(image_BVHW, UNLABELLED * count_B, count_B.bool(), (), count_B * image_BVHW.shape[1])
        return self.task.predict(batch).log_probability_BC.exp()


def require_libraries() -> None:
    missing = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise UserError(f"export-onnx needs {', '.join(missing)}, not installed here; pip install 'hpc-nuvlm[export]'")


def write_onnx(task: Task, picture_VHW: np.ndarray, path: Path, facts: dict[str, str]) -> None:
    """Write the task for pictures like this one; ConfigError if it names no class at once."""
    if not isinstance(task, ClassifierTask):
        raise ConfigError(
            "model.family: a vision-language model scores sentences and has no ONNX form; distil it into a cnn "
            "(configs/distill-cnn-dune.yaml), and export that"
        )
    # One event would be taken for a constant
    example = torch.from_numpy(np.stack([picture_VHW, picture_VHW]))
    with _quiet(), evaluating(task):
        torch.onnx.export(
            Probabilities(task).eval(),
            (example,),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _put_metadata(path, facts)


def write_int8(source: Path, path: Path, pictures: Iterable[np.ndarray], facts: dict[str, str]) -> None:
    """Write an ONNX file's model in 8 bits; ranges of activations are those that occur on the pictures (B, V, H, W).

    Weights are symmetric, a scale for each channel. They have 7 bits: processors without VNNI add pairs of 8-bit
    products in 16 bits, and would saturate (onnxruntime.ai, "Quantize ONNX models", reduce_range).
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.batches = iter(pictures)

        def get_next(self) -> dict[str, np.ndarray] | None:
            picture_BVHW = next(self.batches, None)
            return None if picture_BVHW is None else {INPUT: picture_BVHW}

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Symbolic shapes fail on a batch of any size, and nothing here needs them
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    _put_metadata(path, facts)


def in_torch(task: Task) -> Classify:
    module = Probabilities(task)

    def classify(image_BVHW: np.ndarray) -> np.ndarray:
        with evaluating(task):
            return module(torch.from_numpy(image_BVHW)).numpy()

    return classify


def in_onnxruntime(path: Path) -> Classify:
    """The file's model on the CPU, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda image_BVHW: session.run([OUTPUT], {INPUT: image_BVHW})[0]


def _put_metadata(path: Path, facts: dict[str, str]) -> None:
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model)
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Remarks of the exporters about themselves, which a user can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
