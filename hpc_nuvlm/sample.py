"""Events become tensors: picture, class and identity of each, in batches. Here torch begins.

Pictures stay 8-bit until they are on the model's device: a float32 batch would be four times (for a
three-channel model twelve times) the bytes.
"""

# B batch, V view, H row, W column

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from hpc_nuvlm.config import Augment
from hpc_nuvlm.context import ContextLines
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.event import Event
from hpc_nuvlm.rationale import Window, claims_of, write
from hpc_nuvlm.views.augment import Change, apply_change, draw_change
from hpc_nuvlm.views.augment import augment as augment_image
from hpc_nuvlm.views.image import ImageView

# Class index of an event whose class is not known
UNLABELLED = -1


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
    label_B: torch.Tensor  # int64, index into the classes; UNLABELLED: the event has none
    valid_B: torch.Tensor  # bool; False is padding: computed, but without weight
    keys: tuple[str, ...]
    # Views of each event; beyond them its pictures are blank. None: all of them
    num_views_B: torch.Tensor | None = None
    # What can be said of each event's pictures, "" where nothing is known
    rationale: tuple[str, ...] | None = None
    # The same events as a teacher sees them, uint8 (B, V, its H, its W); None: there is no teacher
    teacher_image_BVHW: torch.Tensor | None = None
    # What each event's question says of it beside its pictures; None: nothing
    context: tuple[str, ...] | None = None

    @property
    def views_B(self) -> torch.Tensor:
        """(B,) number of views of each event."""
        if self.num_views_B is not None:
            return self.num_views_B
        return torch.full((len(self.keys),), self.image_BVHW.shape[1], device=self.image_BVHW.device)

    def to(self, device: torch.device) -> Batch:
        moved = {
            field.name: value.to(device)
            for field in fields(self)
            if torch.is_tensor(value := getattr(self, field.name))
        }
        return replace(self, **moved)

    def part(self, start: int, stop: int) -> Batch:
        """Events [start, stop) of this batch, padded by its first event to stop - start events."""
        index = torch.arange(start, stop)
        inside = index < len(self.keys)
        chosen = self.take(torch.where(inside, index, 0))
        return replace(chosen, valid_B=chosen.valid_B & inside)

    def take(self, index: torch.Tensor) -> Batch:
        """The events of these indices (n,), in their order."""
        taken = {}
        for field in fields(self):
            value = getattr(self, field.name)
            taken[field.name] = (
                value[index] if torch.is_tensor(value) else value and tuple(value[i] for i in index.tolist())
            )
        return Batch(**taken)


