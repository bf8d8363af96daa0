"""Augmentation: another picture that the detector could have given of the same kind of event.

The draws depend only on the generator, so a generator seeded by (run, epoch, event) gives the same
picture on any rank, and the same change of another picture of the event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.config import Augment
from hpc_nuvlm.detector import Detector, Symmetry


@dataclass(frozen=True)
class Change:
    """What is done to an event as a whole; None: not done."""

    symmetries: tuple[Symmetry, ...] = ()
    # Factors along rows and along columns, and shear
    stretch: tuple[float, float, float] | None = None
    # Rows and columns, in image pixels
    shift: tuple[int, int] | None = None
    gain: float | None = None


def draw_change(settings: Augment, detector: Detector, generator: np.random.Generator) -> Change:
    drawn = {}
    if settings.symmetries:
        drawn["symmetries"] = tuple(symmetry for symmetry in detector.symmetries if generator.random() < 0.5)
    if settings.stretch or settings.shear:
        rows, columns = generator.uniform(1 - settings.stretch, 1 + settings.stretch, size=2)
        drawn["stretch"] = rows, columns, generator.uniform(-settings.shear, settings.shear)
    if any(settings.shift):
        limit = np.array(settings.shift)
        drawn["shift"] = tuple(generator.integers(-limit, limit, endpoint=True).tolist())
    if settings.gain:
        drawn["gain"] = generator.uniform(1 - settings.gain, 1 + settings.gain)
    return Change(**drawn)


def apply_change(image: np.ndarray, change: Change, pixel_ratio: float = 1.0) -> np.ndarray:
    """A changed copy of one event's views, uint8 (V, H, W): symmetries, stretch, shift, gain.

    pixel_ratio: pixels of this image to one of those that the shift counts, each way; the shift is rounded.
    """
    image = image.copy()
    for symmetry in change.symmetries:
        image = apply_symmetry(image, symmetry)
    if change.stretch is not None:
        image = stretch(image, *change.stretch)
    if change.shift is not None:
        rows, columns = change.shift
        image = shift(image, round(rows * pixel_ratio), round(columns * pixel_ratio))
    if change.gain is not None:
        image = np.minimum(np.rint(image * change.gain), 255).astype(np.uint8)
    return image


def augment(image: np.ndarray, settings: Augment, detector: Detector, generator: np.random.Generator) -> np.ndarray:
    """A changed copy of one event's views, uint8 (V, H, W): symmetries, stretch, shift, gain, dropout."""
    image = apply_change(image, draw_change(settings, detector, generator))
    if settings.dropout:
        lit = np.flatnonzero(image)
        image.reshape(-1)[lit[generator.random(lit.size) < settings.dropout]] = 0
    return image


def apply_symmetry(image: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """The mirrored event, as a new array: flips within views first, then the exchange of views."""
    mirrored = image.copy()
    for view in symmetry.flip_rows:
        mirrored[view] = mirrored[view, ::-1].copy()
    for view in symmetry.flip_columns:
        mirrored[view] = mirrored[view, :, ::-1].copy()
    return mirrored[list(symmetry.permutation)] if symmetry.permutation else mirrored


def stretch(image: np.ndarray, rows: float, columns: float, shear: float) -> np.ndarray:
    """The event enlarged by `rows` and `columns`, its columns moved by `shear` per row; nearest pixel, a new array.

    The first row with charge and the middle column stay where they are: what lies upstream is not pushed out.
    """
    height, width = image.shape[1:]
    lit_rows = np.flatnonzero(image.any((0, 2)))
    first, middle = (lit_rows[0] if lit_rows.size else 0), (width - 1) / 2
    down = np.arange(height)[:, None] - first
    across = np.arange(width)[None] - middle
    from_row = np.broadcast_to(np.floor(first + down / rows + 0.5), (height, width)).astype(int)
    from_column = np.floor(middle + (across - shear * down) / columns + 0.5).astype(int)
    inside = (from_row >= 0) & (from_row < height) & (from_column >= 0) & (from_column < width)
    stretched = np.zeros_like(image)
    stretched[:, inside] = image[:, from_row[inside], from_column[inside]]
    return stretched


def shift(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Pixel (r, c) moved to (r + rows, c + columns) in all views, as a new array; what comes in is 0."""
    shifted = np.zeros_like(image)
    height, width = image.shape[1:]
    to_rows, from_rows = _overlap(rows, height)
    to_columns, from_columns = _overlap(columns, width)
    shifted[:, to_rows, to_columns] = image[:, from_rows, from_columns]
    return shifted


def _overlap(step: int, length: int) -> tuple[slice, slice]:
    """Where pixels that stay inside go to, and where they come from."""
    stay = max(length - abs(step), 0)
    first_to, first_from = (length - stay, 0) if step > 0 else (0, length - stay)
    return slice(first_to, first_to + stay), slice(first_from, first_from + stay)
