"""benchmark(): all cases of a benchmark, each in processes of its own, and the record of what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hpc_nuvlm.bench.measure import measure_case
from hpc_nuvlm.bench.settings import Bench, Case
from hpc_nuvlm.doctor import doctor
from hpc_nuvlm.engine.record import commit_and_diff
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.report.predictions import published
from hpc_nuvlm.settings import load_settings

# Raised whenever equal settings are measured in another way, so that old and new numbers are not compared
BENCH_VERSION = 1
# What a child's line of numbers begins with, among whatever its libraries print
MARK = "nuvlm-bench "


def benchmark(bench: Bench, config: Path, overrides: tuple[str, ...], tell: Callable[[str], None]) -> dict:
    """Measure every case in children of this process; returns the record."""
    rows = []
    for number, case in enumerate(bench.cases, 1):
        tell(f"{case.name}, {number} of {len(bench.cases)}")
        rows += measure_apart(case, config, overrides)
    return record_of(bench, rows)


def measure_apart(case: Case, config: Path, overrides: tuple[str, ...]) -> list[dict]:
    """The rows of a case, from processes that do nothing else: their memory is the case's."""
    many = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={case.ranks}"]
    launcher = [sys.executable, *(many if case.ranks > 1 else [])]
    command = [*launcher, "launch/benchmark.py", str(config), *overrides, "--case", case.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{case.name}: cannot be measured: {done.stderr.strip().splitlines()[-1]}")
    line = next(line for line in done.stdout.splitlines() if line.startswith(MARK))
    return json.loads(line.removeprefix(MARK))


def load_bench(config: Path, overrides: tuple[str, ...]) -> Bench:
    return load_settings(Bench, config, overrides)


def measure_here(config: Path, overrides: tuple[str, ...], name: str, world: World) -> None:
    """Measure one case in this world, and print its rows for measure_apart."""
    bench = load_bench(config, overrides)
    case = next((case for case in bench.cases if case.name == name), None)
    if case is None:
        raise ConfigError(f"--case {name}: there are {', '.join(case.name for case in bench.cases)}")
    rows = measure_case(bench, case, world)
    if world.main:
        print(MARK + json.dumps(rows), flush=True)


def record_of(bench: Bench, rows: list[dict]) -> dict:
    """All that is needed to read the numbers, and to take them again."""
    return measured_here(bench.title) | {"settings": bench.model_dump(mode="json"), "rows": rows}


def measured_here(title: str) -> dict:
    """What a record says of where it was made, when, and by which code."""
    return {
        "bench_version": BENCH_VERSION,
        "title": title,
        "measured_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "system": doctor(Path()),
        **commit_and_diff(),
    }


def write_record(record: dict, path: Path) -> None:
    with published(path) as file:
        file.write(json.dumps(record, indent=1, ensure_ascii=False).encode() + b"\n")


def read_record(path: Path) -> dict:
    """A record of this version; UserError otherwise."""
    try:
        record = json.loads(path.read_text())
        version = record["bench_version"]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no record of a benchmark") from error
    if version != BENCH_VERSION:
        raise UserError(
            f"{path}: was measured by version {version} of the rules, this is {BENCH_VERSION}; measure again"
        )
    return record
