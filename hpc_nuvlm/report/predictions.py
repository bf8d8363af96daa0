"""Predictions and scores as files, each written whole or not at all.

Truth and prediction are stored as class names, not indices, so that the file can be read without
this package; the order of the classes is in the Parquet metadata.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hpc_nuvlm.calibration import Calibrated
from hpc_nuvlm.conformal import name_sets, read_sets
from hpc_nuvlm.errors import FormatError, UserError
from hpc_nuvlm.metrics import Scores, check_probabilities

CLASSES_KEY = b"nuvlm_classes"
# Column -> field of Calibrated
SETS = {"set": "sets", "set_by_class": "sets_by_class"}


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one run says about N events; `truth` holds indices into `classes`."""

    ids: tuple[str, ...]
    truth: np.ndarray
    # (N, C)
    probabilities: np.ndarray
    classes: tuple[str, ...]
    # Generated explanation of each event; None: the family writes none
    text: tuple[str | None, ...] | None = None
    # Seconds spent on each event; None: not measured
    time_s: np.ndarray | None = None
    # Probabilities and sets of classes after calibration; None: it was left out
    calibrated: Calibrated | None = None

    def __post_init__(self):
        check_probabilities(self.truth, self.probabilities, self.classes)
        if self.calibrated is not None:
            check_probabilities(self.truth, self.calibrated.probabilities, self.classes)
        columns = {"ids": self.ids, "text": self.text, "time_s": self.time_s}
        lengths = {name: len(column) for name, column in columns.items() if column is not None}
        if set(lengths.values()) != {len(self.truth)}:
            raise UserError(
                f"predictions: {len(self.truth)} events, but lengths are {lengths}; give one value an event"
            )
        name, times = Counter(self.ids).most_common(1)[0]
        if times > 1:
            raise UserError(f"predictions: id {name!r} occurs {times} times; an event may be scored only once")

    @property
    def predicted(self) -> np.ndarray:
        """(N,) index of the most probable class; a tie goes to the lower index."""
        return self.probabilities.argmax(1)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Publish one Parquet file with the columns of `_schema`, one row per event, in the order given."""
    names, calibrated = np.array(predictions.classes), predictions.calibrated
    columns = {
        "id": list(predictions.ids),
        "truth": names[predictions.truth],
        **{f"p_{name}": column for name, column in zip(names, predictions.probabilities.T, strict=True)},
        "predicted": names[predictions.predicted],
        "text": predictions.text or [None] * len(predictions.ids),
        "time_s": predictions.time_s if predictions.time_s is not None else [None] * len(predictions.ids),
    }
    if calibrated is not None:
        columns |= {
            f"calibrated_{name}": column for name, column in zip(names, calibrated.probabilities.T, strict=True)
        }
        columns |= {name: name_sets(getattr(calibrated, field), predictions.classes) for name, field in SETS.items()}
    with published(path) as file:
        pq.write_table(pa.table(columns, schema=_schema(predictions.classes, calibrated is not None)), file)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; FormatError names the column that is missing, added or inconsistent."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; `nuvlm evaluate` writes it") from error
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path}: not a Parquet file: {error}") from error
    classes = _stored_classes(table.schema, path)
    index = {name: i for i, name in enumerate(classes)}
    columns = {name: table[name].to_pylist() for name in ("id", "truth", "predicted", "text")}
    for name in ("truth", "predicted"):
        unknown = set(columns[name]) - set(classes)
        if unknown:
            raise FormatError(f"{path}: column {name!r} holds {unknown}; the file's classes are {', '.join(classes)}")
    try:
        predictions = Predictions(
            ids=tuple(columns["id"]),
            truth=np.array([index[name] for name in columns["truth"]], np.int64),
            probabilities=np.column_stack([table[f"p_{name}"].to_numpy() for name in classes]),
            classes=classes,
            text=_unless_empty(table["text"], tuple(columns["text"])),
            time_s=_unless_empty(table["time_s"], table["time_s"].to_numpy()),
            calibrated=_read_calibrated(table, classes),
        )
    except UserError as error:
        raise FormatError(f"{path}: {error}") from error
    _check_predicted(predictions, columns["predicted"], path)
    return predictions


def write_scores(path: Path, scores: Scores, extra: dict) -> None:
    """Publish {"scores": ..., **extra} as JSON; `extra` tells what was scored (run, checkpoint, split, hardware)."""
    if "scores" in extra:
        raise UserError(f"{path}: extra holds the key 'scores', which is taken; name it otherwise")
    try:
        text = json.dumps({**extra, "scores": scores.to_json()}, indent=2, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: extra cannot be written as JSON: {error}; write None for an unknown number"
        ) from error
    with published(path) as file:
        file.write(text.encode() + b"\n")


@contextmanager
def published(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under `path` complete and on disk, or, after an error, not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _schema(classes: tuple[str, ...], calibrated: bool) -> pa.Schema:
    return pa.schema(
        [
            ("id", pa.string()),
            ("truth", pa.string()),
            *((f"p_{name}", pa.float64()) for name in classes),
            ("predicted", pa.string()),
            ("text", pa.string()),
            ("time_s", pa.float64()),
            *((f"calibrated_{name}", pa.float64()) for name in classes if calibrated),
            *((name, pa.string()) for name in SETS if calibrated),
        ],
        metadata={CLASSES_KEY: json.dumps(classes)},
    )


def _stored_classes(schema: pa.Schema, path: Path) -> tuple[str, ...]:
    if CLASSES_KEY not in (schema.metadata or {}):
        raise FormatError(f"{path}: metadata {CLASSES_KEY.decode()!r} is missing; `nuvlm evaluate` writes such files")
    classes = tuple(json.loads(schema.metadata[CLASSES_KEY]))
    # Without calibration there is none of its columns, as in files of earlier versions
    expected = _schema(classes, calibrated=any(name in schema.names for name in SETS))
    missing = [str(field) for field in expected if field not in list(schema)]
    unknown = [str(field) for field in schema if field not in list(expected)]
    if missing or unknown:
        raise FormatError(f"{path}: columns missing or of another type: {missing}; columns not expected: {unknown}")
    return classes


def _read_calibrated(table: pa.Table, classes: tuple[str, ...]) -> Calibrated | None:
    if not set(SETS) & set(table.column_names):
        return None
    probabilities = np.column_stack([table[f"calibrated_{name}"].to_numpy() for name in classes])
    sets = {field: read_sets(table[name].to_pylist(), classes) for name, field in SETS.items()}
    return Calibrated(probabilities, **sets)


def _unless_empty(column: pa.ChunkedArray, values):
    return None if column.null_count == len(column) else values


def _check_predicted(predictions: Predictions, stored: list[str], path: Path) -> None:
    for name, chosen, said in zip(predictions.ids, predictions.predicted, stored, strict=True):
        if predictions.classes[chosen] != said:
            raise FormatError(
                f"{path}: event {name!r}: column 'predicted' holds {said}, but {predictions.classes[chosen]} "
                "is the most probable; the columns were changed apart from each other"
            )
