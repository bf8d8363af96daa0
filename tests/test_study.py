"""Studies: which runs there are, what is done again, and what the table says."""

import json
from pathlib import Path

import pytest
import yaml

from hpc_nuvlm import study as module
from hpc_nuvlm.config import load_run
from hpc_nuvlm.engine.state import BEST, checkpoints
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, StopRequest
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.settings import load_settings, parse_settings
from hpc_nuvlm.study import Study, run_study, steps_to_reach, table_of, trials_of

STUDIES = sorted((Path(__file__).parent.parent / "configs" / "studies").glob("*.yaml"))


@pytest.fixture
def study(run_fields, tmp_path) -> Study:
    config = tmp_path / "cnn.yaml"
    config.write_text(yaml.safe_dump(run_fields))
    family = {
        "name": "cnn-{per_class}-{seed}",
        "config": str(config),
        "set": {"schedule.epochs": 1},
        "grid": {"data.per_class": [2, 4], "seed": [1, 2]},
    }
    score = {"dataset": run_fields["data"]["dataset"], "split": "val", "calibrate": "none"}
    fields = {"title": "How many", "folder": str(tmp_path / "study"), "processes": 1}
    return parse_settings(Study, fields | {"families": [family], "score": score}, where="test")


def scored(accuracy: float) -> dict:
    return {
        "scored_on": "",
        "values": {},
        "validation_accuracy": accuracy,
        "validation": [],
        "accuracy": {"value": accuracy},
        "macro_auc": {"value": 0.5},
        "expected_calibration_error": 0.1,
    }


def with_family(study: Study, **changes) -> Study:
    return study.model_copy(update={"families": (study.families[0].model_copy(update=changes),)})


def test_there_is_a_run_for_every_combination_of_the_grid(study):
    trials = trials_of(study)
    assert [trial.name for trial in trials] == ["cnn-2-1", "cnn-2-2", "cnn-4-1", "cnn-4-2"]
    assert "schedule.epochs=1" in trials[0].overrides and "data.per_class=2" in trials[0].overrides
    assert f'folder="{study.folder}/cnn-2-1"' in trials[0].overrides


def test_what_changes_together_is_a_case(study):
    cases = ({"data.per_class": 2, "schedule.epochs": 9}, {"data.per_class": 4, "schedule.epochs": 5})
    trials = trials_of(with_family(study, cases=cases, grid={"seed": [1, 2]}))
    assert [trial.name for trial in trials] == ["cnn-2-1", "cnn-2-2", "cnn-4-1", "cnn-4-2"]
    assert {"schedule.epochs=5", "data.per_class=4", "seed=1"} < set(trials[2].overrides)


def test_a_value_may_name_another_run_of_the_study(study):
    trials = trials_of(with_family(study, set={"model.base": "{folder}/base-{seed}/model"}))
    assert f'model.base="{study.folder}/base-2/model"' in trials[1].overrides


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "cnn"}, r"several runs are called 'cnn'; put \{KEY\}"),
        ({"name": "cnn-{epochs}"}, "the grid has no key 'epochs'; it has per_class, seed"),
    ],
)
def test_names_that_do_not_tell_runs_apart_are_refused(study, changes, message):
    with pytest.raises(ConfigError, match=message):
        trials_of(with_family(study, **changes))


