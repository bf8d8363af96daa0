"""The line of context: what is masked, what is refused, and the way into batches, runs and evaluations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpc_nuvlm.config import Context, dump_run, parse_run
from hpc_nuvlm.context import ContextLines, check_context, open_context, require_rows
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.evaluation import hide_fields
from hpc_nuvlm.models.distillation import Teacher
from hpc_nuvlm.models.task import Prediction, Task
from hpc_nuvlm.sample import Batch
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.training import build_data, build_learner

FIELDS = ("charge", "hits", "beam_mode")


@pytest.fixture
def dataset(drawn_dataset):
    return open_dataset(drawn_dataset)


@pytest.fixture
def table(tmp_path, dataset):
    """A CSV of every event: a beam mode that knows nothing of it, and its class by another name."""
    generator, rows = np.random.default_rng(0), []
    for name in dataset.splits:
        for event in dataset.split(name):
            mode, secret = generator.choice(["FHC", "RHC"]), event.truth.label[:3]
            rows.append(f"{event.identity.key},{mode},{secret}")
    path = tmp_path / "conditions.csv"
    path.write_text("\n".join(["key,beam_mode,quality", *rows]) + "\n")
    return path


def context_run(run_fields, **context):
    data = run_fields["data"] | {"context": context}
    return parse_run(run_fields | {"model": {"family": "vlm", "base": "untrained:tiny"}, "data": data}, "test")


def test_batches_hold_a_line_for_each_event_with_what_the_table_says(run_fields, table, dataset):
    run = context_run(run_fields, fields=FIELDS, table=str(table))
    _, training, validation = build_data(run, dataset)
    batch = training.batch(np.arange(5), np.ones(5, bool), epoch=0)
    for key, line in zip(batch.keys, batch.context):
        mode = next(row.split(",")[1] for row in table.read_text().splitlines() if row.startswith(f"{key},"))
        assert line.startswith("Known: charge ") and line.endswith(f", beam mode {mode}.")
    assert batch.take(batch.label_B.argsort()).context == tuple(batch.context[i] for i in batch.label_B.argsort())
    assert validation.batch([0], np.ones(1, bool), None).context[0].startswith("Known: charge ")


def test_without_settings_batches_hold_none(run_fields, dataset):
    _, training, _ = build_data(parse_run(run_fields, "test"), dataset)
    assert training.batch([0, 1], np.ones(2, bool), 0).context is None


def test_the_line_is_of_the_event_whose_picture_is_shown(run_fields, dataset):
    run = context_run(run_fields, fields=["charge", "hits"])
    _, training, _ = build_data(run, dataset)
    shuffled = replace(training, picture_of=np.roll(np.arange(len(training)), 1))
    ours, theirs = (samples.batch([3, 4], np.ones(2, bool), None) for samples in (shuffled, training))
    assert ours.keys == theirs.keys and ours.context[1] == theirs.context[0] != theirs.context[1]


def test_each_field_is_masked_with_its_probability_by_seed_epoch_and_event_alone(run_fields, dataset):
    run = context_run(run_fields, fields=["charge", "hits", "rows", "share"], dropout=0.25)
    _, training, _ = build_data(run, dataset)
    everything = np.arange(len(training))
    lines = [training.batch(everything, everything >= 0, epoch).context for epoch in range(12)]
    unknown = np.mean([line.count("unknown") for epoch in lines for line in epoch]) / 4
    # 1,440 fields: five standard deviations
    assert abs(unknown - 0.25) < 0.06
    assert len(set(lines)) == 12
    alone = [training.batch([number], np.ones(1, bool), 3).context[0] for number in everything]
    assert lines[3] == tuple(alone)
    assert "unknown" not in " ".join(training.batch(everything, everything >= 0, None).context)


def test_hidden_fields_read_unknown_and_no_other(run_fields, dataset, cvn_detector):
    run = hide_fields(context_run(run_fields, fields=["charge", "hits"], hide=["hits"]), ("charge",))
    assert run.data.context.hide == ("hits", "charge")
    events = [dataset.split("train")[0]]
    assert open_context(run.data.context).write(events, cvn_detector) == ("Known: charge unknown, hits unknown.",)
    (line,) = open_context(Context(fields=("charge", "hits"), hide=("hits",))).write(events, cvn_detector)
    assert line.endswith(", hits unknown.") and line.count("unknown") == 1
    plain = parse_run(run_fields, "test")
    assert hide_fields(plain, ("charge",)) is plain


def test_training_refuses_a_column_that_tells_the_class(run_fields, table, dataset):
    run = context_run(run_fields, fields=["hits", "quality"], table=str(table))
    with pytest.raises(ConfigError, match=r"column 'quality' tells truth\.label: uncertainty coefficient 1\.000 on"):
        build_data(run, dataset)


def test_an_event_without_a_row_is_unknown_and_a_table_of_other_events_is_refused(table, dataset, cvn_detector):
    split, lines = dataset.split("train"), open_context(Context(fields=FIELDS, table=table))
    others = replace(lines.table, rows={})
    without = ContextLines(lines.settings, others)
    assert without.write([split[0]], cvn_detector)[0].endswith("beam mode unknown.")
    for look in (check_context, require_rows):
        look(lines, split)
        look(None, split)
        with pytest.raises(ConfigError, match=r"has no row for any of .* events that were looked for"):
            look(without, split)


def test_numbers_that_two_events_share_are_refused(tmp_path, dataset):
    events = [dataset.split("train")[0]]
    events.append(replace(events[0], identity=replace(events[0].identity, source="ef" * 32)))
    path = tmp_path / "table.csv"
    path.write_text(f"event,beam_mode\n{events[0].identity.event},FHC\n")
    with pytest.raises(ConfigError, match=r"row 1 is of two events, .* name events by a column 'key'"):
        require_rows(open_context(Context(fields=FIELDS, table=path)), events)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fields": ("chrage",)}, r"'chrage' is not measured; did you mean 'charge'\? Further ones come from"),
        ({"fields": ("zz",)}, "'zz' is not measured; there are charge, hits"),
        ({"fields": ("hits", "hits")}, "'hits' is named twice"),
        ({"hide": ("bright",)}, r"data\.context\.hide: 'bright' is not among"),
    ],
)
def test_fields_that_cannot_be_told_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        open_context(Context(**settings))


def test_a_table_none_of_whose_columns_is_used_is_refused(tmp_path, table):
    with pytest.raises(ConfigError, match=r"none of its columns is among data\.context\.fields"):
        open_context(Context(table=table))
    path = tmp_path / "table.csv"
    path.write_text("event,charge,beam_mode\n1,2,FHC\n")
    with pytest.raises(ConfigError, match="'charge' has the name of a field that is measured; rename it"):
        open_context(Context(fields=FIELDS, table=path))


@pytest.mark.parametrize("family", ["cnn", "cvn", "vit"])
def test_families_that_read_no_text_are_refused(run_fields, family):
    data = run_fields["data"] | {"context": {}}
    with pytest.raises(ConfigError, match=rf"data\.context is text, which a {family} reads none of; set data\.context"):
        parse_run(run_fields | {"model": {"family": family}, "data": data}, "test")


def test_datasets_side_by_side_have_a_line_for_each_of_their_events(run_fields, dataset):
    data = run_fields["data"] | {"more": [{"dataset": run_fields["data"]["dataset"]}]}
    run = context_run(run_fields | {"data": data}, fields=["hits"])
    _, training, _ = build_data(run, dataset)
    half = len(training) // 2
    batch = training.batch([half, 0, half + 1], np.ones(3, bool), None)
    assert batch.context[0] == batch.context[1] != batch.context[2]


def test_a_teacher_that_was_told_other_things_is_refused(run_fields, tmp_path, monkeypatch):
    monkeypatch.setattr("hpc_nuvlm.training.build_task", lambda run, num_views: None)
    teacher = context_run(run_fields | {"folder": str(tmp_path / "teacher")}, fields=["hits"])
    teacher.folder.mkdir()
    (teacher.folder / "run.yaml").write_text(dump_run(teacher))
    student = parse_run(run_fields | {"distill": {"teacher": str(teacher.folder)}}, "test")
    with pytest.raises(
        ConfigError, match=r"distill\.teacher = .*trained with data\.context.* set data\.context to the"
    ):
        build_learner(student, 3, None)


@pytest.mark.parametrize("reads", [True, False])
def test_a_teacher_is_told_what_it_learned_with(reads):
    told = []

    class Asked(Task):
        def predict(self, batch, explain=False):
            told.append(batch.context)
            return Prediction(torch.zeros(1, 3))

        loss = export = None

    image = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    batch = Batch(image, torch.tensor([0]), torch.tensor([True]), ("a",), teacher_image_BVHW=image, context=("Known.",))
    Teacher(Asked(), reads_context=reads).log_probability(batch)
    assert told == [("Known.",) if reads else None]
