"""launch/benchmark.py as a person starts it, and its records."""

import json
import subprocess
import sys
from copy import deepcopy

import pytest
import yaml

from hpc_nuvlm.bench.benchmark import BENCH_VERSION, read_record
from hpc_nuvlm.bench.sheets import comparison_sheet, cost_sheet, stage_sheet
from hpc_nuvlm.errors import UserError


def start(repository, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "launch/benchmark.py", *map(str, arguments)]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def record(tmp_path_factory, drawn_dataset) -> dict:
    """One benchmark, since it takes seconds: a case alone, and one of two ranks that train together."""
    from tests.conftest import REPOSITORY

    folder = tmp_path_factory.mktemp("bench")
    run = {
        "folder": "runs/x",
        "data": {"dataset": str(drawn_dataset)},
        "view": {"size": [112, 112], "full_scale": 1020},
    }
    run |= {"model": {"family": "cnn", "widths": [8, 16]}, "engine": {"kind": "plain", "threads": 1}}
    (folder / "cnn.yaml").write_text(yaml.safe_dump(run))
    case = {"config": str(folder / "cnn.yaml"), "batches": [2]}
    cases = [case | {"name": "label"}, case | {"name": "train", "asked": "train", "ranks": 2}]
    rule = {"warm_up": 1, "least_seconds": 0.0, "least_calls": 2, "repeats": 3}
    bench = {"title": "Small", "dataset": str(drawn_dataset), "split": "test", "rule": rule, "cases": cases}
    (folder / "bench.yaml").write_text(yaml.safe_dump(bench))
    done = start(REPOSITORY, folder / "bench.yaml", "--out", folder / "record.json")
    assert done.returncode == 0, done.stderr
    assert "label" in done.stdout and "Where the time of an event goes" in done.stdout
    return json.loads((folder / "record.json").read_text()) | {"path": folder / "record.json"}


@pytest.mark.slow
def test_a_record_tells_what_was_measured_where_and_by_which_rules(record):
    assert record["bench_version"] == BENCH_VERSION and record["settings"]["title"] == "Small"
    assert "cores are ours" in record["system"]["processor"] and record["commit"]
    label, train = record["rows"]
    assert (label["case"], label["ranks"], train["ranks"]) == ("label", 1, 2)
    assert "communication" in train["stages_s"] and "communication" not in label["stages_s"]
    assert read_record(record["path"])["rows"] == record["rows"]


@pytest.mark.slow
def test_tables_hold_every_row_and_stage(record):
    assert [row[0] for row in cost_sheet(record).rows] == ["label", "train"]
    stages = stage_sheet(record)
    assert len(stages.header) == len(stages.rows[0]) == 10 and stages.rows[0][-1] == "–"


@pytest.mark.slow
def test_two_records_are_compared_row_by_row(record):
    faster = deepcopy({key: value for key, value in record.items() if key != "path"})
    faster["rows"][0]["seconds_per_event"] /= 2
    faster["rows"][1]["case"] = "another"
    rows = comparison_sheet(record, faster).rows
    assert len(rows) == 1 and rows[0][:3] == ["label", "1", "2"] and rows[0][3].startswith("2.00 ±")


@pytest.mark.slow
def test_the_launcher_compares_two_records(record, repository):
    done = start(repository, "--compare", record["path"], record["path"])
    assert done.returncode == 0 and done.stdout.count("1.00 ±") == 2
    assert start(repository).returncode == 2, "nothing was asked for"


@pytest.mark.slow
def test_mistakes_are_one_line_and_code_2(bench_file, bench_fields, repository, tmp_path):
    done = start(repository, bench_file, "--case", "none")
    assert done.returncode == 2 and "--case none: there are single, offline, train" in done.stderr
    bench_file.write_text(yaml.safe_dump(bench_fields | {"split": "none"}))
    done = start(repository, bench_file)
    assert done.returncode == 2 and "single: cannot be measured" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [("[]", "is no record"), ("{", "is no record"), ('{"bench_version": 0}', "measured by version 0 of the rules")],
)
def test_what_is_no_record_is_refused(tmp_path, text, said):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_record(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_record(tmp_path / "none.json")