def test_a_configuration_that_is_not_there_is_refused(study, tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        trials_of(with_family(study, config=tmp_path / "none.yaml"))


@pytest.fixture
def trained(study, monkeypatch) -> list[str]:
    """Names of the trials that were trained; nothing is."""
    study.folder.mkdir()
    names = []

    def train(_study, trial, _stop):
        names.append(trial.name)
        return 0, 1.0

    monkeypatch.setattr(module, "train_trial", train)
    row = lambda study, trial, seconds: scored(0.5) | {"digest": trial.digest, "scored_on": str(study.score)}  # noqa: E731
    monkeypatch.setattr(module, "row_of", row)
    return names


def test_a_scored_run_is_not_trained_again_unless_what_decides_it_changed(study, trained):
    tell = lambda _: None  # noqa: E731
    assert run_study(study, StopRequest(), tell) == 0 and len(trained) == 4
    assert run_study(study, StopRequest(), tell) == 0 and len(trained) == 4
    changed = with_family(study, set={"schedule.epochs": 2})
    assert run_study(changed, StopRequest(), tell) == 0 and len(trained) == 8
    assert (study.folder / "study.md").read_text().startswith("# How many")


def test_a_comment_in_a_configuration_decides_nothing(study, trained):
    tell = lambda _: None  # noqa: E731
    assert run_study(study, StopRequest(), tell) == 0
    config = study.families[0].config
    config.write_text("# Expected: 0.9\n" + config.read_text())
    assert run_study(study, StopRequest(), tell) == 0 and len(trained) == 4
    config.write_text(config.read_text() + "seed: 7\n")
    assert run_study(study, StopRequest(), tell) == 0 and len(trained) == 8


def test_a_mistake_in_the_last_run_is_told_before_the_first_is_trained(study, trained):
    wrong = with_family(study, grid={"seed": [1], "schedule.epochs": [1, -1]}, name="cnn-{seed}-{epochs}")
    with pytest.raises(ConfigError, match=r"schedule\.epochs"):
        run_study(wrong, StopRequest(), lambda _: None)
    assert trained == []


def test_a_stop_ends_the_study_and_keeps_what_is_scored(study, trained, monkeypatch):
    stop = StopRequest()
    told = []

    def train(_study, trial, stop):
        stop.received = trial.name == "cnn-2-2" or None
        return (EXIT_REQUEUE if stop.received else 0), 1.0

    monkeypatch.setattr(module, "train_trial", train)
    assert run_study(study, stop, told.append) == EXIT_REQUEUE
    assert list(json.loads((study.folder / "study.json").read_text())) == ["cnn-2-1"]
    assert "the same command continues" in told[-1]


def test_a_failed_training_is_an_error_that_names_it(study, trained, monkeypatch):
    monkeypatch.setattr(module, "train_trial", lambda *_: (2, 1.0))
    with pytest.raises(UserError, match="cnn-2-1: training ended with exit code 2"):
        run_study(study, StopRequest(), lambda _: None)


def test_seeds_of_a_setting_are_one_row_with_their_spread(study):
    record = {"cnn-2-1": scored(0.5), "cnn-2-2": scored(0.7), "cnn-4-1": scored(0.9)}
    table = table_of(study, record)
    assert "| cnn-{per_class} | data.per_class 2 | 2 | 0.600 ± 0.141 | 0.600 ± 0.141 | 0.500 ± 0.000 |" in table
    assert "| cnn-{per_class} | data.per_class 4 | 1 | 0.900 | 0.900 | 0.500 | 0.100 |" in table


def test_steps_to_a_loss_are_those_of_the_first_validation_below_it():
    curve = [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 0.5}, {"step": 30, "loss": 0.6}]
    assert steps_to_reach(curve, 0.6) == 20 and steps_to_reach(curve, 0.4) is None


def test_steps_are_counted_to_the_lowest_loss_of_the_baseline(study):
    """0.5 is the mean of the baseline's lowest losses 0.4 and 0.6."""
    curves = {
        "cnn-2-1": [(10, 0.9), (20, 0.4), (30, 0.7)],
        "cnn-2-2": [(10, 0.6), (20, 0.8), (30, 0.8)],
        "fast-2-1": [(0, 0.45), (20, 0.3)],
        "fast-2-2": [(10, 0.7), (20, 0.6)],
    }
    family = study.families[0].model_copy(update={"grid": {"data.per_class": [2], "seed": [1, 2]}})
    other = family.model_copy(update={"name": "fast-{per_class}-{seed}"})
    record = {
        name: scored(0.5) | {"validation": [{"step": step, "loss": loss} for step, loss in curve]}
        for name, curve in curves.items()
    }
    timed = study.model_copy(update={"families": (family, other), "baseline": "cnn-{per_class}"})
    table = table_of(timed, record).splitlines()
    assert table[4].endswith("| steps to the lowest loss of cnn-{per_class} |")
    assert table[6].endswith("| 20, never |") and table[7].endswith("| 0, never |")
    with pytest.raises(ConfigError, match="baseline: no family is called 'slow'; there are cnn-"):
        trials_of(timed.model_copy(update={"baseline": "slow"}))
    assert "steps" not in table_of(timed.model_copy(update={"baseline": None}), record)


@pytest.mark.slow
def test_runs_are_trained_and_scored_as_a_person_would(study, repository, monkeypatch):
    monkeypatch.chdir(repository)
    one = with_family(study, grid={"seed": [3]}, name="cnn-{seed}")
    assert run_study(one, StopRequest(), lambda _: None) == 0
    row = json.loads((study.folder / "study.json").read_text())["cnn-3"]
    assert 0 <= row["accuracy"]["value"] <= 1 and len(row["validation"]) == 1 and row["seconds"] > 0
    assert len(checkpoints(study.folder / "cnn-3", BEST)) == 1


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_every_run_of_every_shipped_study_loads(path, repository, monkeypatch):
    monkeypatch.chdir(repository)
    shipped = load_settings(Study, path)
    header = path.read_text().partition("title:")[0]
    for said in (f"launch/study.py configs/studies/{path.name}", "Hardware:", "Time:", "Expected:"):
        assert said in header, f"{path}: its header does not say {said!r}"
    trials = trials_of(shipped)
    assert trials
    for trial in trials:
        run = load_run(trial.config, trial.overrides)
        assert run.folder == shipped.folder / trial.name


def test_there_are_studies():
    assert len(STUDIES) >= 3
