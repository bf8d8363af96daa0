"""export_onnx(): a finished run as an ONNX file, published only if it does what the run's model does.

Every form of the model sees the same validation events in the same process: how far probabilities differ, whether the
class is the same, accuracy, bytes, and time.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpc_nuvlm.config import Run
from hpc_nuvlm.metrics import Estimate, score
from hpc_nuvlm.models import onnx_export
from hpc_nuvlm.models.onnx_export import Classify
from hpc_nuvlm.report.tables import Sheet
from hpc_nuvlm.runs import load_best, open_run
from hpc_nuvlm.sample import Samples
from hpc_nuvlm.store import Dataset, open_dataset
from hpc_nuvlm.training import num_views
from hpc_nuvlm.views.image import ImageView

# A probability in float32 may differ by this: orders of summation do, by 1e-6 or so
LARGEST_DIFFERENCE = 1e-4
# Of events, whose class must stay the same in 8 bits
LEAST_AGREEMENT = 0.98
# Training events whose activations set the ranges of 8-bit numbers
CALIBRATION_EVENTS = 128
TORCH, ONNX, INT8 = "torch", "onnx float32", "onnx int8"


@dataclass(frozen=True, eq=False)
class Form:
    """One form of a model, and what it makes of the events."""

    name: str
    num_bytes: int
    probabilities: np.ndarray  # (N, C)
    accuracy: Estimate
    # Median over batches
    time_ms_per_event: float


def export_onnx(folder: Path, out: Path, int8: bool, num_events: int | None) -> tuple[Sheet, list[str]]:
    """Write OUT, and with `int8` its 8-bit form beside it; returns what was compared, and what it fails by.

    Where something fails nothing is written, and what lay there stays.
    """
    onnx_export.require_libraries()
    run = open_run(folder)
    dataset = open_dataset(run.data.dataset)
    task = load_best(run, num_views(run, dataset))
    batches = pictures(run, dataset, run.data.validation_split, num_events)
    facts = metadata(run, dataset)
    out.parent.mkdir(parents=True, exist_ok=True)
    finished = {ONNX: out} | ({INT8: int8_path(out)} if int8 else {})
    partial = {name: path.with_name(f"{path.name}.partial") for name, path in finished.items()}
    try:
        onnx_export.write_onnx(task, batches[0][0][0], partial[ONNX], facts | {"precision": "float32"})
        if int8:
            calibration = (image for image, _ in pictures(run, dataset, run.data.train_split, CALIBRATION_EVENTS))
            onnx_export.write_int8(partial[ONNX], partial[INT8], calibration, facts | {"precision": "int8"})
        classifiers = {TORCH: onnx_export.in_torch(task)}
        classifiers |= {name: onnx_export.in_onnxruntime(path) for name, path in partial.items()}
        num_bytes = {TORCH: sum(value.nbytes for value in task.state_dict().values())}
        num_bytes |= {name: path.stat().st_size for name, path in partial.items()}
        forms = compare(classifiers, num_bytes, batches, run.data.classes)
        failures = judge(forms)
        if not failures:
            for name, path in partial.items():
                path.replace(finished[name])
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return describe(forms), failures


def int8_path(out: Path) -> Path:
    """MODEL.int8.onnx beside MODEL.onnx."""
    return out.with_name(f"{out.stem}.int8{out.suffix}")


def metadata(run: Run, dataset: Dataset) -> dict[str, str]:
    """What a user of the file must know to make its pictures and read its answer."""
    detector = dataset.manifest.detector
    return {
        "classes": json.dumps(run.data.classes),
        "view": json.dumps(run.view.model_dump(mode="json")),
        "detector": detector.name,
        "planes": json.dumps([plane.name for plane in detector.planes]),
        "run": run.folder.resolve().name,
        "family": run.model.family,
    }


def pictures(run: Run, dataset: Dataset, name: str, most: int | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures (B, V, H, W) and classes (B,) of events spread evenly over a split, all of them if `most` is None."""
    split, detector = dataset.split(name), dataset.manifest.detector
    samples = Samples(split, ImageView(run.view, detector), detector, run.data.classes, unlabelled=True)
    count = len(samples) if most is None else min(most, len(samples))
    chosen = np.linspace(0, len(samples), count, endpoint=False).astype(int)
    read = []
    for start in range(0, count, run.batch.per_rank):
        indices = chosen[start : start + run.batch.per_rank]
        batch = samples.batch(indices, np.ones(len(indices), bool), epoch=None)
        read.append((batch.image_BVHW.numpy(), batch.label_B.numpy()))
    return read


def compare(
    classifiers: dict[str, Classify],
    num_bytes: dict[str, int],
    batches: list[tuple[np.ndarray, np.ndarray]],
    classes: tuple[str, ...],
) -> list[Form]:
    """All forms on the same batches, one after the other on each, so that a busy machine slows all alike."""
    found, times_s = {name: [] for name in classifiers}, {name: [] for name in classifiers}
    for classify in classifiers.values():
        classify(batches[0][0])  # the first call allocates
    for image, _ in batches:
        for name, classify in classifiers.items():
            started_s = time.perf_counter()
            found[name].append(classify(image))
            times_s[name].append((time.perf_counter() - started_s) / len(image))
    truth = np.concatenate([label for _, label in batches])
    forms = []
    for name, parts in found.items():
        probabilities = np.concatenate(parts)
        accuracy = score(truth, probabilities, classes).accuracy
        forms.append(Form(name, num_bytes[name], probabilities, accuracy, 1000 * float(np.median(times_s[name]))))
    return forms


def difference(form: Form, reference: Form) -> float:
    return float(np.abs(form.probabilities - reference.probabilities).max())


def agreement(form: Form, reference: Form) -> float:
    return float((form.probabilities.argmax(1) == reference.probabilities.argmax(1)).mean())


def judge(forms: list[Form]) -> list[str]:
    """What is wrong with the forms after the first, which is the model itself; nothing if they may be used."""
    reference, failures = forms[0], []
    for form in forms[1:]:
        apart, same = difference(form, reference), agreement(form, reference)
        # Not "greater": what is not a number fails too
        if form.name == ONNX and not apart <= LARGEST_DIFFERENCE:
            failures.append(f"{form.name}: a probability differs by {apart:.2g}, limit {LARGEST_DIFFERENCE:g}")
        if form.name == INT8 and not same >= LEAST_AGREEMENT:
            failures.append(f"{form.name}: {same:.1%} of events keep their class, limit {LEAST_AGREEMENT:.0%}")
    return failures


def describe(forms: list[Form]) -> Sheet:
    reference = forms[0]
    header = ["form", "accuracy", "largest difference", "same class", "MB", "ms an event", "speed"]
    rows = [
        [
            form.name,
            f"{form.accuracy.value:.3f} [{form.accuracy.low:.3f}, {form.accuracy.high:.3f}]",
            f"{difference(form, reference):.1e}",
            f"{agreement(form, reference):.1%}",
            f"{form.num_bytes / 1e6:.2f}",
            f"{form.time_ms_per_event:.2f}",
            f"{reference.time_ms_per_event / form.time_ms_per_event:.2f} x",
        ]
        for form in forms
    ]
    return Sheet(f"{len(reference.probabilities)} validation events", header, rows)
