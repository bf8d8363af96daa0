"""WebDataset tars: plain tar and webdataset read them, and nothing in a tar can do harm."""

import io
import json
import pickle
import subprocess
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpc_nuvlm.errors import StoreError
from hpc_nuvlm.store import open_dataset, verify
from hpc_nuvlm.store.manifest import Manifest, Shard, load_manifest
from hpc_nuvlm.store.tar_store import TarShard, export

VIEWS = ("U", "V", "Z")


def image_of(event, plane: int) -> np.ndarray:
    image = np.zeros((500, 500), np.uint8)
    chosen = event.hits["plane"] == plane
    image[event.hits["row"][chosen], event.hits["column"][chosen]] = event.hits.charge[chosen]
    return image


def samples_of(events) -> Iterator:
    return ((event, {view: image_of(event, plane) for plane, view in enumerate(VIEWS)}) for event in events)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, packed) -> tuple[Path, Manifest]:
    data = open_dataset(packed)
    out = tmp_path_factory.mktemp("exported") / "tars"
    splits = {name: samples_of(data.split(name)) for name in data.splits}
    return out, export(data.manifest, splits, out, command="test", shard_events=8)


def test_an_exported_dataset_opens_like_any_other(exported, packed, same):
    out, manifest = exported
    original, tars = open_dataset(packed), open_dataset(out)
    assert tars.manifest == manifest and manifest.labels == original.manifest.labels
    assert manifest.detector == original.manifest.detector
    for name in tars.splits:
        assert tars.split(name).labels() == original.split(name).labels()
        for ours, expected in zip(tars.split(name), original.split(name), strict=True):
            same(ours, expected)
    assert verify(out) == []
    assert {path.name for path in out.iterdir()} == {"manifest.json", *(shard.file for shard in manifest.shards)}


def test_the_tar_command_lists_the_members(exported):
    out, _ = exported
    listing = subprocess.run(["tar", "tf", out / "train-000000.tar"], capture_output=True, text=True, check=True).stdout
    members = listing.split()
    assert len(members) == 8 * 4
    key = members[0].split(".")[0]
    assert sorted(members[:4]) == [f"{key}.U.png", f"{key}.V.png", f"{key}.Z.png", f"{key}.json"]


@pytest.mark.slow
def test_the_webdataset_library_reads_the_same(exported):
    import webdataset

    out, manifest = exported
    urls = [str(out / shard.file) for shard in manifest.shards if shard.split == "train"]
    train = open_dataset(out).split("train")
    # decode("l8"): 8-bit gray arrays; the library makes extensions lower case
    read = list(webdataset.WebDataset(urls, shardshuffle=False).decode("l8"))
    assert len(read) == len(train)
    for sample, event in zip(read, train, strict=True):
        assert sample["__key__"] == event.identity.key
        assert sample["json"]["truth"]["label"] == event.truth.label
        assert sample["json"]["views"] == list(VIEWS) and sample["json"]["detector"] == "dune_fd_cvn"
        for plane, view in enumerate(VIEWS):
            assert np.array_equal(sample[f"{view.lower()}.png"], image_of(event, plane))


def test_images_of_pooled_pixels_say_so_in_the_detector(tmp_path, packed):
    dataset = open_dataset(packed)
    samples = [(event, {view: np.full((125, 100), 9, np.uint8) for view in VIEWS}) for event in dataset.split("val")]
    manifest = export(dataset.manifest, {"val": samples}, tmp_path / "out", command="test", pool=4)
    assert (manifest.detector.num_rows, manifest.detector.num_columns) == (125, 100)
    assert manifest.detector.planes[0].row_pitch_mm == 4 * dataset.manifest.detector.planes[0].row_pitch_mm


def test_equal_samples_give_equal_tars(tmp_path, packed, exported):
    data = open_dataset(packed)
    splits = {name: samples_of(data.split(name)) for name in data.splits}
    again = export(data.manifest, splits, tmp_path / "again", command="test", shard_events=8)
    assert again.shards == exported[1].shards and again.fingerprint == exported[1].fingerprint


def test_an_export_that_fails_leaves_nothing(tmp_path, packed):
    data = open_dataset(packed)

    def failing():
        yield from samples_of(data.split("train"))
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        export(data.manifest, {"train": failing()}, tmp_path / "out", command="test", shard_events=4)
    assert not (tmp_path / "out").exists()


def test_an_export_goes_to_a_new_folder_only(tmp_path, packed):
    (tmp_path / "train-000000.tar").write_text("mine")
    with pytest.raises(StoreError, match="is not empty"):
        export(load_manifest(packed), {}, tmp_path, command="test")
    assert (tmp_path / "train-000000.tar").read_text() == "mine"
    with pytest.raises(StoreError, match="hold no event"):
        export(load_manifest(packed), {"train": []}, tmp_path / "out", command="test")


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.float32), np.zeros((9, 9, 3), np.uint8), np.zeros((8, 9), np.uint8)]
)
def test_images_of_another_shape_or_type_are_refused(tmp_path, packed, image):
    data = open_dataset(packed)
    samples = [(data.split("val")[0], {"U": np.zeros((9, 9), np.uint8), "V": image})]
    with pytest.raises(StoreError, match=r"view V: image is .*all images"):
        export(data.manifest, {"val": samples}, tmp_path / "out", command="test")


