"""Events become tensors: picture, class and identity of each, in batches. Here torch begins.

Pictures stay 8-bit until they are on the model's device: a float32 batch would be four times (for a
three-channel model twelve times) the bytes.
"""

# B batch, V view, H row, W column

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from hpc_nuvlm.config import Augment
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event
from hpc_nuvlm.views.augment import augment as augment_image
from hpc_nuvlm.views.image import ImageView


class Split(Protocol):
    """A sequence of events that also knows its labels without reading hits."""

    fingerprint: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Event: ...

    def labels(self) -> list[str | None]: ...


@dataclass(frozen=True)
class Batch:
    """What a Task learns from or predicts on."""

    image_BVHW: torch.Tensor  # uint8
    label_B: torch.Tensor  # int64, index into the classes
    valid_B: torch.Tensor  # bool; False is padding: computed, but without weight
    keys: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.image_BVHW.to(device), self.label_B.to(device), self.valid_B.to(device), self.keys)

    def part(self, start: int, stop: int) -> Batch:
        """Events [start, stop) of this batch, padded by its first event to stop - start events."""
        index = torch.arange(start, stop)
        inside = index < len(self.keys)
        index = torch.where(inside, index, 0)
        keys = tuple(self.keys[i] for i in index.tolist())
        return Batch(self.image_BVHW[index], self.label_B[index], self.valid_B[index] & inside, keys)


@dataclass(frozen=True)
class Samples:
    """A dataset split, seen through a view and with its classes numbered."""

    split: Split
    view: ImageView
    detector: Detector
    classes: tuple[str, ...]
    augment: Augment | None = None
    seed: int = 0
    # Control experiment: (n,) index of the event whose picture is shown in place of the event's own; None: its own
    picture_of: np.ndarray | None = None

    def __post_init__(self):
        if len(self.split) == 0:
            raise ConfigError("data: a split that the run needs holds no events; pack more, or choose another split")
        unknown = sorted({str(label) for label in self.split.labels() if label not in self.classes})
        if unknown:
            raise ConfigError(
                f"data.classes: the split holds events labelled {', '.join(unknown)}, which are not among "
                f"{', '.join(self.classes)}; add them to data.classes, or pack with --classes {','.join(self.classes)}"
            )

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, indices: Sequence[int], valid: np.ndarray, epoch: int | None) -> Batch:
        """Read, rasterize and collate. With an epoch, pictures are augmented, by (seed, epoch, event) alone."""
        events = [self.split[int(index)] for index in indices]
        shown = events if self.picture_of is None else [self.split[int(self.picture_of[index])] for index in indices]
        image = self.view.render(shown)["image"]
        if epoch is not None and self.augment is not None:
            image = np.stack(
                [
                    augment_image(picture, self.augment, self.detector, event_generator(self.seed, epoch, event))
                    for picture, event in zip(image, events)
                ]
            )
        labels = [self.classes.index(event.truth.label) for event in events]
        keys = tuple(event.identity.key for event in events)
        return Batch(torch.from_numpy(image), torch.tensor(labels), torch.from_numpy(np.array(valid, bool)), keys)


def event_generator(seed: int, epoch: int, event: Event) -> np.random.Generator:
    """Randomness for one event in one epoch: the same whichever rank or worker reads it."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{event.identity.key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], np.uint64)))
