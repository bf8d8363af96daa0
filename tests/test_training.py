"""What a run begins with, and how it looks at events that it did not learn from."""

import pytest
import torch

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.engine import state
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.runs import best_of, load_best, tower_of
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_learner, samples_of, train

ALONE = World(0, 1, 0, 1, torch.device("cpu"))


def test_events_are_looked_at_as_when_they_were_learned_from(run_fields, drawn_dataset, tmp_path):
    other = tmp_path / "other"
    other.symlink_to(drawn_dataset)
    view = run_fields["view"] | {"full_scale": 12.75}
    more = {"data": {"dataset": "elsewhere", "more": [{"dataset": str(other), "view": view}]}}
    run = parse_run(run_fields | more, where="test")
    learned = samples_of(run, open_dataset(drawn_dataset), "test")
    assert learned.view.view.full_scale == 12.75 and learned.augment is None
    unknown = parse_run(run_fields | {"data": {"dataset": "elsewhere"}}, where="test")
    assert samples_of(unknown, open_dataset(drawn_dataset), "test").view.view == unknown.view


@pytest.mark.slow
def test_a_run_can_begin_with_the_weights_of_another_of_the_same_model(run_fields, tmp_path):
    earlier = parse_run(run_fields | {"folder": str(tmp_path / "earlier")}, where="test")
    assert train(earlier, ALONE, StopRequest()) == 0
    learned = load_best(earlier, 3).trainable()
    # The moved folder, another seed
    moved = (tmp_path / "earlier").rename(tmp_path / "moved")
    later = parse_run(run_fields | {"folder": str(tmp_path / "later"), "seed": 2, "start": str(moved)}, where="test")
    begun = build_learner(later, 3, ALONE).trainable()
    fresh = build_learner(later.model_copy(update={"start": None}), 3, ALONE).trainable()
    assert all(torch.equal(begun[name], learned[name]) for name in learned)
    assert any(not torch.equal(fresh[name], learned[name]) for name in learned)


@pytest.mark.slow
def test_a_run_cannot_begin_with_the_weights_of_another_model(run_fields, tmp_path):
    earlier = parse_run(run_fields | {"folder": str(tmp_path / "earlier")}, where="test")
    with pytest.raises(ConfigError, match="earlier: is no run folder"):
        build_learner(parse_run(run_fields | {"start": str(earlier.folder)}, where="test"), 3, ALONE)
    train(earlier, ALONE, StopRequest())
    wider = run_fields["model"] | {"hidden": 24}
    run = parse_run(run_fields | {"start": str(earlier.folder), "model": wider}, where="test")
    with pytest.raises(ConfigError, match=r"start = .*earlier': its model has other parameters"):
        build_learner(run, 3, ALONE)


@pytest.mark.slow
def test_a_vlm_can_begin_with_a_vision_tower_that_learned_alone(run_fields, tmp_path):
    tower = {"family": "vit", "tower": "untrained:tiny", "dropout": 0.0}
    earlier = parse_run(run_fields | {"folder": str(tmp_path / "tower"), "model": tower}, where="test")
    train(earlier, ALONE, StopRequest())
    learned = tower_of(state.load_checkpoint(best_of(earlier))[0].values)
    fields = run_fields | {"seed": 2, "model": {"family": "vlm", "base": "untrained:tiny"}}
    later = build_learner(parse_run(fields | {"start": str(earlier.folder)}, where="test"), 3, ALONE).trainable()
    fresh = build_learner(parse_run(fields, where="test"), 3, ALONE).trainable()
    assert learned.keys() < later.keys() and len(learned) > 20
    for name, parameter in later.items():
        assert torch.equal(parameter, learned.get(name, fresh[name])), name
    # A plain one has no such tower
    scratch = {"folder": str(tmp_path / "plain"), "model": {"family": "vit", "layers": 1}}
    plain = parse_run(run_fields | scratch, where="test")
    train(plain, ALONE, StopRequest())
    with pytest.raises(ConfigError, match=r"start = .*plain': its model has other parameters"):
        build_learner(parse_run(fields | {"start": str(plain.folder)}, where="test"), 3, ALONE)