@pytest.fixture
def tars(tmp_path, exported) -> Path:
    for path in exported[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_every_flipped_bit_is_found_before_an_event_is_read(tars):
    path = tars / "train-000000.tar"
    original = path.read_bytes()
    for bit in np.random.default_rng(1).integers(0, 8 * len(original), 24).tolist():
        damaged = bytearray(original)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"train-000000.tar: none of its 8 events can be trusted"):
            open_dataset(tars).split("train")[0]
    (problem,) = verify(tars)
    assert problem.file == path.name and problem.unreadable == tuple(range(8))


def test_truncated_missing_and_exchanged_tars_are_found(tars):
    path, other = tars / "train-000000.tar", tars / "train-000001.tar"
    original = path.read_bytes()
    path.write_bytes(original[:-512])
    with pytest.raises(StoreError, match=r"train-000000.tar: shard has"):
        open_dataset(tars).split("train")
    path.unlink()
    with pytest.raises(StoreError, match=r"train-000000.tar: shard is missing"):
        open_dataset(tars).split("train")
    path.write_bytes(other.read_bytes())
    other.write_bytes(original)
    assert [problem.file for problem in verify(tars)] == [path.name, other.name]


def write_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], num_events: int = 1) -> Shard:
    with tarfile.open(path, "w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    content = path.read_bytes()
    return Shard(
        file=path.name,
        split="train",
        events=num_events,
        hits=0,
        bytes=len(content),
        sha256=sha256(content).hexdigest(),
    )


def typed(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../a.json"),
        tarfile.TarInfo("/etc/a.json"),
        tarfile.TarInfo("folder/a.json"),
        tarfile.TarInfo("a.pkl"),
        tarfile.TarInfo("a.pyd"),
        tarfile.TarInfo("a.U.pth"),
        tarfile.TarInfo("a.npy"),
        typed("a.json", tarfile.SYMTYPE, "/etc/passwd"),
        typed("a.json", tarfile.LNKTYPE, "../../secret"),
        typed("a.json", tarfile.CHRTYPE),
        typed("a.json", tarfile.FIFOTYPE),
        typed("a.json", tarfile.DIRTYPE),
    ],
)
def test_a_member_that_could_do_harm_is_refused_by_name(tmp_path, cvn, member):
    path = tmp_path / "train-000000.tar"
    canary = tmp_path / "canary"
    content = pickle.dumps(Canary(canary)) if member.type == tarfile.REGTYPE else b""
    shard = write_tar(path, [(member, content)])
    with pytest.raises(StoreError, match=f"member '{member.name}' is refused"):
        TarShard(path, shard, cvn)
    assert not canary.exists()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def png(size: tuple[int, int], mode: str = "L") -> bytes:
    data = io.BytesIO()
    Image.new(mode, size).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("image", "record", "problem"),
    [
        (png((5000, 5000)), None, "16777216 pixels"),
        (png((5, 5), "RGB"), None, "8-bit gray"),
        (png((50, 50))[:60], None, ""),
        (b"GIF89a", None, ""),
        (png((5, 5)), b"{}", "'views'"),
        (png((5, 5)), b"[" * 100_000, "recursion"),
        (png((5, 5)), b'{"views": ["W"]}', "'W'"),
        (png((5, 5)), b'{"views": ["U"], "truth": {}, "identity": {}}', "truth record is damaged"),
    ],
)
def test_a_member_that_is_not_what_it_should_be_is_refused(tmp_path, cvn, image, record, problem):
    path = tmp_path / "train-000000.tar"
    record = record or json.dumps({"views": ["U"]}).encode()
    shard = write_tar(path, [(tarfile.TarInfo("a.U.png"), image), (tarfile.TarInfo("a.json"), record)])
    with pytest.raises(StoreError, match=f"train-000000.tar: event 0 cannot be read: .*{problem}"):
        TarShard(path, shard, cvn).read(0)


def test_samples_without_json_twice_or_miscounted_are_refused(tmp_path, cvn):
    path = tmp_path / "train-000000.tar"
    view, record = tarfile.TarInfo("a.U.png"), tarfile.TarInfo("a.json")
    for members, num_events, problem in (
        ([(view, b"")], 1, "each with a .json"),
        ([(record, b"")], 2, "holds 1 samples, the manifest says 2"),
        ([(record, b""), (tarfile.TarInfo("a.json"), b"")], 1, "is there twice"),
    ):
        shard = write_tar(path, members, num_events)
        with pytest.raises(StoreError, match=problem):
            TarShard(path, shard, cvn)


def test_a_file_that_is_no_tar_is_refused(tmp_path, cvn):
    path = tmp_path / "train-000000.tar"
    path.write_bytes(b"not a tar" * 200)
    shard = Shard(
        file=path.name, split="train", events=1, hits=0, bytes=1800, sha256=sha256(path.read_bytes()).hexdigest()
    )
    with pytest.raises(StoreError, match="is no tar archive"):
        TarShard(path, shard, cvn)
