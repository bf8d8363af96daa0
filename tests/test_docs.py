"""What the documents name exists: files, configurations, commands, make targets, overridden keys."""

import re
from pathlib import Path

import pytest

from hpc_nuvlm import cli
from hpc_nuvlm.config import load_run

REPOSITORY = Path(__file__).parent.parent
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def said(path: Path) -> str:
    return path.read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_exists(path):
    named = re.findall(
        r"(?<![\w/])((?:configs|launch|docs|tests|kernels|hpc_nuvlm)/[\w./-]+\.(?:py|yaml|md|json))", said(path)
    )
    missing = sorted({name for name in named if "NAME" not in name and not (REPOSITORY / name).is_file()})
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(path):
    commands = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    assert set(re.findall(r"^\s*nuvlm (\w+)", said(path), re.M)) <= commands
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^\s*make ([\w-]+)", said(path), re.M)) <= targets


def test_every_training_command_of_the_readme_is_accepted():
    lines = re.findall(r"launch/train\.py (configs/\S+)([^\n#]*)", said(REPOSITORY / "README.md"))
    assert len(lines) >= 4
    for config, overrides in lines:
        load_run(REPOSITORY / config, tuple(overrides.split()))
