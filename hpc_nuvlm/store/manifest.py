"""manifest.json: what a dataset holds, where it comes from, and the checksums that say it is whole.

The manifest is the dataset: a shard that it does not list does not exist. It is written last, by
rename, so a folder holds either the old dataset or the new one, whenever the writer is killed.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hpc_nuvlm import __version__
from hpc_nuvlm.detector import Detector, parse_detector
from hpc_nuvlm.errors import ConfigError, StoreError
from hpc_nuvlm.store.folder import write_atomically

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
UNLABELLED = "unlabelled"
SPLIT_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
# A million shards; a longer file is not a manifest
LARGEST_MANIFEST_BYTES = 1 << 28

Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# No folder, no dot at the start: a manifest cannot name a file outside of its dataset
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
SplitName = Annotated[str, Field(pattern=SPLIT_NAME)]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(Record):
    file: FileName
    split: SplitName
    events: Count
    hits: Count
    bytes: Count
    sha256: Sha256


class Duplicate(Record):
    """Two events with equal hits in one split: the first was kept."""

    split: SplitName
    kept: str
    dropped: str


class Lineage(Record):
    """How the dataset came to be. `source`: the input as the user named it; `generator`: None if not known.

    `settings`: JSON of all that decided the content, for datasets that are made in parts, else None.
    """

    command: str
    code_version: str
    created: datetime
    source: str | None = None
    generator: str | None = None
    settings: str | None = None


class Manifest(Record):
    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["zarr", "webdataset"]
    hit_kind: Literal["deposits", "pixels"]
    # Optional hit columns are kept if every event has them
    hit_columns: tuple[str, ...]
    detector_name: str
    # The fields of configs/detectors/NAME.yaml: a dataset is read without that file
    detector_fields: dict[str, Any]
    lineage: Lineage
    # Split -> label -> events; events without a label count as "unlabelled"
    labels: dict[SplitName, dict[str, Count]]
    shards: tuple[Shard, ...]
    # Reason -> events that were not stored
    left_out: dict[str, Count] = {}
    duplicates: tuple[Duplicate, ...] = ()
    fingerprint: str = ""

    @property
    def detector(self) -> Detector:
        return parse_detector(self.detector_name, self.detector_fields, where=MANIFEST_NAME)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.labels)

    def num_events(self, split: str) -> int:
        return sum(shard.events for shard in self.shards if shard.split == split)

    def content_fingerprint(self) -> str:
        """SHA-256 (hex) of everything but the time of creation and the fingerprint itself."""
        # Manifests from before there were settings keep their fingerprints
        unset = {"settings"} if self.lineage.settings is None else set()
        content = self.model_dump_json(exclude={"fingerprint": True, "lineage": {"created"} | unset})
        return hashlib.sha256(content.encode()).hexdigest()


def new_lineage(
    command: str, source: str | None = None, generator: str | None = None, settings: str | None = None
) -> Lineage:
    origin = {"source": source, "generator": generator, "settings": settings}
    return Lineage(
        command=command, code_version=__version__, created=datetime.now(UTC).replace(microsecond=0), **origin
    )


def describe_manifest(manifest: Manifest) -> str:
    """One line: events of each split, shards, megabytes, and what was left out or dropped."""
    splits = ", ".join(f"{name} {manifest.num_events(name)}" for name in manifest.splits)
    num_bytes = sum(shard.bytes for shard in manifest.shards)
    text = f"{splits} events in {len(manifest.shards)} shards, {num_bytes / 1e6:.1f} MB"
    if manifest.left_out:
        parts = [f"{count} {label}" for label, count in sorted(manifest.left_out.items())]
        text += f"; left out: {', '.join(parts)}"
    if manifest.duplicates:
        pairs = ", ".join(f"{pair.dropped} = {pair.kept}" for pair in manifest.duplicates[:5])
        text += f"; {len(manifest.duplicates)} duplicates dropped: {pairs}"
    return text


def describe_detector(detector: Detector) -> dict[str, Any]:
    """Plain fields that parse_detector turns into an equal Detector."""
    volume = None
    if detector.volume_low_mm is not None:
        volume = {"low": list(detector.volume_low_mm), "high": list(detector.volume_high_mm)}
    return {
        "title": detector.title,
        "planes": [{key: _plain(value) for key, value in vars(plane).items()} for plane in detector.planes],
        "num_rows": detector.num_rows,
        "num_columns": detector.num_columns,
        "volume_mm": volume,
        "quantum_mm": detector.quantum_mm,
        "quantum_mev": detector.quantum_mev,
        "symmetries": [
            {key: _plain(value) for key, value in vars(symmetry).items()} for symmetry in detector.symmetries
        ],
    }


def load_manifest(folder: Path) -> Manifest:
    """Read and check FOLDER/manifest.json; any damage is a StoreError."""
    path = Path(folder) / MANIFEST_NAME
    if not path.is_file():
        raise StoreError(
            f"{folder}: holds no {MANIFEST_NAME}, so it is no finished dataset; make one with `nuvlm pack`"
        )
    if path.stat().st_size > LARGEST_MANIFEST_BYTES:
        raise StoreError(
            f"{path}: has {path.stat().st_size} bytes, the limit is {LARGEST_MANIFEST_BYTES}; pack the dataset again"
        )
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
        manifest.detector  # noqa: B018 - parsed here, so that a damaged description is found before any event is read
    except (ValidationError, ConfigError) as error:
        raise StoreError(
            f"{path}: is damaged or of another version: {_first_line(error)}; "
            "restore it from a copy, or pack the dataset again"
        ) from error
    if manifest.fingerprint != manifest.content_fingerprint():
        raise StoreError(
            f"{path}: was changed after it was written: its fingerprint is {manifest.fingerprint[:12]}, its content "
            f"gives {manifest.content_fingerprint()[:12]}; restore it from a copy, or pack the dataset again"
        )
    return manifest


def publish_manifest(manifest: Manifest, folder: Path) -> Manifest:
    """Seal the manifest with its fingerprint and make it the one of the folder, in one step."""
    sealed = manifest.model_copy(update={"fingerprint": manifest.content_fingerprint()})
    write_atomically(folder / MANIFEST_NAME, sealed.model_dump_json(indent=1).encode())
    return sealed


def check_size(path: Path, shard: Shard) -> None:
    """That the file is there with the size of the manifest: cheap enough to be done for every shard at the start."""
    if not path.is_file():
        raise StoreError(
            f"{path}: shard is missing ({shard.events} events); restore it from a copy, or pack the dataset again"
        )
    if path.stat().st_size != shard.bytes:
        raise StoreError(
            f"{path}: shard has {path.stat().st_size} bytes, the manifest says {shard.bytes}; "
            "restore it from a copy, or pack the dataset again"
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return str(error).splitlines()[0]
