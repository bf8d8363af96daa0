"""Datasets: folders of shards that a manifest describes. `open_dataset` reads both kinds, zarr and WebDataset."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from itertools import accumulate
from pathlib import Path

from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.event import Event
from hpc_nuvlm.store.columns import OpenFiles
from hpc_nuvlm.store.manifest import Manifest, Shard, check_size, load_manifest
from hpc_nuvlm.store.tar_store import TarShard
from hpc_nuvlm.store.zarr_store import ZarrShard

SHARDS = {"zarr": ZarrShard, "webdataset": TarShard}


@dataclass(frozen=True)
class Dataset:
    folder: Path
    manifest: Manifest

    @property
    def splits(self) -> tuple[str, ...]:
        return self.manifest.splits

    def split(self, name: str) -> Split:
        """The events of one split; the files of the others are not touched."""
        if name not in self.splits:
            raise StoreError(f"{self.folder}: has no split {name!r}; there are {', '.join(self.splits)}")
        return Split(self.folder, self.manifest, name)


class Split(Sequence[Event]):
    """Events by number, read when asked for. Shards are opened at first use; their sizes are checked at once."""

    def __init__(self, folder: Path, manifest: Manifest, name: str):
        self.name = name
        self._folder = folder
        self._detector = manifest.detector
        self._reader = SHARDS[manifest.kind]
        self._shards = [shard for shard in manifest.shards if shard.split == name]
        # Of the events alone, not of where or by which command they were packed: it decides their order in training
        self.fingerprint = sha256(" ".join(shard.sha256 for shard in self._shards).encode()).hexdigest()
        self._ends = list(accumulate(shard.events for shard in self._shards))
        self._files = OpenFiles()
        self._opened: dict[int, ZarrShard | TarShard] = {}
        for shard in self._shards:
            check_size(folder / shard.file, shard)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Event:
        if not -len(self) <= index < len(self):
            raise IndexError(f"split {self.name!r} has {len(self)} events, number {index} was asked for")
        index %= len(self)
        number = bisect_right(self._ends, index)
        return self._open(number).read(index - (self._ends[number] - self._shards[number].events))

    def labels(self) -> list[str | None]:
        """The label of every event, without reading hits."""
        return [label for number in range(len(self._shards)) for label in self._open(number).labels()]

    def event_keys(self) -> list[str]:
        """The key of every event, without reading hits."""
        return [key for number in range(len(self._shards)) for key in self._open(number).event_keys()]

    def _open(self, number: int) -> ZarrShard | TarShard:
        if number not in self._opened:
            shard = self._shards[number]
            self._opened[number] = self._reader(self._folder / shard.file, shard, self._detector, self._files)
        return self._opened[number]


def open_dataset(folder: Path) -> Dataset:
    """The dataset in a folder; only its manifest is read."""
    return Dataset(Path(folder), load_manifest(folder))


@dataclass(frozen=True)
class Problem:
    """A shard that is not as it was written, and those of its events that cannot be read."""

    file: str
    reason: str
    num_events: int
    unreadable: tuple[int, ...]

    def __str__(self) -> str:
        lost = f"{len(self.unreadable)} of {self.num_events} events cannot be read"
        numbers = ", ".join(map(str, self.unreadable[:20])) + (", ..." if len(self.unreadable) > 20 else "")
        return f"{self.file}: {self.reason}; {lost}" + (f": {numbers}" if self.unreadable else "")


def verify(folder: Path) -> list[Problem]:
    """Compare every shard with its digest; of those that differ, read every event to tell which are lost."""
    folder = Path(folder)
    manifest = load_manifest(folder)
    problems = []
    for shard in manifest.shards:
        reason = _difference(folder / shard.file, shard)
        if reason:
            problems.append(Problem(shard.file, reason, shard.events, _unreadable(folder, manifest, shard)))
    return problems


def _difference(path: Path, shard: Shard) -> str | None:
    try:
        check_size(path, shard)
        with path.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
    except (StoreError, OSError) as error:
        return str(error)
    return None if digest == shard.sha256 else f"digest is {digest[:12]}, the manifest says {shard.sha256[:12]}"


def _unreadable(folder: Path, manifest: Manifest, shard: Shard) -> tuple[int, ...]:
    try:
        reader = SHARDS[manifest.kind](folder / shard.file, shard, manifest.detector)
    except StoreError:
        return tuple(range(shard.events))
    lost = []
    for index in range(shard.events):
        try:
            reader.read(index)
        except StoreError:
            lost.append(index)
    return tuple(lost)
