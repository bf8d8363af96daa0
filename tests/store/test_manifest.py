"""The manifest: self-contained, sealed, and whole or absent on disk."""

import json
import os
import secrets

import pytest

from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.store.folder import write_atomically
from hpc_nuvlm.store.manifest import (
    Lineage,
    Manifest,
    Shard,
    describe_detector,
    load_manifest,
    new_lineage,
    publish_manifest,
)


@pytest.fixture
def manifest(lartpc) -> Manifest:
    shard = Shard(file="train-0.zarr.zip", split="train", events=3, hits=7, bytes=11, sha256="0" * 64)
    return Manifest(
        kind="zarr",
        hit_kind="deposits",
        hit_columns=("x_mm", "y_mm", "z_mm", "energy_mev"),
        detector_name="paper_lartpc",
        detector_fields=describe_detector(lartpc),
        lineage=new_lineage("nuvlm pack"),
        labels={"train": {"nc": 3}},
        shards=(shard,),
    )


def test_a_published_manifest_is_read_back_equal(tmp_path, manifest):
    sealed = publish_manifest(manifest, tmp_path)
    assert load_manifest(tmp_path) == sealed
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("name", ["cvn", "lartpc"])
def test_the_detector_is_described_completely(request, name, manifest):
    detector = request.getfixturevalue(name)
    fields = json.loads(json.dumps(describe_detector(detector)))
    assert manifest.model_copy(update={"detector_name": detector.name, "detector_fields": fields}).detector == detector


def test_the_fingerprint_ignores_when_and_sees_what(manifest):
    later = Lineage(**manifest.lineage.model_dump() | {"created": "2001-01-01T00:00:00Z"})
    other = Lineage(**manifest.lineage.model_dump() | {"command": "other"})
    fingerprint = manifest.content_fingerprint()
    assert manifest.model_copy(update={"lineage": later}).content_fingerprint() == fingerprint
    assert manifest.model_copy(update={"lineage": other}).content_fingerprint() != fingerprint
    assert manifest.model_copy(update={"hit_kind": "pixels"}).content_fingerprint() != fingerprint


def test_every_changed_byte_of_a_manifest_is_found_or_harmless(tmp_path, manifest):
    sealed = publish_manifest(manifest, tmp_path)
    path = tmp_path / "manifest.json"
    original = path.read_bytes()
    created = original.index(b'"created"')
    for position in range(0, len(original), 7):
        if created <= position < created + 40:
            continue  # the time of creation is not sealed
        path.write_bytes(original[:position] + bytes([original[position] ^ 1]) + original[position + 1 :])
        try:
            assert load_manifest(tmp_path) == sealed  # white space
        except StoreError as error:
            assert "manifest.json" in str(error)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"events": 3', '"events": 4'),
        ('"schema_version": 1', '"schema_version": 2'),
        ('"file": "train-0.zarr.zip"', '"file": "../train-0.zarr.zip"'),
        ('"file": "train-0.zarr.zip"', '"file": "/etc/passwd"'),
        ('"quantum_mm": 0.75', '"quantum_mm": -0.75'),
        ('"quantum_mm": 0.75', '"quantum_m": 0.75'),
        ('"kind": "zarr"', '"kind": "pickle"'),
        ('"left_out": {}', '"left_out": {}, "extra": 1'),
        ("}", ""),
        ('"train"', "[" * 100_000),
    ],
)
def test_a_changed_manifest_is_refused_with_a_remedy(tmp_path, manifest, old, new):
    publish_manifest(manifest, tmp_path)
    path = tmp_path / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(StoreError, match=r"manifest.json: .*pack the dataset again"):
        load_manifest(tmp_path)


def test_an_unfinished_dataset_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no finished dataset"):
        open_dataset(tmp_path)


def test_a_manifest_of_absurd_size_is_refused_unread(tmp_path):
    with (tmp_path / "manifest.json").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(StoreError, match="the limit is"):
        load_manifest(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        StoreError, match=r"file: cannot be written: the disk is full; 3 bytes are needed, \d+ are free"
    ):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_device_that_is_full_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(secrets, "token_hex", lambda num_bytes: "1234")
    (tmp_path / ".file.1234.partial").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="the disk is full"):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    with pytest.raises(StoreError, match="cannot be written: Not a directory"):
        (tmp_path / "file").touch()
        write_atomically(tmp_path / "file" / "inner", b"new")
