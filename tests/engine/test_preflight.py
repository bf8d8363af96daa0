from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hpc_nuvlm.engine import preflight as subject
from hpc_nuvlm.engine.preflight import Facts, differences, look, preflight
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError

ALONE = World(0, 1, 0, 1, torch.device("cpu"))
FACTS = Facts(0, "node1", "d1", "python 3.11.2, torch 2.13.0, peft None", "c1", "cuda", 524288.0)


def ranks(**odd) -> list[Facts]:
    """Four ranks on two nodes; the third is odd."""
    alike = [replace(FACTS, rank=rank, host=f"node{1 + rank // 2}") for rank in range(4)]
    return [replace(one, **odd) if one.rank == 2 else one for one in alike]


def test_ranks_that_are_alike_pass(tmp_path):
    assert differences(ranks()) == []
    preflight(tmp_path, ALONE, "fingerprint", 1000)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"dataset": "d2"}, "dataset: rank 2 on node2: d2, and the others d1"),
        ({"code": "c2"}, "code: rank 2 on node2: c2, and the others c1"),
        ({"device": "cpu"}, "device: rank 2 on node2: cpu, and the others cuda"),
        ({"arithmetic": 524289.0}, "arithmetic: rank 2 on node2: 524289.0, and the others 524288.0"),
        (
            {"packages": "python 3.11.2, torch 2.12.1, peft None"},
            "packages: rank 2 on node2: torch 2.12.1, and the others torch 2.13.0",
        ),
    ],
)
def test_the_rank_that_is_not_as_the_others_is_named_with_its_node(odd, said, monkeypatch, tmp_path):
    assert differences(ranks(**odd)) == [said]
    # As rank 0 hears it from all
    heard = ranks(**odd)
    monkeypatch.setattr(World, "gather", lambda self, item: heard if isinstance(item, Facts) else [item])
    with pytest.raises(ConfigError, match="preflight: " + said.replace(".", r"\.")):
        preflight(tmp_path, ALONE, "fingerprint", 1000)


def test_what_a_rank_finds_is_the_same_twice():
    assert look(ALONE, "fingerprint") == look(ALONE, "fingerprint")
    assert look(ALONE, "f").arithmetic == 64**3 * 4.0


def test_another_line_of_code_is_another_code(monkeypatch, tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "a.py").write_text("one = 1\n")
    monkeypatch.setattr(subject, "__file__", str(tmp_path / "engine" / "preflight.py"))
    before = subject.code_digest()
    (tmp_path / "a.py").write_text("one = 2\n")
    assert subject.code_digest() != before


def test_a_disk_without_room_for_checkpoints_is_told_before_the_first_step(tmp_path):
    folder = tmp_path / "not" / "yet"
    with pytest.raises(ConfigError, match=r"yet: [\d,]+ MB are free, and 3 checkpoints take 36,000,000 MB; make room"):
        preflight(folder, ALONE, "fingerprint", 10**12)
    assert not folder.exists() and Path(tmp_path).is_dir()
