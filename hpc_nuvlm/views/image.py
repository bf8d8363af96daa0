"""ImageView: events -> 8-bit images, one per view plane of the detector.

An image is a window of native pixels, `pool` x `pool` of them summed into each of its own. Windows
begin on native pixels, so that an image of deposits and one of the readout they would give agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpc_nuvlm.config import View
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import UserError
from hpc_nuvlm.event import CHARGE_COLUMN, COLUMNS, NUM_AXES, Event
from nuvlm_kernels import raster
from nuvlm_kernels.centroid import deposit_centroids, pixel_centroids
from nuvlm_kernels.levels import level_edges

# Required columns of each kind, in the order in which the kernels take them
HIT_COLUMNS = {kind: [name for name, (_, required) in columns.items() if required] for kind, columns in COLUMNS.items()}


class ImageView:
    """The region, resolution and 8-bit curve of `view`, on the planes of `detector`."""

    def __init__(self, view: View, detector: Detector):
        self.view = view
        self.detector = detector
        self._edges = level_edges(view.curve, view.full_scale)

    def render(self, events: Sequence[Event]) -> dict[str, np.ndarray]:
        """image: uint8 (E, V, H, W); outside_charge (E, V): what no pixel shows; saturated (E, V): pixels above 255."""
        kind, arguments = self._hits_and_windows(events)
        draw = {"deposits": raster.deposit_levels, "pixels": raster.pixel_levels}[kind]
        image = np.empty((len(events), self.detector.num_views, *self.view.size), np.uint8)
        outside, saturated, _, first_rejected = draw(*arguments, self._edges, image)
        self._refuse_rejected(events, first_rejected)
        return {"image": image, "outside_charge": outside, "saturated": saturated}

    def charge_image(self, events: Sequence[Event]) -> tuple[np.ndarray, np.ndarray]:
        """Charge of each pixel, float32 (E, V, H, W), and the charge outside each image, float64 (E, V)."""
        kind, arguments = self._hits_and_windows(events)
        draw = {"deposits": raster.deposit_views, "pixels": raster.pixel_views}[kind]
        image = np.empty((len(events), self.detector.num_views, *self.view.size), np.float32)
        outside, _, first_rejected = draw(*arguments, image)
        self._refuse_rejected(events, first_rejected)
        return image, outside

    @property
    def extent(self) -> np.ndarray:
        """(2,) native rows and columns that an image spans."""
        return np.array(self.view.size) * self.view.pool

    def windows(self, events: Sequence[Event]) -> np.ndarray:
        """Native row and column at which each image begins, (E, V, 2)."""
        return self._origins(events, *_joined(events))

    def _hits_and_windows(self, events: Sequence[Event]) -> tuple[str, tuple]:
        """The kind of the hits, and what the kernels of that kind need besides their output."""
        kind, hits, offsets = _joined(events)
        origin = self._origins(events, kind, hits, offsets)
        if kind == "pixels":
            return kind, (hits, offsets, origin, self.view.pool)
        pitch_mm = self.detector.pitches_mm
        origin_mm = self.detector.grid_mm + origin * pitch_mm
        return kind, (hits, offsets, self.detector.projections, origin_mm, pitch_mm * self.view.pool)

    def _origins(self, events: Sequence[Event], kind: str, hits: tuple, offsets: np.ndarray) -> np.ndarray:
        """Native row and column at which each image begins, (E, V, 2): whole numbers, as float64."""
        if self.view.crop == "fixed":
            centre = self._fixed(kind)
        elif kind == "pixels":
            self._refuse_vertex(events)
            centre = pixel_centroids(hits, offsets, self.detector.num_views)
        else:
            point_mm = self._vertices(events) if self.view.crop == "vertex" else deposit_centroids(hits, offsets)
            places_mm = np.einsum("vax,ex->eva", self.detector.projections, point_mm)
            centre = (places_mm - self.detector.grid_mm) / self.detector.pitches_mm
        # Where there is no charge, the middle of the readout
        centre = np.where(np.isfinite(centre), centre, self._middle)
        origin = np.floor(centre) - self.extent // 2
        return np.broadcast_to(origin, (len(events), self.detector.num_views, 2))

    @property
    def _middle(self) -> np.ndarray:
        """Native row and column in the middle of the readout, (2,)."""
        return np.array([self.detector.num_rows / 2, self.detector.num_columns / 2])

    def _fixed(self, kind: str) -> np.ndarray:
        if kind == "deposits" and self.detector.volume_low_mm is None:
            raise UserError(
                f"detector {self.detector.name}: crop 'fixed' of deposits needs volume_mm, which is null; "
                "use view.crop=centroid or vertex"
            )
        return self._middle

    def _refuse_vertex(self, events: Sequence[Event]) -> None:
        if self.view.crop == "vertex":
            raise UserError(
                f"event {events[0].identity.key}: crop 'vertex' needs hits in space, and these are readout pixels; "
                "use view.crop=centroid or fixed"
            )

    def _vertices(self, events: Sequence[Event]) -> np.ndarray:
        """True vertices [mm], (E, 3)."""
        point_mm = np.array([event.truth.vertex_mm for event in events]).reshape(-1, NUM_AXES)
        for event, known in zip(events, np.isfinite(point_mm).all(axis=1)):
            if not known:
                raise UserError(
                    f"event {event.identity.key}: crop 'vertex' needs the true vertex, and truth.vertex_mm is "
                    f"{event.truth.vertex_mm}; use view.crop=centroid or fixed"
                )
        return point_mm

    def _refuse_rejected(self, events: Sequence[Event], first_rejected: np.ndarray) -> None:
        for event, hit in zip(events, first_rejected.tolist(), strict=True):
            if hit >= 0:
                raise UserError(f"event {event.identity.key}: hit {hit} {self._fault(event, hit)}")

    def _fault(self, event: Event, hit: int) -> str:
        num_views = self.detector.num_views
        for name in HIT_COLUMNS[event.hits.kind]:
            value = event.hits[name][hit]
            if name == "plane" and value >= num_views:
                return (
                    f"has plane {value}, but detector {self.detector.name} has planes 0 to {num_views - 1}; "
                    "name the detector that the data came from"
                )
            if not np.isfinite(value) or (name == CHARGE_COLUMN[event.hits.kind] and value < 0):
                return (
                    f"has {name} {value}; positions must be finite, and charges finite and not negative: "
                    "correct or drop the hit where the file is read, and pack again"
                )
        raise AssertionError(f"the kernel rejected hit {hit}, and nothing is wrong with it")


def _common_kind(events: Sequence[Event]) -> str:
    first_of_kind = {event.hits.kind: event.identity.key for event in reversed(events)}
    if len(first_of_kind) > 1:
        named = " and ".join(f"{kind} (event {key})" for kind, key in sorted(first_of_kind.items()))
        raise UserError(f"a batch holds {named}; its events must all be of one kind: pack them into separate datasets")
    return next(iter(first_of_kind), "deposits")


def _joined(events: Sequence[Event]) -> tuple[str, tuple[np.ndarray, ...], np.ndarray]:
    """Kind of the hits, their columns end to end, and where each event's begin, (E + 1,)."""
    kind = _common_kind(events)
    # The empty array gives a batch of no events its dtype
    hits = tuple(
        np.concatenate([np.empty(0, COLUMNS[kind][name][0]), *(event.hits[name] for event in events)])
        for name in HIT_COLUMNS[kind]
    )
    return kind, hits, np.cumsum([0, *(len(event.hits) for event in events)])
