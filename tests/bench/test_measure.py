import pytest
import torch

from hpc_nuvlm.bench.measure import cost_of, measure_case
from hpc_nuvlm.bench.settings import Bench, Price
from hpc_nuvlm.engine.stop import StopRequest
from hpc_nuvlm.engine.world import alone
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.settings import parse_settings
from hpc_nuvlm.training import train


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def bench(bench_fields) -> Bench:
    return parse_settings(Bench, bench_fields, where="test")


def by_name(bench: Bench, name: str):
    return next(case for case in bench.cases if case.name == name)


def test_every_row_tells_what_it_was_and_what_it_cost(bench):
    rows = measure_case(bench, by_name(bench, "offline"), alone())
    assert [row["batch"] for row in rows] == [2, 4]
    for row in rows:
        assert row["model"] == "cnn" and row["precision"] == "fp32" and row["ranks"] == 1
        assert row["seconds_per_event"] * row["events_per_second"] == pytest.approx(1)
        latency = row["latency_s"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        assert row["memory_mb"]["process"] > 100 and row["flops_per_event"] > 1e5
        assert 0 < row["utilization"] < 1
        assert row["accuracy"] is None, "random weights have none"
        assert set(row["stages_s"]) == {"read", "rasterize", "collate", "copy", "vision"}
        money = row["price_per_million"]
        assert money == {"amount": pytest.approx(2 * row["device_hours_per_million"]), "currency": "EUR"}
    # The same operations, whatever the batch
    assert rows[0]["flops_per_event"] == rows[1]["flops_per_event"]


def test_one_event_at_a_time_is_one_event_at_a_time(bench):
    (row,) = measure_case(bench, by_name(bench, "single"), alone())
    assert row["batch"] == 1 and row["latency_s"]["p50"] == pytest.approx(row["seconds_per_event"], rel=2)


def test_a_training_step_has_its_own_stages_and_three_times_the_operations(bench):
    (row,) = measure_case(bench, by_name(bench, "train"), alone())
    (label,) = (one for one in measure_case(bench, by_name(bench, "offline"), alone()) if one["batch"] == 4)
    assert {"backward", "optimizer"} <= set(row["stages_s"])
    assert row["flops_per_event"] == 3 * label["flops_per_event"]


def test_the_accuracy_is_that_of_the_weights_that_are_timed(bench, run_fields):
    from hpc_nuvlm.config import parse_run

    run = parse_run(run_fields | {"schedule": {"epochs": 3}}, where="test")
    train(run, alone(), StopRequest())
    case = by_name(bench, "offline").model_copy(update={"run": run.folder, "batches": (4,)})
    (row,) = measure_case(bench, case, alone())
    assert 0 <= row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"] <= 1
    # As its user has it, exported in single precision: other arithmetic, the same model
    pytest.importorskip("onnxruntime", reason="exporting needs the extra onnx: pip install 'hpc-nuvlm[onnx]'")
    (exported,) = measure_case(bench, case.model_copy(update={"form": "onnx"}), alone())
    assert exported["precision"] == "fp32, onnx" and exported["accuracy"] == row["accuracy"]
    assert exported["flops_per_event"] == row["flops_per_event"]


def test_a_batch_larger_than_the_split_is_refused(bench):
    case = by_name(bench, "offline").model_copy(update={"batches": (64,)})
    with pytest.raises(ConfigError, match=r"cases, offline: batches of 64 events, and .* has 12 in its split test"):
        measure_case(bench, case, alone())


def test_costs_are_sums_that_one_can_do_by_hand():
    # A million events at 100 a second take 10,000 s, on two devices 5.56 device-hours
    costs = cost_of(100.0, 2, Price(per_device_hour=3.0, currency="CHF"))
    assert costs["device_hours_per_million"] == pytest.approx(2e4 / 3600)
    assert costs["price_per_million"] == {"amount": pytest.approx(6e4 / 3600), "currency": "CHF"}
    assert cost_of(100.0, 1, None)["price_per_million"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scenario": "single", "batches": [4]}, "one event at a time"),
        ({"scenario": "single", "asked": "train"}, "one event at a time"),
        ({"name": "train"}, "two cases are called 'train'"),
        ({"asked": "guess"}, "label"),
        ({"form": "int8"}, "form int8 is that of a finished run"),
        ({"form": "int8", "run": "runs/x", "asked": "train"}, "asked for labels by one process"),
    ],
)
def test_mistakes_in_a_case_are_refused(bench_fields, change, said):
    cases = [bench_fields["cases"][1] | change, *bench_fields["cases"][2:]]
    with pytest.raises(ConfigError, match=said):
        parse_settings(Bench, bench_fields | {"cases": cases}, where="test")
