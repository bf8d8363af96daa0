"""How a run looks at events that it did not learn from."""

from hpc_nuvlm.config import parse_run
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import samples_of


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
