from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc_nuvlm.config import Run, dump_run, load_run, load_settings, parse_run
from hpc_nuvlm.detector import detector_folder, load_detector
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.simulate.settings import Simulation
from hpc_nuvlm.simulation import plan_parts

FOLDER = Path(__file__).parent.parent / "configs"
SIMULATIONS = sorted(FOLDER.glob("simulate-*.yaml"))
CONFIGS = sorted(set(FOLDER.glob("*.yaml")) - set(SIMULATIONS))
SMALL = {"folder": "runs/x", "data": {"dataset": "d"}, "model": {"family": "cnn"}}


def change(**parts) -> dict:
    return SMALL | parts


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_loads_and_says_how_it_is_run(path):
    run = load_run(path)
    header = path.read_text().partition("folder:")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    for said in (f"launch/train.py configs/{path.name}", "Hardware:", "Time:", "Expected:"):
        assert said in header, f"{path}: its header does not say {said!r}"
    assert not run.folder.is_absolute() and not run.data.dataset.is_absolute()


@pytest.mark.parametrize("path", SIMULATIONS, ids=lambda path: path.name)
def test_every_shipped_simulation_loads_and_says_how_it_is_run(path):
    simulation = load_settings(Simulation, path)
    header = path.read_text().partition("detector:")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    for said in (f"nuvlm simulate configs/{path.name}", "Hardware:", "Time:", "Expected:"):
        assert said in header, f"{path}: its header does not say {said!r}"
    assert load_detector(simulation.detector, detector_folder()).name == simulation.detector
    assert len(plan_parts(simulation)) > 0


def test_there_are_configurations_to_load():
    assert len(CONFIGS) >= 3 and SIMULATIONS


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("evens=3",), "evens: no such key; did you mean 'events'?"),
        (("interactions.flux.lo_gev=1",), "interactions.flux.lo_gev: no such key; did you mean 'low_gev'?"),
        (("events=0",), "events = 0: Input should be greater than 0"),
        (("seed=-1",), "seed = -1: Input should be greater than or equal to 0"),
        (("response.gain=.inf",), "response.gain = inf: Input should be a finite number"),
        (("cosmics.least_energy_gev=0.05",), "least_energy_gev = 0.05: Input should be greater than"),
        (("cosmics.earliest_us=9000",), "earliest_us must not be above latest_us"),
    ],
)
def test_a_mistake_in_a_simulation_names_key_value_and_remedy(overrides, message):
    with pytest.raises(ConfigError) as error:
        load_settings(Simulation, SIMULATIONS[0], overrides)
    assert str(error.value).startswith(f"{SIMULATIONS[0]}: ") and message in str(error.value)


@given(st.integers(1, 99), st.floats(1e-6, 1, allow_nan=False), st.sampled_from(["cnn", "vlm"]))
def test_what_is_dumped_is_loaded_again(tmp_path_factory, epochs, lr, family):
    run = parse_run(change(model={"family": family}, schedule={"epochs": epochs}, optimizer={"lr": lr}), "test")
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text(dump_run(run))
    assert load_run(path) == run


def test_an_override_changes_one_key(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(dump_run(parse_run(SMALL, "test")))
    run = load_run(path, ("optimizer.lr=1e-4", "view.size=[64, 32]", "model.dropout=0", "seed=7"))
    assert (run.optimizer.lr, run.view.size, run.model.dropout, run.seed) == (1e-4, (64, 32), 0.0, 7)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (change(batch={"per_ranc": 3}), "batch.per_ranc: no such key; did you mean 'per_rank'?"),
        (change(model={"family": "cnn", "widhts": [3]}), "model.widhts: no such key; did you mean 'widths'?"),
        (change(model={"family": "vlm", "lora": {"rang": 3}}), "model.lora.rang: no such key; did you mean 'rank'?"),
        (change(zzz=1), "zzz: no such key; there are augment, batch"),
        (change(model={"family": "cnm"}), "does not match any of the expected tags: 'cnn', 'cvn', 'vit', 'vlm'"),
        (change(batch={"per_rank": 0}), "batch.per_rank = 0: Input should be greater than 0"),
        (change(engine={"stage": 4}), "engine.stage = 4"),
        (change(model={"family": "vlm", "nf4": True}), "nf4 weights are frozen"),
        (change(engine={"kind": "plain", "precision": "bf16"}), "bf16 weights need fp32 copies"),
        (change(engine={"stage": 0, "precision": "bf16"}), "set engine.kind=zero, engine.stage=1, 2 or 3"),
        ({"folder": "x", "model": {"family": "cnn"}}, "data: is required and not given"),
    ],
)
def test_a_mistake_names_key_value_and_remedy(fields, message):
    with pytest.raises(ConfigError) as error:
        parse_run(fields, "here.yaml")
    assert str(error.value).startswith("here.yaml: ") and message in str(error.value)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("a: [1", (), "not YAML"),
        ("- 1\n", (), "must be a mapping"),
        ("seed: 1\n", ("seed",), "write it as key=value"),
        ("seed: 1\n", ("seed.x=1",), "'seed' holds a value, not further keys"),
    ],
)
def test_a_file_or_override_that_cannot_be_read_is_refused(tmp_path, text, overrides, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_run(path, overrides)


def test_a_folder_or_a_file_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_run(tmp_path)
    (tmp_path / "run.yaml").write_bytes(b"seed: \xe9\n")
    with pytest.raises(ConfigError, match="not YAML"):
        load_run(tmp_path / "run.yaml")


def test_one_file_of_interactions_needs_no_list():
    neutrinos = FOLDER / "simulate-dune.yaml"
    named = load_settings(Simulation, neutrinos, ("interactions.files=a.root",)).interactions.files
    assert named == (Path("a.root"),)
    assert load_settings(Simulation, neutrinos, ("interactions.files=[a.root]",)).interactions.files == named


def test_a_run_cannot_be_changed():
    run = parse_run(SMALL, "test")
    with pytest.raises(ValueError, match="frozen"):
        run.seed = 2
    assert Run.model_config["extra"] == "forbid"
