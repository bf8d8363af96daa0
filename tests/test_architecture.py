"""The import table and the homes of heavy libraries, as tables; a breach names file, line and rule."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
EVERYTHING = "*"

# Part of the project -> parts that it may import. errors and the package root are for all.
MAY_IMPORT = {
    "nuvlm_kernels": (),
    "hpc_nuvlm.event": (),
    "hpc_nuvlm.detector": (),
    "hpc_nuvlm.settings": (),
    "hpc_nuvlm.families": ("hpc_nuvlm.settings",),
    "hpc_nuvlm.config": ("hpc_nuvlm.families", "hpc_nuvlm.settings"),
    "hpc_nuvlm.metrics": (),
    "hpc_nuvlm.rationale": ("hpc_nuvlm.event",),
    "hpc_nuvlm.interaction": (),
    "hpc_nuvlm.formats": ("hpc_nuvlm.event", "hpc_nuvlm.detector", "hpc_nuvlm.interaction"),
    "hpc_nuvlm.simulate": (
        "hpc_nuvlm.event",
        "hpc_nuvlm.detector",
        "hpc_nuvlm.config",
        "hpc_nuvlm.interaction",
        "nuvlm_kernels",
    ),
    "hpc_nuvlm.store": ("hpc_nuvlm.event", "hpc_nuvlm.detector"),
    "hpc_nuvlm.context": ("hpc_nuvlm.event", "hpc_nuvlm.detector", "hpc_nuvlm.config"),
    "hpc_nuvlm.views": ("hpc_nuvlm.event", "hpc_nuvlm.detector", "hpc_nuvlm.config", "nuvlm_kernels"),
    "hpc_nuvlm.sample": (
        "hpc_nuvlm.context",
        "hpc_nuvlm.event",
        "hpc_nuvlm.detector",
        "hpc_nuvlm.config",
        "hpc_nuvlm.views",
        "hpc_nuvlm.rationale",
    ),
    "hpc_nuvlm.models": ("hpc_nuvlm.config", "hpc_nuvlm.families", "hpc_nuvlm.sample", "hpc_nuvlm.rationale"),
    "hpc_nuvlm.engine": (
        "hpc_nuvlm.config",
        "hpc_nuvlm.sample",
        "hpc_nuvlm.metrics",
        "hpc_nuvlm.models.task",
        "hpc_nuvlm.store.plan",
    ),
    "hpc_nuvlm.paired": (),
    "hpc_nuvlm.slices": ("hpc_nuvlm.metrics",),
    "hpc_nuvlm.conformal": ("hpc_nuvlm.metrics",),
    "hpc_nuvlm.calibration": ("hpc_nuvlm.metrics", "hpc_nuvlm.conformal"),
    "hpc_nuvlm.report": (
        "hpc_nuvlm.config",
        "hpc_nuvlm.metrics",
        "hpc_nuvlm.paired",
        "hpc_nuvlm.conformal",
        "hpc_nuvlm.calibration",
    ),
    # Those that put the parts together, for launch/ and the command line
    "hpc_nuvlm.runs": (EVERYTHING,),
    "hpc_nuvlm.training": (EVERYTHING,),
    "hpc_nuvlm.study": (EVERYTHING,),
    "hpc_nuvlm.release": (EVERYTHING,),
    "hpc_nuvlm.evaluation": (EVERYTHING,),
    "hpc_nuvlm.deployment": (EVERYTHING,),
    "hpc_nuvlm.robustness": (EVERYTHING,),
    "hpc_nuvlm.explanation": (EVERYTHING,),
    "hpc_nuvlm.explaining": (EVERYTHING,),
    "hpc_nuvlm.simulation": (EVERYTHING,),
    "hpc_nuvlm.packing": (EVERYTHING,),
    "hpc_nuvlm.arguments": (EVERYTHING,),
    "hpc_nuvlm.checking": (EVERYTHING,),
    "hpc_nuvlm.doctor": (EVERYTHING,),
    "hpc_nuvlm.planning": (EVERYTHING,),
    "hpc_nuvlm.bench": (EVERYTHING,),
    "hpc_nuvlm.submission": ("hpc_nuvlm.config",),
    # Work shared by processes, whatever the work is
    "hpc_nuvlm.progress": (),
    "hpc_nuvlm.workers": (
        "hpc_nuvlm.engine.place",
        "hpc_nuvlm.engine.stop",
        "hpc_nuvlm.progress",
        "hpc_nuvlm.store",
        "nuvlm_kernels.cache",
    ),
    "hpc_nuvlm.validation": (EVERYTHING,),
    "hpc_nuvlm.cli": (EVERYTHING,),
    "launch": (EVERYTHING,),
}
FOR_ALL = ("hpc_nuvlm", "hpc_nuvlm.errors")
NEVER_IMPORTED = ("hpc_nuvlm.cli", "launch", "kernels", "configs", "slurm")

HOMES = {
    "deepspeed": ("hpc_nuvlm/engine/zero.py",),
    "transformers": ("hpc_nuvlm/models/",),
    "peft": ("hpc_nuvlm/models/vlm/",),
    "bitsandbytes": ("hpc_nuvlm/models/vlm/",),
    "tokenizers": ("hpc_nuvlm/models/vlm/",),
    # bench/peers/ compares with what others offer: there a library is a peer
    "zarr": ("hpc_nuvlm/store/zarr_zip.py", "hpc_nuvlm/bench/peers/"),
    "webdataset": ("hpc_nuvlm/store/tar_store.py",),
    "h5py": ("hpc_nuvlm/formats/",),
    "uproot": ("hpc_nuvlm/formats/",),
    "mpi4py": ("hpc_nuvlm/engine/place.py",),
    "numba": ("kernels/nuvlm_kernels/", "hpc_nuvlm/bench/peers/"),
    "matplotlib": ("hpc_nuvlm/report/",),
    "pyarrow": ("hpc_nuvlm/report/", "hpc_nuvlm/context/table.py"),
    "mapie": ("hpc_nuvlm/conformal.py",),
    "onnx": ("hpc_nuvlm/models/onnx_export.py",),
    "onnxruntime": ("hpc_nuvlm/models/onnx_export.py",),
    "typer": ("hpc_nuvlm/cli/",),
    # torch begins at sample.py
    "torch": (
        "hpc_nuvlm/sample.py",
        "hpc_nuvlm/models/",
        "hpc_nuvlm/engine/",
        "hpc_nuvlm/planning/shadow.py",
        "hpc_nuvlm/bench/",
    ),
}
# os.environ is read in one file
ENVIRONMENT_HOME = "hpc_nuvlm/engine/place.py"
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_LAUNCHER = 300, 40, 60


def sources() -> list[Path]:
    folders = ("hpc_nuvlm", "kernels", "launch")
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    relative = path.relative_to(REPOSITORY).with_suffix("")
    parts = relative.parts[1:] if relative.parts[0] == "kernels" else relative.parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import, wherever it stands; `from a import b` gives a.b if that is a module, else a."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module_of(path).split(".")
                package = package if path.name == "__init__.py" else package[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            found += [
                (node.lineno, f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base)
                for alias in node.names
            ]
    return found


def is_module(name: str) -> bool:
    place = REPOSITORY / Path(*name.split("."))
    inside_kernels = REPOSITORY / "kernels" / Path(*name.split("."))
    return any(p.is_dir() or p.with_suffix(".py").is_file() for p in (place, inside_kernels))


def part_of(module: str) -> str | None:
    """The part that a module belongs to: the longest entry of the table that it begins with."""
    fitting = [part for part in MAY_IMPORT if module == part or module.startswith(f"{part}.")]
    return max(fitting, key=len) if fitting else None


def breaches(path: Path, text: str) -> list[str]:
    """What a file with this text would breach if it stood at this path."""
    tree, name = ast.parse(text), path.relative_to(REPOSITORY).as_posix()
    part = part_of(module_of(path))
    found = []
    for line, target in imports(tree, path):
        library = target.split(".")[0]
        if library in HOMES and not name.startswith(HOMES[library]):
            found.append(f"{name}:{line}: imports {target}; {library} lives in {', '.join(HOMES[library])}")
        never = [n for n in NEVER_IMPORTED if target == n or target.startswith(f"{n}.")]
        # The parts of one of these may see each other
        if library in ("kernels", "configs", "slurm") or any(part != n for n in never):
            found.append(f"{name}:{line}: imports {target}, which nobody may")
        if library not in ("hpc_nuvlm", "nuvlm_kernels") or target in FOR_ALL or part is None:
            continue
        allowed = (*MAY_IMPORT[part], part)
        if EVERYTHING not in allowed and not any(target == a or target.startswith(f"{a}.") for a in allowed):
            found.append(f"{name}:{line}: {part} imports {target}; it may import {', '.join(allowed)}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and name != ENVIRONMENT_HOME:
            found.append(f"{name}:{node.lineno}: reads the environment; only {ENVIRONMENT_HOME} does")
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_a_file_imports_only_what_its_part_may(path):
    assert part_of(module_of(path)) or module_of(path) in FOR_ALL, f"{path}: belongs to no part of the table"
    assert breaches(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("place", "planted", "rule"),
    [
        ("hpc_nuvlm/store/plan.py", "import torch", "torch lives in"),
        ("hpc_nuvlm/engine/loop.py", "import deepspeed", "deepspeed lives in hpc_nuvlm/engine/zero.py"),
        ("hpc_nuvlm/event.py", "def f():\n    from transformers import AutoModel", "transformers lives in"),
        (
            "hpc_nuvlm/formats/dune_cvn.py",
            "from hpc_nuvlm.store import manifest",
            "formats imports hpc_nuvlm.store.manifest",
        ),
        ("hpc_nuvlm/formats/dune_cvn.py", "from ..store import manifest", "formats imports hpc_nuvlm.store.manifest"),
        (
            "hpc_nuvlm/models/cnn.py",
            "from hpc_nuvlm.engine.world import World",
            "models imports hpc_nuvlm.engine.world",
        ),
        ("hpc_nuvlm/engine/loop.py", "from hpc_nuvlm.models.cnn import CnnTask", "engine imports hpc_nuvlm.models.cnn"),
        ("hpc_nuvlm/training.py", "from hpc_nuvlm.cli import app", "which nobody may"),
        ("hpc_nuvlm/training.py", "import kernels", "which nobody may"),
        ("hpc_nuvlm/views/image.py", "import os\nos.environ['A']", "reads the environment"),
        (
            "kernels/nuvlm_kernels/raster.py",
            "from hpc_nuvlm.event import Event",
            "nuvlm_kernels imports hpc_nuvlm.event",
        ),
    ],
)
def test_a_planted_breach_is_found(place, planted, rule):
    found = breaches(REPOSITORY / place, planted)
    assert len(found) == 1 and rule in found[0], found


def test_files_functions_and_launchers_are_short():
    too_long = []
    for path in sources():
        lines = path.read_text().splitlines()
        limit = LONGEST_LAUNCHER if path.parent.name == "launch" else LONGEST_FILE
        if len(lines) > limit:
            too_long.append(f"{path.name}: {len(lines)} lines, limit {limit}")
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION:
                too_long.append(f"{path.name}:{node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines")
    assert too_long == []


def test_source_folders_are_no_packages():
    for folder in ("kernels", "launch", "configs", "slurm"):
        assert not (REPOSITORY / folder / "__init__.py").exists()


CLEAN_IMPORT = """
import os, sys, threading
before = dict(os.environ)
sys.argv = ["none"]
import hpc_nuvlm.event, hpc_nuvlm.detector, hpc_nuvlm.config, hpc_nuvlm.formats, hpc_nuvlm.store, hpc_nuvlm.store.plan
import hpc_nuvlm.views.image, hpc_nuvlm.views.augment
import hpc_nuvlm.simulation, hpc_nuvlm.packing, hpc_nuvlm.workers, hpc_nuvlm.arguments, hpc_nuvlm.cli
assert dict(os.environ) == before, "an import changed the environment"
assert threading.active_count() == 1, "an import started a thread"
for name in ("torch", "transformers", "deepspeed", "matplotlib"):
    assert name not in sys.modules, f"{name} was imported"
"""


def test_below_sample_nothing_imports_torch_or_touches_the_process():
    done = subprocess.run([sys.executable, "-c", CLEAN_IMPORT], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == "" and done.stderr == "", done.stderr


def test_the_install_works_beside_a_package_called_kernels(tmp_path):
    """Hugging Face's `kernels` must win that name, and ours must still import."""
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").write_text("WHOSE = 'not ours'\n")
    program = "import kernels, nuvlm_kernels.raster as ours; assert kernels.WHOSE == 'not ours'; print(ours.__file__)"
    # Ours first: a folder without __init__ yields to a package further down the path.
    path = f"{REPOSITORY}:{REPOSITORY / 'kernels'}:{tmp_path}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": path},
    )
    assert done.returncode == 0 and "nuvlm_kernels" in done.stdout, done.stderr
