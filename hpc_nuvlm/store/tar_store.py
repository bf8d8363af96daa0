"""WebDataset archives: the images of a dataset as plain tar files, for other tools and other people.

A sample is `KEY.VIEW.png` (8-bit gray) for each view and `KEY.json` (truth, identity, detector, views),
which `tar`, the webdataset library and any image viewer read. An image is not the event: it has been
binned and scaled, so what comes back is pixels with gray values for charges.

A tar archive has no checksum of its data, so a shard's digest is verified when it is opened. Nothing
is ever extracted or unpickled, and only plain files with the names above are accepted.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import Event, Hits
from hpc_nuvlm.store.columns import DAMAGE, OpenFiles
from hpc_nuvlm.store.folder import LOCK_NAME, locked_folder, write_atomically
from hpc_nuvlm.store.manifest import (
    UNLABELLED,
    Manifest,
    Shard,
    check_size,
    describe_detector,
    new_lineage,
    publish_manifest,
)
from hpc_nuvlm.store.record import read_key, read_record, record_of

MEMBER_NAME = re.compile(r"([A-Za-z0-9_-]+)\.(?:([A-Za-z0-9_]+)\.png|json)")
LARGEST_IMAGE_PIXELS = 1 << 24
# Kind and columns of the hits that an image gives back
IMAGE_LAYOUT = ("pixels", ("plane", "row", "column", "charge"))

Sample = tuple[Event, dict[str, np.ndarray]]


def export(
    dataset: Manifest,
    samples: dict[str, Iterable[Sample]],
    out: Path,
    *,
    command: str,
    pool: int = 1,
    shard_events: int = 256,
) -> Manifest:
    """Write the samples of each split to a new folder of tars and return its manifest; an error leaves no folder.

    All images have one shape. `pool` is how many native pixels, each way, an image pixel sums.
    """
    out = Path(out)
    with locked_folder(out):
        if any(file.name != LOCK_NAME for file in out.iterdir()):
            raise StoreError(f"{out}: is not empty; tars are exported to a new folder, give another name")
        shards: list[Shard] = []
        counted = Counted()
        try:
            for split, stream in samples.items():
                shards += write_tars(
                    counted.of(split, stream),
                    out,
                    split,
                    detector_name=dataset.detector_name,
                    shard_events=shard_events,
                )
            return publish_manifest(_manifest(dataset, counted, shards, command, pool), out)
        except BaseException:
            for file in out.glob("*.tar"):
                file.unlink()
            raise


def write_tars(
    samples: Iterable[Sample], folder: Path, split: str, *, detector_name: str, shard_events: int = 256
) -> list[Shard]:
    """Write `SPLIT-000000.tar` and so on, `shard_events` samples in each."""
    shards = []
    iterator = iter(samples)
    while True:
        samples_of_tar = islice(iterator, shard_events)
        shard = write_tar(samples_of_tar, folder, split, len(shards), detector_name=detector_name)
        if shard is None:
            return shards
        shards.append(shard)


def write_tar(samples: Iterable[Sample], folder: Path, split: str, index: int, *, detector_name: str) -> Shard | None:
    """Write one tar; None, and no file, if there is no sample."""
    data, num_events, num_hits = _encode_tar(samples, detector_name)
    if num_events == 0:
        return None
    shard = Shard(
        file=f"{split}-{index:06d}.tar",
        split=split,
        events=num_events,
        hits=num_hits,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    write_atomically(folder / shard.file, data)
    return shard


class TarShard:
    """One tar, opened for reading: events come back as the pixels of their images."""

    def __init__(self, path: Path, shard: Shard, detector: Detector, files: OpenFiles | None = None):
        self._path = path
        self._shard = shard
        self._detector = detector
        self._files = files or OpenFiles()
        check_size(path, shard)
        digest = hashlib.sha256(self._files(path).read(0, shard.bytes)).hexdigest()
        if digest != shard.sha256:
            raise StoreError(
                f"{path}: none of its {shard.events} events can be trusted: the digest is {digest[:12]}, the manifest "
                f"says {shard.sha256[:12]}; restore the shard from a copy, or export the dataset again"
            )
        self._samples = list(_index(path).values())
        if len(self._samples) != shard.events or any("json" not in sample for sample in self._samples):
            raise StoreError(
                f"{path}: holds {len(self._samples)} samples, the manifest says {shard.events}, each with a .json; "
                "export the dataset again"
            )

    def __len__(self) -> int:
        return self._shard.events

    def read(self, index: int) -> Event:
        sample = self._samples[index]
        try:
            record = self._member(sample["json"])
            views = json.loads(record)["views"]
            images = [_decode_png(self._member(sample[view])) for view in views]
            hits = [_hits(plane, image) for plane, image in enumerate(images)]
            columns = {name: np.concatenate([part[name] for part in hits]) for name in hits[0]}
            return read_record(record, Hits("pixels", columns))
        except DAMAGE as error:
            raise StoreError(
                f"{self._path}: event {index} cannot be read: {error}; export the dataset again"
            ) from error

    def labels(self) -> list[str | None]:
        try:
            return [json.loads(self._member(sample["json"]))["truth"]["label"] for sample in self._samples]
        except DAMAGE as error:
            raise StoreError(f"{self._path}: labels cannot be read: {error}; export the dataset again") from error

    def event_keys(self) -> list[str]:
        try:
            return [read_key(self._member(sample["json"])) for sample in self._samples]
        except DAMAGE as error:
            raise StoreError(f"{self._path}: records cannot be read: {error}; export the dataset again") from error

    def _member(self, extent: tuple[int, int]) -> bytes:
        return self._files(self._path).read(*extent)


class Counted:
    """Label counts and the image shape of samples that pass by."""

    def __init__(self):
        self.labels: dict[str, Counter] = {}
        self.shape: tuple[int, int] | None = None

    def of(self, split: str, samples: Iterable[Sample]) -> Iterator[Sample]:
        labels = self.labels.setdefault(split, Counter())
        for event, images in samples:
            labels[event.truth.label or UNLABELLED] += 1
            for view, image in images.items():
                self.shape = self.shape or image.shape
                if image.dtype != np.uint8 or image.ndim != 2 or image.shape != self.shape:
                    raise StoreError(
                        f"event {event.identity.key}, view {view}: image is {image.dtype} {image.shape}; "
                        f"all images of a dataset must be uint8 {self.shape}; export with a fixed size"
                    )
            yield event, images


def _manifest(dataset: Manifest, counted: Counted, shards: list[Shard], command: str, pool: int) -> Manifest:
    if counted.shape is None:
        raise StoreError(f"splits {', '.join(counted.labels)}: hold no event to export; name others")
    detector = image_detector(dataset.detector, counted.shape, pool)
    return Manifest(
        kind="webdataset",
        hit_kind=IMAGE_LAYOUT[0],
        hit_columns=IMAGE_LAYOUT[1],
        detector_name=detector.name,
        detector_fields=describe_detector(detector),
        lineage=new_lineage(command, source=f"dataset {dataset.fingerprint}", generator=dataset.lineage.generator),
        labels={split: dict(sorted(labels.items())) for split, labels in counted.labels.items()},
        shards=tuple(shards),
    )


def _encode_tar(samples: Iterable[Sample], detector_name: str) -> tuple[bytes, int, int]:
    """The bytes of a tar with the samples; how many they are, and their lit pixels."""
    # Imported here: webdataset imports torch, a second that no reader should pay
    from webdataset import TarWriter

    data = io.BytesIO()
    num_events = num_hits = 0
    # mtime 0: equal events give equal bytes, whenever they are written
    with TarWriter(data, mtime=0) as tar:
        for event, images in samples:
            record = record_of(event) | {"detector": detector_name, "views": list(images)}
            pngs = {f"{view}.png": _encode_png(image) for view, image in images.items()}
            tar.write({"__key__": event.identity.key, "json": json.dumps(record, allow_nan=False).encode(), **pngs})
            num_events += 1
            num_hits += sum(int(np.count_nonzero(image)) for image in images.values())
    return data.getvalue(), num_events, num_hits


def _index(path: Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Key -> view name or "json" -> first byte and number of bytes; all but plain files of a sample is refused."""
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                match = MEMBER_NAME.fullmatch(member.name)
                if match is None or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    raise StoreError(
                        f"{path}: member {member.name!r} is refused: it is no plain file KEY.VIEW.png or KEY.json; "
                        "export the dataset again"
                    )
                sample = samples.setdefault(match.group(1), {})
                name = match.group(2) or "json"
                if name in sample:
                    raise StoreError(f"{path}: member {member.name!r} is there twice; export the dataset again")
                sample[name] = member.offset_data, member.size
    except tarfile.TarError as error:
        raise StoreError(f"{path}: is no tar archive ({error}); export the dataset again") from error
    return samples


def image_detector(detector: Detector, shape: tuple[int, int], pool: int) -> Detector:
    """The detector whose readout is the images: `pool` native pixels to one of theirs, each way."""
    planes = tuple(
        replace(plane, row_pitch_mm=plane.row_pitch_mm * pool, column_pitch_mm=plane.column_pitch_mm * pool)
        for plane in detector.planes
    )
    return replace(detector, planes=planes, num_rows=shape[0], num_columns=shape[1])


def _encode_png(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return data.getvalue()


def _decode_png(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        # The size is in the first bytes of the file: nothing has been allocated for it yet
        if image.mode != "L" or image.width * image.height > LARGEST_IMAGE_PIXELS:
            raise ValueError(
                f"image is {image.mode} {image.size}; 8-bit gray of at most {LARGEST_IMAGE_PIXELS} pixels is expected"
            )
        try:
            return np.array(image)
        except SyntaxError as error:  # what Pillow raises for some broken PNG files
            raise ValueError(str(error)) from error


def _hits(plane: int, image: np.ndarray) -> dict[str, np.ndarray]:
    row, column = np.nonzero(image)
    return {"plane": np.full(len(row), plane), "row": row, "column": column, "charge": image[row, column]}
