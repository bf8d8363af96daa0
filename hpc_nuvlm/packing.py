"""Foreign files into a dataset, and a dataset into images, by many processes; what a unit holds depends on none."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hpc_nuvlm import formats
from hpc_nuvlm.config import View
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import FormatError, StoreError
from hpc_nuvlm.event import Event
from hpc_nuvlm.store import Split, open_dataset
from hpc_nuvlm.store.manifest import UNLABELLED, Manifest, Shard, load_manifest
from hpc_nuvlm.store.pack import TEST_SPLIT, Packer, check_split, split_of_content
from hpc_nuvlm.store.parts import Blueprint
from hpc_nuvlm.store.sidecar import Part, encode_contents
from hpc_nuvlm.store.tar_store import IMAGE_LAYOUT, image_detector, write_tar
from hpc_nuvlm.views.image import ImageView
from hpc_nuvlm.workers import Make, Tick

# A unit of work: some seconds of reading, and shards of a useful size from formats with one event a file
UNIT_FILES = 256
UNIT_BYTES = 256 << 20
SHARD_EVENTS = 256
# Shard numbers that a unit may use in each split: 2.5 million events
UNIT_SHARDS = 10_000


@dataclass(frozen=True)
class Unit:
    """Consecutive files that one process packs. `test`: all of their events go to the test split."""

    files: tuple[Path, ...]
    test: bool


def plan_units(files: Sequence[Path], test: bool) -> Iterator[Unit]:
    """The files in order, at most UNIT_FILES and UNIT_BYTES to a unit; a larger file is one by itself."""
    held: list[Path] = []
    held_bytes = 0
    for file in files:
        num_bytes = _num_bytes(file)
        if held and (len(held) == UNIT_FILES or held_bytes + num_bytes > UNIT_BYTES):
            yield Unit(tuple(held), test)
            held, held_bytes = [], 0
        held.append(file)
        held_bytes += num_bytes
    if held:
        yield Unit(tuple(held), test)


@dataclass(frozen=True)
class PackWork:
    """The dataset that the events of some files make, as work for many processes."""

    format: str
    detector: Detector
    units: tuple[Unit, ...]
    split: dict[str, float]
    classes: tuple[str, ...] | None
    command: str
    source: str
    verb: str = "packing"
    unit: str = "files"

    @cached_property
    def blueprint(self) -> Blueprint:
        tests = any(unit.test for unit in self.units)
        # Names and sizes tell one input from another, wherever it lies; reading it all would take as long as packing it
        listed = [(file.name, _num_bytes(file), unit.test) for unit in self.units for file in unit.files]
        settings = {
            "format": self.format,
            "detector": self.detector.name,
            "split": self.split,
            "classes": self.classes,
            "files": len(listed),
            "names_and_sizes_sha256": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
        }
        return Blueprint(
            kind="zarr",
            detector=self.detector,
            splits=(*self.split, *([TEST_SPLIT] if tests else [])),
            parts=[f"unit-{number:05d}" for number in range(len(self.units))],
            command=self.command,
            settings=json.dumps(settings),
            source=self.source,
        )

    def size(self, number: int) -> int:
        return len(self.units[number].files)

    def open(self, folder: Path) -> Make:
        return lambda number, tick: self._make(number, folder, tick)

    def _make(self, number: int, folder: Path, tick: Tick) -> Part | None:
        unit = self.units[number]
        packer = Packer(folder, self.detector, self.classes, SHARD_EVENTS, first_index=number * UNIT_SHARDS)
        for file in unit.files:
            for event in formats.read_events([file], self.format):
                packer.add(event, lambda content: TEST_SPLIT if unit.test else split_of_content(content, self.split))
                if not tick(0):
                    return None
            if not tick(1):
                return None
        packer.close()
        if len(packer.shards) > UNIT_SHARDS:
            raise StoreError(f"{unit.files[0]}: makes {len(packer.shards)} shards, the limit is {UNIT_SHARDS}; cut it")
        return Part(
            name=self.blueprint.parts[number],
            layout=packer.layout,
            shards=tuple(packer.shards),
            labels={name: dict(histogram) for name, histogram in packer.labels.items()},
            left_out=dict(packer.left_out),
            duplicates=tuple(packer.duplicates),
            contents=encode_contents(packer.contents),
        )


def pack_work(
    paths: Sequence[Path],
    test_paths: Sequence[Path],
    *,
    format: str,
    detector: Detector,
    split: dict[str, float],
    classes: tuple[str, ...] | None,
    command: str,
) -> PackWork:
    """The work of packing these files or folders."""
    check_split(split)
    if test_paths and TEST_SPLIT in split:
        raise StoreError(
            f"split {TEST_SPLIT!r} gets a fraction of the events ({split[TEST_SPLIT]}) and separate test files; "
            "use one of the two"
        )
    units = [
        unit
        for given, test in ((paths, False), (test_paths, True))
        for unit in plan_units(formats.list_files(given, format), test)
    ]
    source = ", ".join(map(str, (*paths, *test_paths)))
    return PackWork(format, detector, tuple(units), split, classes, command, source)


@dataclass(frozen=True)
class ImageWork:
    """The images of a dataset as WebDataset tars, one for each of its shards, as work for many processes."""

    dataset: Path
    view: View
    command: str
    verb: str = "exporting"
    unit: str = "images"

    @cached_property
    def manifest(self) -> Manifest:
        return load_manifest(self.dataset)

    @cached_property
    def blueprint(self) -> Blueprint:
        manifest = self.manifest
        return Blueprint(
            kind="webdataset",
            detector=image_detector(manifest.detector, self.view.size, self.view.pool),
            splits=manifest.splits,
            parts=[f"{shard.split}-{index:06d}" for shard, index, _ in self._places],
            command=self.command,
            settings=json.dumps({"dataset": manifest.fingerprint, "view": self.view.model_dump(mode="json")}),
            source=f"dataset {manifest.fingerprint}",
            generator=manifest.lineage.generator,
        )

    @cached_property
    def _places(self) -> list[tuple[Shard, int, int]]:
        """Each shard with its number, and that of its first event, in its split."""
        shards, events = Counter(), Counter()
        places = []
        for shard in self.manifest.shards:
            places.append((shard, shards[shard.split], events[shard.split]))
            shards[shard.split] += 1
            events[shard.split] += shard.events
        return places

    def size(self, number: int) -> int:
        return self.manifest.shards[number].events * self.manifest.detector.num_views

    def open(self, folder: Path) -> Make:
        opened = open_dataset(self.dataset)
        splits = {name: opened.split(name) for name in opened.splits}
        view = ImageView(self.view, opened.manifest.detector)
        return lambda number, tick: self._make(number, splits, view, folder, tick)

    def _make(self, number: int, splits: dict[str, Split], view: ImageView, folder: Path, tick: Tick) -> Part | None:
        (shard, index, first), labels, stopped = self._places[number], Counter(), []

        def samples() -> Iterator[tuple[Event, dict[str, np.ndarray]]]:
            for event, images in pictures(splits[shard.split], view, range(first, first + shard.events)):
                labels[event.truth.label or UNLABELLED] += 1
                yield event, images
                if not tick(len(images)):
                    stopped.append(event)
                    return

        written = write_tar(samples(), folder, shard.split, index, detector_name=self.manifest.detector_name)
        if stopped:
            return None
        return Part(
            name=self.blueprint.parts[number],
            layout=IMAGE_LAYOUT,
            shards=(written,),
            labels={shard.split: dict(labels)},
        )


def pictures(split: Split, view: ImageView, numbers: Iterable[int]) -> Iterator[tuple[Event, dict[str, np.ndarray]]]:
    """The events of these numbers with their images in every view, one at a time."""
    names = [plane.name for plane in view.detector.planes]
    for number in numbers:
        event = split[number]
        yield event, dict(zip(names, view.render([event])["image"][0], strict=True))


def _num_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise FormatError(f"{file}: cannot be read: {error.strerror}; check the path") from error
