"""Regions: the lit pixels that a text names, and equally bright ones elsewhere in the picture.

Light is what a picture shows of the charge: the sum of 8-bit levels, which is what the model sees.
"""

# V view, H row, W column

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpc_nuvlm.rationale import read
from hpc_nuvlm.rationale.claims import LEADS, Place

# Half width of the band around the straight line from where the leading object begins to where it ends, in percent of
# the picture's side. Around the true line of single particles in pictures of 504 native pixels, 3 % hold 88 % of a
# muon's light (2 %: 78 %; tracks are not straight), 5 % hold 91 % of an electron's (3 %: 86 %; Moliere radius of
# liquid argon: 9 cm, 4 %). What is no shower by its text's own word is a track.
TRACK_HALF_WIDTH_PERCENT, SHOWER_HALF_WIDTH_PERCENT = 3.0, 5.0
SHOWERS = ("electron", "photon")


@dataclass(frozen=True)
class Named:
    """The region that a text names: a place in each view, and the half width of the band around it [percent]."""

    places: tuple[Place, ...]
    half_width_percent: float


def named_region(text: str) -> Named | None:
    """The first region that the text claims; None if it claims none."""
    claims = read(text)
    regions = [claim.value for claim in claims if claim.kind == "region"]
    if not regions:
        return None
    leads = [claim.value for claim in claims if claim.kind == "lead" and claim.value in LEADS]
    shower = bool(leads) and leads[0] in SHOWERS
    return Named(regions[0], SHOWER_HALF_WIDTH_PERCENT if shower else TRACK_HALF_WIDTH_PERCENT)


def named_pixels(image_VHW: np.ndarray, planes: Sequence[str], named: Named) -> np.ndarray:
    """Flat numbers of the lit pixels in the band; views that the picture does not have are passed over."""
    inside = np.zeros(image_VHW.shape, bool)
    for plane, *ends in named.places:
        if plane in planes[: len(image_VHW)]:
            inside[planes.index(plane)] = band(image_VHW.shape[1:], ends, named.half_width_percent)
    return np.flatnonzero(inside & (image_VHW > 0))


def band(shape: tuple[int, int], ends: Sequence[int], half_width_percent: float) -> np.ndarray:
    """(H, W): pixels whose centre is within the half width of the line between two points (row, column, row, column).

    All in percent of the sides; a whole percent p stands for the middle of [p, p + 1).
    """
    begin, end = np.reshape(ends, (2, 2)) + 0.5
    row, column = (100 * (np.arange(size) + 0.5) / size for size in shape)
    row, column = row[:, None] - begin[0], column[None] - begin[1]
    step = end - begin
    length_2 = step @ step
    along = np.clip((row * step[0] + column * step[1]) / length_2, 0, 1) if length_2 else 0.0
    return (row - along * step[0]) ** 2 + (column - along * step[1]) ** 2 <= half_width_percent**2


def light_by_view(image_VHW: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(V,) sum of the levels of these pixels."""
    view = pixels // image_VHW[0].size
    return np.bincount(view, image_VHW.reshape(-1)[pixels], minlength=len(image_VHW))


def random_pixels(
    image_VHW: np.ndarray, light_V: np.ndarray, generator: np.random.Generator, apart_from: np.ndarray | None = None
) -> np.ndarray:
    """In each view, the lit pixels nearest to a random one of them that have this light, to half the last pixel's.

    `apart_from`: pixels that are not taken; those that are left have to hold the light.
    """
    left = image_VHW.copy()
    if apart_from is not None:
        left.reshape(-1)[apart_from] = 0
    taken = []
    for view, (image_HW, light) in enumerate(zip(left, light_V)):
        row, column = np.nonzero(image_HW)
        if not light or not len(row):
            continue
        start = generator.integers(len(row))
        nearest = np.argsort((row - row[start]) ** 2 + (column - column[start]) ** 2, kind="stable")
        reached = np.cumsum([0, *image_HW[row[nearest], column[nearest]].tolist()])
        num_taken = int(np.argmin(abs(reached - light)))
        chosen = nearest[:num_taken]
        taken.append(np.ravel_multi_index((np.full(num_taken, view), row[chosen], column[chosen]), image_VHW.shape))
    return np.concatenate(taken) if taken else np.empty(0, np.int64)
