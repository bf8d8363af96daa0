"""`nuvlm` as a person uses it, on real DUNE maps; every mistake is one line and exit code 2."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import webdataset

from hpc_nuvlm import __version__, cli
from hpc_nuvlm.store import open_dataset


def nuvlm(monkeypatch, capsys, *arguments, code: int = 0) -> str:
    """Output of the command in this process; fails unless it ends with the exit code."""
    monkeypatch.setattr(sys, "argv", ["nuvlm", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
        raise SystemExit(0)
    said = capsys.readouterr()
    assert (ended.value.code or 0) == code, said.out + said.err
    return said.out + said.err


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *arguments, code=0: nuvlm(monkeypatch, capsys, *arguments, code=code)


@pytest.fixture(scope="module")
def maps(test_data, tmp_path_factory) -> Path:
    """30 real maps with their labels, as their publisher laid them out."""
    folder = tmp_path_factory.mktemp("maps")
    source = test_data / "dune_cvn"
    lines = (source / "labels.csv").read_text().splitlines()
    chosen = [lines[0], *[line for line in lines if line.startswith("dataset1000,")][:20]]
    chosen += [line for line in lines if line.startswith("highstats,")][::30]
    (folder / "labels.csv").write_text("\n".join(chosen) + "\n")
    for line in chosen[1:]:
        path = line.split(",")[1]
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, folder / path)
    return folder


@pytest.fixture
def dataset(run, maps, tmp_path) -> Path:
    out = tmp_path / "dataset"
    run("pack", maps / "dataset1000", "--test", maps / "highstats", "--classes", "nue_cc,numu_cc,nc", "--out", out)
    return out


def test_pack_inspect_verify_and_export_walk_one_path(run, dataset, tmp_path):
    report = json.loads(run("inspect", dataset, "--json"))
    assert report["splits"]["test"]["events"] == 10 and report["views"] == ["U", "V", "Z"]
    assert sum(split["events"] for split in report["splits"].values()) <= 30
    assert all(split["hits"] > 0 and split["charge"] > 0 for split in report["splits"].values())
    assert "test" in run("inspect", dataset)
    assert "shards are as they were written" in run("verify", dataset)
    run("export", dataset, "--to", "webdataset", "--out", tmp_path / "tars")
    assert "shards are as they were written" in run("verify", tmp_path / "tars")
    tars = sorted(map(str, (tmp_path / "tars").glob("test-*.tar")))
    samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode("l8"))
    assert len(samples) == 10
    events = open_dataset(dataset).split("test")
    by_key = {event.identity.key: event for event in events}
    for sample in samples:
        hits = by_key[sample["__key__"]].hits
        for plane, name in enumerate("uvz"):
            picture = np.zeros((500, 500), np.uint8)
            here = hits["plane"] == plane
            picture[hits["row"][here], hits["column"][here]] = hits["charge"][here]
            assert (sample[f"{name}.png"] == picture).all()


def test_an_exported_dataset_gives_the_same_pictures_to_a_model(run, dataset, tmp_path):
    from hpc_nuvlm.config import View
    from hpc_nuvlm.views.image import ImageView

    run("export", dataset, "--out", tmp_path / "tars")
    first, second = open_dataset(dataset), open_dataset(tmp_path / "tars")
    views = [
        ImageView(View(size=(100, 100), pool=5, full_scale=1275), opened.manifest.detector)
        for opened in (first, second)
    ]
    for a, b in zip(first.split("test"), second.split("test")):
        assert a.identity == b.identity and a.truth == b.truth
        assert (views[0].render([a])["image"] == views[1].render([b])["image"]).all()


def test_packing_twice_gives_the_same_bytes(run, dataset, maps, tmp_path):
    again = tmp_path / "again"
    run("pack", maps / "dataset1000", "--test", maps / "highstats", "--classes", "nue_cc,numu_cc,nc", "--out", again)
    shards = sorted(path.name for path in dataset.glob("*.zip"))
    assert shards and shards == sorted(path.name for path in again.glob("*.zip"))
    assert all((dataset / name).read_bytes() == (again / name).read_bytes() for name in shards)
    fingerprints = [open_dataset(folder).split("train").fingerprint for folder in (dataset, again)]
    assert fingerprints[0] == fingerprints[1], "the reading order must not depend on where a dataset lies"


@pytest.mark.parametrize("shard", ["train", "val", "test"])
def test_verify_names_the_shard_with_one_flipped_bit(run, dataset, shard):
    path = sorted(dataset.glob(f"{shard}-*.zip"))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    said = run("verify", dataset, code=1)
    assert path.name in said
    problems = json.loads(run("verify", dataset, "--json", code=1))["problems"]
    assert [problem["file"] for problem in problems] == [path.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pack", "nowhere", "--out", "x"], "nowhere: no such file or folder"),
        (["pack", "{maps}", "--out", "x", "--format", "dune"], "--format 'dune': no such format; there are dune_cvn"),
        (["pack", "{maps}", "--out", "x", "--detector", "dun"], "no such detector 'dun'"),
        (["pack", "{maps}", "--out", "x", "--split", "train"], "--split 'train': write it as train=0.8"),
        (["pack", "{maps}", "--out", "x", "--split", "train=0.9,val=0.3"], "0.9"),
        (["pack", "{maps}", "--out", "x", "--classes", "nue"], "unknown label 'nue'"),
        (["pack", "{maps}", "--out", "/proc/none"], "/proc/none"),
        (["simulate", "nowhere.yaml", "--out", "x"], "nowhere.yaml: no such file"),
        (["simulate", "{config}", "--out", "x", "evens=3"], "did you mean 'events'?"),
        (["simulate", "{config}", "--out", "/proc/none"], "/proc/none: cannot be made"),
        (["inspect", "nowhere"], "nowhere"),
        (["verify", "nowhere"], "nowhere"),
        (["export", "{dataset}", "--out", "x", "--to", "parquet"], "only webdataset"),
        (["export", "{dataset}", "--out", "x", "--size", "500"], "write it as HEIGHTxWIDTH"),
        (["export", "{dataset}", "--out", "x", "--crop", "vertex"], "crop 'vertex'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    run, maps, dataset, repository, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    places = {"maps": maps, "dataset": dataset, "config": repository / "configs" / "simulate-paper.yaml"}
    said = run(*(argument.format(**places) for argument in arguments), code=2)
    assert message in said and "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "x") == before
    assert list((tmp_path / "x").glob("*")) == []


def test_a_second_pack_into_a_dataset_is_refused_unless_asked_for(run, dataset, maps):
    said = run("pack", maps / "dataset1000", "--out", dataset, code=2)
    assert "holds a dataset already" in said and "--overwrite" in said
    run("pack", maps / "dataset1000", "--out", dataset, "--overwrite")
    assert "shards are as they were written" in run("verify", dataset)


def test_the_installed_command_answers():
    command = Path(sys.executable).parent / "nuvlm"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_help_imports_nothing_that_it_does_not_need():
    program = (
        "import sys, hpc_nuvlm.cli;"
        "print([one for one in ('numpy', 'numba', 'torch', 'zarr', 'pydantic', 'transformers') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
