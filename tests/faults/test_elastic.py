"""R6: stopped in the middle of an epoch and continued on another number of ranks, in another ZeRO stage."""

import json

import pytest

from tests.faults import harness

pytestmark = pytest.mark.slow

# World size, engine, last step: 28 events in batches of 8 are four steps an epoch, so that all stop inside of one
PARTS = [
    (1, {"kind": "plain"}, 5),
    (2, {"kind": "zero", "stage": 1}, 11),
    (3, {"kind": "zero", "stage": 3}, 17),
    (2, {"kind": "zero", "stage": 2}, 23),
    (1, {"kind": "plain"}, None),
]


# Of the shipped fine-tune. Adam makes whole steps of gradients that differ from zero by rounding alone, so that at 1e-3
# losses differ by 3e-5 after 35 steps.
RATE = "optimizer.lr=5e-4"


def test_the_order_and_the_losses_do_not_depend_on_who_reads(config, tmp_path):
    folder, alone = tmp_path / "run", tmp_path / "alone"
    codes, said = harness.train(config, f"folder={alone}", RATE, world_size=1)
    assert codes == [0], said
    for world_size, engine, last_step in PARTS:
        last = f"schedule.stop_after_steps={last_step or 'null'}"
        changes = [RATE, f"engine={json.dumps(engine | {'threads': 1})}", last]
        codes, said = harness.train(config, f"folder={folder}", RATE, *changes, world_size=world_size)
        assert codes == [0] * world_size, said
    assert harness.wrong_steps(config, folder) == []
    assert harness.losses(folder) == pytest.approx(harness.losses(alone), abs=1e-5)
    rates = [[one["learning_rate"] for one in harness.records(path, "step")] for path in (folder, alone)]
    assert rates[0] == rates[1]