class Source(Protocol):
    """Where batches come from: one dataset's split, or several side by side."""

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int], valid: np.ndarray, epoch: int | None) -> Batch:
        """Read, rasterize and collate. With an epoch, pictures are augmented, by (seed, epoch, event) alone."""


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
    # Whether what can be said of a picture is said
    tell: bool = False
    # Whether events without a class may be among them
    unlabelled: bool = False
    # How a teacher sees the same events; None: there is no teacher
    teacher_view: ImageView | None = None
    # What writes the line of context of each event; None: there is none
    context: ContextLines | None = None

    def __post_init__(self):
        if len(self.split) == 0:
            raise ConfigError("data: a split that the run needs holds no events; pack more, or choose another split")
        known = {*self.classes, None} if self.unlabelled else self.classes
        unknown = sorted({str(label) for label in self.split.labels() if label not in known})
        if unknown:
            raise ConfigError(
                f"data.classes: the split holds events labelled {', '.join(unknown)}, which are not among "
                f"{', '.join(self.classes)}; add them to data.classes, or pack with --classes {','.join(self.classes)}"
            )

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, indices: Sequence[int], valid: np.ndarray, epoch: int | None) -> Batch:
        events = [self.split[int(index)] for index in indices]
        shown = events if self.picture_of is None else [self.split[int(self.picture_of[index])] for index in indices]
        image = self.view.render(shown)["image"]
        teacher_image = None if self.teacher_view is None else self.teacher_view.render(shown)["image"]
        told = None
        if epoch is not None and self.augment is not None:
            ways = [self._way(event) for event in events]
            image = np.stack(
                [
                    augment_image(picture, *way, event_generator(self.seed, epoch, event))
                    for picture, way, event in zip(image, ways, events)
                ]
            )
            changes = [draw_change(*way, event_generator(self.seed, epoch, event)) for way, event in zip(ways, events)]
            if teacher_image is not None:
                teacher_image = self._changed_alike(teacher_image, changes)
        else:
            changes = [Change()] * len(events)
        if self.tell:
            told = self._told(events, changes, epoch)
        labels = [UNLABELLED if (label := event.truth.label) is None else self.classes.index(label) for event in events]
        return Batch(
            torch.from_numpy(image),
            torch.tensor(labels),
            torch.from_numpy(np.array(valid, bool)),
            tuple(event.identity.key for event in events),
            rationale=told,
            teacher_image_BVHW=None if teacher_image is None else torch.from_numpy(teacher_image),
            context=self._context(shown, epoch),
        )

    def _context(self, shown: list[Event], epoch: int | None) -> tuple[str, ...] | None:
        """The line of each event whose picture is shown; in an epoch of training, fields are masked."""
        if self.context is None:
            return None
        generators = None
        if epoch is not None:
            # Far along the streams that augmentation draws from: what is masked has nothing to do with what is turned
            states = (event_generator(self.seed, epoch, event).bit_generator for event in shown)
            generators = [np.random.Generator(state.jumped()) for state in states]
        return self.context.write(shown, self.detector, generators)

    def _way(self, event: Event) -> tuple[Augment, Detector]:
        """How an event may be changed. What is told of one has lengths, and places by the names of its views."""
        if not (self.tell and event.truth.facts):
            return self.augment, self.detector
        flips = tuple(symmetry for symmetry in self.detector.symmetries if not symmetry.permutation)
        return self.augment.rigid(), replace(self.detector, symmetries=flips)

    def _changed_alike(self, image: np.ndarray, changes: list[Change]) -> np.ndarray:
        """The teacher's pictures after the change that the events' own had; blanked pixels are those of one picture."""
        pixel_ratio = self.view.view.pool / self.teacher_view.view.pool
        return np.stack([apply_change(picture, change, pixel_ratio) for picture, change in zip(image, changes)])

    def _told(self, events: list[Event], changes: list[Change], epoch: int | None) -> tuple[str, ...]:
        """What can be said of each event after its change; its wording is another one in each epoch."""
        told = []
        for event, change, low in zip(events, changes, self.view.windows(events)):
            window = Window(low, self.view.extent, tuple(plane.name for plane in self.detector.planes))
            for symmetry in change.symmetries:
                window = window.mirrored(symmetry.flip_rows, symmetry.flip_columns)
            if change.shift is not None:
                window = window.moved(tuple(np.array(change.shift) / self.view.view.size))
            generator = event_generator(self.seed, -1 if epoch is None else epoch, event)
            told.append(write(claims_of(event.truth, window), generator))
        return tuple(told)


@dataclass(frozen=True)
class Joined:
    """Several sources side by side: the events of the first, then those of the second, and so on."""

    sources: tuple[Samples, ...]

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def batch(self, indices: Sequence[int], valid: np.ndarray, epoch: int | None) -> Batch:
        starts = np.cumsum([0, *map(len, self.sources)])
        which = np.searchsorted(starts, indices, side="right") - 1
        rows = [np.flatnonzero(which == number) for number in range(len(self.sources))]
        parts = [
            source.batch(np.asarray(indices)[chosen] - starts[number], np.asarray(valid)[chosen], epoch)
            for number, (source, chosen) in enumerate(zip(self.sources, rows))
            if len(chosen)
        ]
        return join(parts).take(torch.from_numpy(np.argsort(np.concatenate(rows), kind="stable")))


def join(parts: Sequence[Batch]) -> Batch:
    """One batch of all events, in order; pictures of fewer views than others get blank ones."""
    views = max(part.image_BVHW.shape[1] for part in parts)
    images = [_of_views(part.image_BVHW, views) for part in parts]
    taught = [_of_views(part.teacher_image_BVHW, views) for part in parts if part.teacher_image_BVHW is not None]
    told, context = (
        None if any(text is None for text in texts) else sum(texts, ())
        for texts in ([part.rationale for part in parts], [part.context for part in parts])
    )
    return Batch(
        torch.cat(images),
        torch.cat([part.label_B for part in parts]),
        torch.cat([part.valid_B for part in parts]),
        sum((part.keys for part in parts), ()),
        torch.cat([part.views_B for part in parts]),
        told,
        torch.cat(taught) if taught else None,
        context,
    )


def _of_views(image_BVHW: torch.Tensor, views: int) -> torch.Tensor:
    return functional.pad(image_BVHW, (0, 0, 0, 0, 0, views - image_BVHW.shape[1]))


def event_generator(seed: int, epoch: int, event: Event) -> np.random.Generator:
    """Randomness for one event in one epoch: the same whichever rank or worker reads it."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{event.identity.key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], np.uint64)))
