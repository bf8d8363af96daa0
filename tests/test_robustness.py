"""The study of worse events on a tiny run: what is measured, kept, resumed and refused."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from hpc_nuvlm import robustness
from hpc_nuvlm.config import dump_run, parse_run
from hpc_nuvlm.engine.state import BEST, Position, Tensors, checkpoint_folder, save_checkpoint
from hpc_nuvlm.engine.stop import EXIT_REQUEUE, StopRequest
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError, StoreError, UserError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.robustness import DegradedSplit, Request, list_cases, load_results, parse_also, study
from hpc_nuvlm.store import open_dataset
from hpc_nuvlm.views.degrade import Degradation, degrade
from hpc_nuvlm.views.image import ImageView

# Together, tests of models and their libraries take longer than all others
pytestmark = pytest.mark.slow

WORLD = World(0, 1, 0, 1, torch.device("cpu"))
FEW_LEVELS = {"resolution": (1.0, 8.0), "noise_hits": (0.0, 50.0, 400.0), "dead": (0.0, 0.1), "gain": (0.6, 1.0)}
# Unchanged events are measured once for all of them
NUM_CASES = 1 + sum(len(levels) - 1 for levels in FEW_LEVELS.values())


@pytest.fixture
def make_run(run_fields, tmp_path):
    """A run folder as training leaves it, with the weights that the seed gives."""

    def make(name: str, seed: int = 1):
        run = parse_run(run_fields | {"folder": str(tmp_path / name), "seed": seed}, where="test")
        torch.set_num_threads(1)
        values = {key: value.detach() for key, value in build_task(run, num_views=3).trainable().items()}
        save_checkpoint(checkpoint_folder(run.folder, 1, BEST), Tensors(values, {}), Position(1, 8, "none", seed))
        (run.folder / "run.yaml").write_text(dump_run(run))
        return run.folder

    return make


@pytest.fixture
def request_of(drawn_dataset, tmp_path):
    def make(*runs, **changes):
        return replace(Request(runs, drawn_dataset, "val", {}, tmp_path / "out"), **changes)

    return make


@pytest.fixture
def calls(monkeypatch):
    """What was predicted on: the settings of each call, in order; the levels are few."""
    seen, real = [], robustness.predict

    def counted(task, samples, *rest):
        seen.append(samples.split._settings)
        return real(task, samples, *rest)

    monkeypatch.setattr(robustness, "predict", counted)
    monkeypatch.setattr(robustness, "LEVELS", FEW_LEVELS)
    monkeypatch.setattr(robustness, "score", lambda *of: scored(*of, num_resamples=20))
    return seen


scored = robustness.score


def results_of(request) -> dict:
    return json.loads((request.out / "robustness.json").read_text())["results"]


def test_every_level_is_measured_once_and_nothing_again(make_run, request_of, calls, capsys):
    request = request_of(make_run("first"))
    assert study(request, WORLD, StopRequest()) == 0
    assert len(calls) == NUM_CASES == len(set(calls))
    first = results_of(request)
    assert len(first) == NUM_CASES and {entry["num_events"] for entry in first.values()} == {
        len(open_dataset(request.dataset).split("val"))
    }
    said = capsys.readouterr().out
    assert "Resolution" in said and "Gain" in said and (request.out / "robustness.png").stat().st_size > 10_000
    assert study(request, WORLD, StopRequest()) == 0
    assert len(calls) == NUM_CASES and results_of(request) == first


def test_what_is_new_alone_is_measured(make_run, request_of, drawn_dataset, calls):
    request = request_of(make_run("first"))
    study(request, WORLD, StopRequest())
    both = replace(request, runs=(*request.runs, make_run("second", seed=2)), also={"same": drawn_dataset})
    study(both, WORLD, StopRequest())
    assert len(calls) == NUM_CASES + 1 + NUM_CASES + 1
    found = {(entry["run"], entry["level"]): entry["accuracy"] for entry in results_of(both).values()}
    assert all(found[run, "same"] == found[run, "unchanged"] for run in ("first", "second"))
    # Other weights in the folder of the first run, and the weights of the first in a folder of another name
    make_run("first", seed=3)
    study(replace(both, runs=(*both.runs, make_run("third"))), WORLD, StopRequest())
    assert len(calls) == 2 * (NUM_CASES + 1) + NUM_CASES + 1


def test_a_stop_keeps_what_is_done_and_the_same_command_goes_on(make_run, request_of, calls, monkeypatch, capsys):
    request, stop, counted = request_of(make_run("first")), StopRequest(), robustness.predict

    def stopped(*arguments):
        stop.received = signal.SIGINT if len(calls) == 2 else None
        return counted(*arguments)

    monkeypatch.setattr(robustness, "predict", stopped)
    assert study(request, WORLD, stop) == EXIT_REQUEUE
    assert len(calls) == len(results_of(request)) == 3
    assert "the same command continues here" in capsys.readouterr().out
    assert study(request, WORLD, StopRequest()) == 0
    assert len(calls) == NUM_CASES == len(set(calls))


def test_a_kill_in_the_middle_loses_one_measurement(make_run, request_of, calls, monkeypatch):
    request, counted = request_of(make_run("first")), robustness.predict

    def interrupted(*arguments):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counted(*arguments)

    monkeypatch.setattr(robustness, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study(request, WORLD, StopRequest())
    assert len(results_of(request)) == 2
    assert [path.name for path in request.out.iterdir()] == ["robustness.json"]


def test_a_degraded_split_gives_degraded_events_in_any_order(drawn_dataset):
    dataset = open_dataset(drawn_dataset)
    split, detector = dataset.split("val"), dataset.manifest.detector
    settings = Degradation(gain=0.5, noise_hits=5, noise_mean=3.0)
    worse = DegradedSplit(split, settings, detector)
    assert len(worse) == len(split) and worse.labels() == split.labels() and worse.fingerprint == split.fingerprint
    for index in reversed(range(len(split))):
        assert worse[index].content_hash == degrade(split[index], settings, detector).content_hash
    assert DegradedSplit(split, Degradation(), detector)[0].content_hash == split[0].content_hash


def test_unchanged_events_are_among_the_levels_of_every_damage():
    for damage, levels in robustness.LEVELS.items():
        assert getattr(Degradation(), damage) in levels and list(levels) == sorted(set(levels)), damage
    assert set(robustness.LEVELS) == set(robustness.TITLES)


def test_the_whole_grid_can_be_done_to_readout_pixels_each_level_once(request_of):
    cases, left_out = list_cases(request_of())
    assert len(cases) == 1 + sum(len(levels) - 1 for levels in robustness.LEVELS.values()) and not left_out
    assert len({case.settings for case in cases}) == len({case.key("weights", "val") for case in cases}) == len(cases)


def test_damage_that_means_nothing_for_the_events_is_left_out_and_told(
    make_run, request_of, calls, monkeypatch, capsys
):
    def refuse_dead(event, settings, detector):
        if settings.dead:
            raise ConfigError("dead [rows] mean nothing here")
        return degrade(event, settings, detector)

    monkeypatch.setattr(robustness, "degrade", refuse_dead)
    request = request_of(make_run("first"))
    assert study(request, WORLD, StopRequest()) == 0
    assert len(calls) == NUM_CASES - 1
    said = capsys.readouterr().out
    assert "left out: dead: dead [rows] mean nothing here" in said and "Dead rows" not in said


def test_what_cannot_be_studied_is_refused(make_run, request_of, drawn_dataset, tmp_path, run_fields):
    run = make_run("first")
    with pytest.raises(StoreError, match=r"holds no manifest\.json"):
        study(request_of(run, dataset=tmp_path / "none"), WORLD, StopRequest())
    with pytest.raises(StoreError, match=r"holds no manifest\.json"):
        study(request_of(run, also={"other": tmp_path / "none"}), WORLD, StopRequest())
    with pytest.raises(StoreError, match="has no split 'dev'"):
        study(request_of(run, split="dev"), WORLD, StopRequest())
    with pytest.raises(ConfigError, match="is no run folder"):
        study(request_of(tmp_path), WORLD, StopRequest())
    with pytest.raises(ConfigError, match="two have the same folder name"):
        study(request_of(run, run), WORLD, StopRequest())
    (run / "checkpoints" / "best-00000001").rename(run / "gone")
    with pytest.raises(ConfigError, match="has not been validated yet"):
        study(request_of(run), WORLD, StopRequest())
    assert not (tmp_path / "out").exists()


def test_a_dataset_of_another_number_of_views_is_refused(request_of, drawn_dataset, monkeypatch):
    opened = open_dataset(drawn_dataset)
    fields = opened.manifest.detector_fields | {
        "planes": opened.manifest.detector_fields["planes"][:2],
        "symmetries": [],
    }
    two_views = replace(opened, manifest=opened.manifest.model_copy(update={"detector_fields": fields}))
    monkeypatch.setattr(robustness, "open_dataset", lambda folder: two_views if folder.name == "two" else opened)
    with pytest.raises(ConfigError, match=r"has 2 views, .* has 3"):
        list_cases(request_of(also={"two": drawn_dataset.with_name("two")}))


@pytest.mark.parametrize("texts", [["name"], ["=folder"], ["name="], ["a=x", "a=y"], ["unchanged=x"]])
def test_other_datasets_need_a_name_of_their_own(texts):
    with pytest.raises(ConfigError, match="write it as NAME=DATASET"):
        parse_also(texts)


def test_other_datasets_are_read_in_their_order():
    assert [(name, str(path)) for name, path in parse_also(["b=x/y", "a=z=1"]).items()] == [("b", "x/y"), ("a", "z=1")]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("{", "is damaged"),
        ('{"version": 1, "results": {"key": {"run": "x"}}}', "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 0, "results": {}}', "was written by version 0 .* name another folder"),
    ],
)
def test_results_that_cannot_be_continued_are_refused(tmp_path, content, rule):
    (tmp_path / "robustness.json").write_text(content)
    with pytest.raises(UserError, match=rule):
        load_results(tmp_path / "robustness.json")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"robustness\.json: cannot be written: .*--out"):
        robustness.write_results(tmp_path / "file" / "robustness.json", {})


def test_scores_are_those_of_the_model_on_the_degraded_events(make_run, request_of, calls, drawn_dataset):
    """By hand: the pictures of degraded events, through the model, argmax against truth."""
    run = robustness.open_run(make_run("first"))
    cases, _ = list_cases(request_of())
    case = next(case for case in cases if (case.damage, case.level) == ("noise_hits", 400.0))
    task = build_task(run, num_views=3)
    measured = robustness.measure(task, run, case, "val", WORLD)
    split, detector = case.dataset.split("val"), case.dataset.manifest.detector
    events = [degrade(split[i], case.settings, detector) for i in range(len(split))]
    assert all(len(e.hits) == len(split[i].hits) + 3 * 400 for i, e in enumerate(events))
    picture = torch.from_numpy(ImageView(run.view, detector).render(events)["image"])
    task.eval()
    with torch.no_grad():
        chosen = task.members[0](picture).argmax(1).tolist()
    right = np.mean([run.data.classes[index] == e.truth.label for index, e in zip(chosen, events)])
    assert measured.accuracy.value == pytest.approx(right) and measured.num_events == len(events)


@pytest.mark.slow
def test_the_launcher_refuses_a_mistake_in_one_line(repository, make_run, tmp_path):
    command = [sys.executable, "launch/robustness.py", make_run("first"), "--data", tmp_path, "--out", tmp_path / "out"]
    done = subprocess.run(list(map(str, command)), cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "manifest.json" in done.stderr and "Traceback" not in done.stderr
