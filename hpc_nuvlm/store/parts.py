"""A dataset that many writers make in parts, without talking to each other, and that the last of them publishes.

The parts are fixed by the settings alone. A finished part is its shards and a sidecar, which is written after them:
what a killed writer left half-done has no sidecar and is done again. `.plan.json` says whose parts the folder holds.

Each writer looks for the sidecars of all parts after it has written its last; whoever finds them all publishes, under
the lock of the folder. The last to be written is seen by its own writer, so nobody needs to wait: on a network file
system too, where a client that has just changed a folder asks the server what else has changed in it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hpc_nuvlm import __version__
from hpc_nuvlm.detector import Detector
from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.store.duplicates import without_duplicates
from hpc_nuvlm.store.folder import PLAN_NAME, FolderLocked, locked_folder, write_atomically
from hpc_nuvlm.store.manifest import (
    MANIFEST_NAME,
    Manifest,
    Record,
    Sha256,
    Shard,
    check_size,
    describe_detector,
    load_manifest,
    new_lineage,
    publish_manifest,
)
from hpc_nuvlm.store.pack import sweep
from hpc_nuvlm.store.sidecar import Part


@dataclass(frozen=True)
class Blueprint:
    """What a dataset will be, and of which parts: equal for every writer of it."""

    kind: str
    detector: Detector
    splits: tuple[str, ...]
    # Names of the parts, in the order in which the dataset has them
    parts: Sequence[str]
    command: str
    # JSON of everything that decides the content of the parts
    settings: str
    source: str | None = None
    generator: str | None = None

    @property
    def digest(self) -> str:
        return _digest(self.kind, describe_detector(self.detector), __version__, self.settings, self.source)


class Plan(Record):
    """`.plan.json`: which dataset the parts in this folder belong to."""

    digest: Sha256
    command: str


class PartsFolder:
    """The folder in which the parts of one dataset are collected."""

    def __init__(self, folder: Path, blueprint: Blueprint):
        self.folder = Path(folder)
        self.blueprint = blueprint
        self._digest = blueprint.digest
        self._plan = self.folder / PLAN_NAME

    def join(self, overwrite: bool = False) -> Manifest | None:
        """Become one of the writers; the manifest if this very dataset is finished already."""
        published = self._published()
        if published is not None:
            return published
        plan = self._read_plan()
        if plan is not None and plan.digest == self._digest:
            return None
        if plan is not None and not overwrite:
            raise StoreError(
                f"{self._plan}: the folder holds unfinished parts of another dataset (`{plan.command}`); finish that "
                "with the settings it was begun with, give another folder, or give up those parts (--overwrite)"
            )
        self._make_folder()
        if (self.folder / MANIFEST_NAME).is_file() and not overwrite:
            raise StoreError(
                f"{self.folder}: holds another dataset already; give another folder, or replace it (--overwrite)"
            )
        # The names of tars do not say whose they are, so they are not mixed with what was there before
        if self.blueprint.kind == "webdataset" and plan is None and any(self.folder.glob("*.tar")):
            raise StoreError(f"{self.folder}: holds tars already; they are written to a new folder, give another name")
        plan = Plan(digest=self._digest, command=self.blueprint.command)
        write_atomically(self._plan, plan.model_dump_json(indent=1).encode())
        return None

    def give_up_if_empty(self) -> None:
        """Forget the plan if no part was finished: a mistake in the settings leaves nothing that is in the way."""
        if not any(self.folder.glob(f".part-{self._digest[:8]}-*.json")):
            self._plan.unlink(missing_ok=True)

    def find(self, name: str) -> Part | None:
        """The part of that name if its sidecar and all its shards are whole, byte by byte."""
        part = self._read_part(name)
        if part is None or not all(_is_whole(self.folder / shard.file, shard) for shard in part.shards):
            return None
        return part

    def add(self, part: Part) -> None:
        """Count the part as finished; its shards are written already."""
        write_atomically(self._sidecar(part.name), part.model_dump_json().encode())

    def missing(self) -> int:
        """How many parts are not finished yet."""
        found = {path.name for path in self.folder.glob(".part-*.json")}
        return sum(self._sidecar(name).name not in found for name in self.blueprint.parts)

    def publish(self) -> Manifest | None:
        """Make the parts the dataset of the folder if all are there; None if some are not, or if another does it."""
        if self._read_plan() is not None and self.missing():
            return None
        try:
            with locked_folder(self.folder):
                published = self._published()
                if published is None:
                    plan = self._read_plan()
                    if plan is None or plan.digest != self._digest or self.missing():
                        raise StoreError(
                            f"{self.folder}: its parts were given up while this process wrote some; start again"
                        )
                    published = publish_manifest(self._merged(), self.folder)
                self._clean()
                return published
        except FolderLocked as error:
            if error.abandoned:
                raise
            return None

    def _merged(self) -> Manifest:
        parts = [self._read_part(name) for name in self.blueprint.parts]
        detector, splits = self.blueprint.detector, self.blueprint.splits
        layout = self._common_layout(parts)
        for number, part in without_duplicates(parts, self.folder, detector).items():
            self.add(part)
            parts[number] = part
        labels = {name: Counter() for name in splits}
        left_out: Counter = Counter()
        for part in parts:
            left_out.update(part.left_out)
            for name, histogram in part.labels.items():
                labels[name].update(histogram)
        shards = [shard for part in parts for shard in part.shards]
        for shard in shards:
            check_size(self.folder / shard.file, shard)
        origin = {"source": self.blueprint.source, "generator": self.blueprint.generator}
        return Manifest(
            kind=self.blueprint.kind,
            hit_kind=layout[0],
            hit_columns=layout[1],
            detector_name=detector.name,
            detector_fields=describe_detector(detector),
            # The command of whoever began, so that all writers would publish the same
            lineage=new_lineage(self._read_plan().command, settings=self.blueprint.settings, **origin),
            labels={name: dict(sorted(histogram.items())) for name, histogram in labels.items()},
            shards=tuple(sorted(shards, key=lambda shard: splits.index(shard.split))),
            left_out=dict(sorted(left_out.items())),
            duplicates=tuple(pair for part in parts for pair in part.duplicates),
        )

    def _common_layout(self, parts: Iterable[Part]) -> tuple[str, tuple[str, ...]]:
        first = None
        for part in parts:
            first = first or (part if part.layout else None)
            if part.layout and part.layout != first.layout:
                raise StoreError(
                    f"{self.folder}: hits of part {part.name} are {part.layout}, those of {first.name} {first.layout}; "
                    "pack the two inputs into datasets of their own"
                )
        if first is None:
            raise StoreError(f"{self.folder}: no event is left to store; check the input and the classes")
        return first.layout

    def _published(self) -> Manifest | None:
        """The manifest of the folder, if it is that of this very dataset."""
        if not (self.folder / MANIFEST_NAME).is_file():
            return None
        manifest = load_manifest(self.folder)
        lineage = manifest.lineage
        if lineage.settings is None:
            return None
        fields = manifest.detector_fields
        digest = _digest(manifest.kind, fields, lineage.code_version, lineage.settings, lineage.source)
        return manifest if digest == self._digest else None

    def _clean(self) -> None:
        """Remove what only the making needed. The plan goes first: without it, no sidecar counts."""
        self._plan.unlink(missing_ok=True)
        for pattern in (".part-*.json", ".*.partial"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
        sweep(self.folder)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be made: {error.strerror}; give another folder") from error

    def _sidecar(self, name: str) -> Path:
        # With the plan in its name, a part of a dataset that was given up is never taken for one of this
        return self.folder / f".part-{self._digest[:8]}-{name}.json"

    def _read_part(self, name: str) -> Part | None:
        try:
            return Part.model_validate_json(self._sidecar(name).read_bytes())
        except (OSError, ValidationError):
            return None  # not there, or damaged: the part is done again

    def _read_plan(self) -> Plan | None:
        try:
            return Plan.model_validate_json(self._plan.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise StoreError(f"{self._plan}: is damaged; delete this file and start again") from error


def _digest(kind: str, detector_fields: dict, code_version: str, settings: str, source: str | None) -> str:
    text = json.dumps([kind, detector_fields, code_version, settings, source], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_whole(path: Path, shard: Shard) -> bool:
    try:
        check_size(path, shard)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == shard.sha256
    except (StoreError, OSError):
        return False
