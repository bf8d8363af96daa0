"""launch/simulate.py and launch/pack.py as users start them: alone, in processes, under mpirun, with mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpc_nuvlm.store import open_dataset, verify

BIN = Path(sys.executable).parent
ALONE = [sys.executable]
FOUR_RANKS = [BIN / "mpirun", "-n", "4", "--oversubscribe", sys.executable]


def launch(command: list, repository: Path, code: int = 0) -> str:
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        list(map(str, command)),
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def content(folder: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads(files["manifest.json"])
    manifest["lineage"].pop("created")
    return files | {"manifest.json": json.dumps(manifest).encode()}


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "simulation.yaml"
    path.write_text("detector: paper_lartpc\nevents: 24\nshard_events: 3\n")
    return path


@pytest.mark.slow
def test_four_ranks_simulate_what_one_process_does(config, repository, tmp_path):
    for launcher, name in ((ALONE, "one"), (FOUR_RANKS, "four")):
        launch([*launcher, "launch/simulate.py", config, "--out", tmp_path / name, "seed=5"], repository)
    said = launch([BIN / "nuvlm", "simulate", config, "seed=5", "--out", tmp_path / "cli", "--jobs", 2], repository)
    assert "24 events in" in said and "events/s" in said
    assert content(tmp_path / "one") == content(tmp_path / "four") == content(tmp_path / "cli")
    assert verify(tmp_path / "four") == [] and len(open_dataset(tmp_path / "four").split("train")) == 19
    assert open_dataset(tmp_path / "one").manifest.lineage.command == f"nuvlm simulate {config} seed=5"


@pytest.mark.slow
def test_ranks_pack_and_export_what_one_process_does(repository, tmp_path, drawn_dataset, test_data):
    files = [test_data / "edepsim_larndsim" / f"{particle}.edepsim.h5" for particle in ("electron", "muon")]
    for launcher, name in ((ALONE, "one"), (FOUR_RANKS, "four")):
        launch([*launcher, "launch/pack.py", files[0], "--test", files[1], "--out", tmp_path / name], repository)
    assert content(tmp_path / "one") == content(tmp_path / "four") and verify(tmp_path / "four") == []
    tars = [
        "launch/pack.py",
        "--images",
        drawn_dataset,
        "--pool",
        "4",
        "--full-scale",
        "4080",
        "--out",
        tmp_path / "tars",
    ]
    assert "images/s" in launch([*FOUR_RANKS, *tars], repository)
    assert verify(tmp_path / "tars") == [] and len(open_dataset(tmp_path / "tars").split("test")) == 12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate.py", "{config}", "--out", "{out}", "evens=3"], "evens: no such key; did you mean 'events'?"),
        (["simulate.py", "{config}", "--out", "{out}", "detector=dun"], "no such detector 'dun'"),
        (["simulate.py", "{config}", "--out", "/proc/none"], "/proc/none: cannot be made"),
        (["pack.py", "--out", "{out}"], "give either event files"),
        (["pack.py", "--images", "nowhere", "--out", "{out}"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(config, repository, tmp_path, arguments, message):
    out = tmp_path / "out"
    name, *rest = (argument.format(config=config, out=out) for argument in arguments)
    said = launch([*ALONE, f"launch/{name}", *rest], repository, code=2)
    assert message in said and len(said.splitlines()) == 1 and not out.exists()
