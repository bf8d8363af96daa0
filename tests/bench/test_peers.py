"""Peers do the same work as the toolkit: what is compared is time alone. Their times are measured by `make bench`."""

import numpy as np
import pytest
import torch

from hpc_nuvlm.bench.peers import events, growth, raster, store
from hpc_nuvlm.bench.peers.run import Asked, nano_on, run_peers
from hpc_nuvlm.bench.peers.scoring import answers_by_library, explanations_by_library
from hpc_nuvlm.engine.world import alone
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import evaluating
from hpc_nuvlm.simulate.settings import Simulation
from hpc_nuvlm.simulation import build_simulator, simulation_work
from hpc_nuvlm.store import Dataset, open_dataset
from hpc_nuvlm.store.pack import pack
from hpc_nuvlm.training import samples_of
from nuvlm_kernels import raster as kernels
from nuvlm_kernels.levels import level_edges


@pytest.fixture(scope="module")
def modular(tmp_path_factory) -> Dataset:
    settings = Simulation(detector="paper_lartpc", events=24, seed=5)
    simulator = build_simulator(settings, simulation_work(settings).detector)
    found = (event for event in map(simulator.event, range(settings.events)) if len(event.hits))
    folder, detector = tmp_path_factory.mktemp("modular") / "dataset", simulation_work(settings).detector
    pack(found, folder, detector, split={"train": 1.0}, classes=None, command="test")
    return open_dataset(folder)


@pytest.fixture
def few_hits(monkeypatch):
    monkeypatch.setattr(events, "HITS_PER_EVENT", 300)


@pytest.mark.usefixtures("few_hits")
def test_numpy_and_the_toolkit_draw_the_same_pictures(modular):
    hits = events.hits_in_pictures(modular, "train", 4, raster.SIZE)
    assert np.diff(hits.offsets).tolist() == [300] * 4 and all(len(column) == 1200 for column in hits.columns)
    image, theirs = (np.empty((4, 2, raster.SIZE, raster.SIZE), np.float32) for _ in range(2))
    windows = (hits.projections, hits.origin_mm, hits.pixel_mm)
    outside, rejected, _ = kernels.deposit_views(hits.columns, hits.offsets, *windows, image)
    assert not outside.any() and not rejected.any()
    raster.by_numpy(hits, raster.axes_of(hits), theirs)
    np.testing.assert_allclose(image, theirs, rtol=1e-5)
    raster._unchecked(*hits.columns, hits.offsets, *windows, theirs)
    assert np.array_equal(image, theirs)
    levels, of_numpy = (np.empty(image.shape, np.uint8) for _ in range(2))
    edges = level_edges("linear", raster.FULL_SCALE_MEV)
    kernels.deposit_levels(hits.columns, hits.offsets, *windows, edges, levels)
    raster.levels_by_numpy(hits, raster.axes_of(hits), of_numpy)
    assert np.abs(levels.astype(int) - of_numpy).max() <= 1 and levels.any()


def test_a_dataset_of_too_few_hits_is_refused(modular):
    with pytest.raises(ConfigError, match="hits or more, 99 are needed"):
        events.hits_in_pictures(modular, "train", 99, raster.SIZE)


def test_zarr_python_reads_the_hits_that_the_toolkit_reads(modular):
    split, detector = modular.split("train"), modular.manifest.detector
    (shard,) = modular.manifest.shards
    group = store.zarr.open_group(store.zarr.storage.ZipStore(modular.folder / shard.file, mode="r"), mode="r")
    read, ours = store.all_by_zarr(group), store.all_columns(modular.folder / shard.file)
    assert len(read) == len(split) == len(ours)
    for event, columns, own in zip(split, read, ours):
        assert np.array_equal(event.hits["x_mm"], (columns["x_mm"] * detector.quantum_mm).astype(np.float32))
        assert all(np.array_equal(theirs, mine) for theirs, mine in zip(columns.values(), own, strict=True))
    at_random = [5, 0, len(split) - 1]
    store.at_random_by_zarr([group], [shard], at_random)
    store.columns_at_random([modular.folder / shard.file], [shard], at_random)()
    assert [store.place_of([shard, shard])(number) for number in (3, len(split))] == [(0, 3), (1, 0)]
    packed = store.packed_chunks([modular.folder / shard.file])
    store.decode(packed)
    assert 0 < sum(map(len, packed)) < shard.bytes


@pytest.mark.slow
def test_generation_by_the_library_says_what_the_toolkit_says(modular):
    run = nano_on(modular, "model={family: vlm}")
    samples = samples_of(run, modular, "train")
    batch = samples.batch(np.arange(6), np.ones(6, bool), None)
    task = build_task(run, 2)
    with evaluating(task):
        asked = task.predict(batch, explain=True)
        assert torch.equal(answers_by_library(task, batch), asked.log_probability_BC.argmax(1))
        assert explanations_by_library(task, batch) == [text.strip() for text in asked.text]


def test_datasets_to_grow_with_hold_the_same_events_under_their_own_names(modular, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "SHARD_EVENTS", 10)
    written = open_dataset(growth.write_many(modular, "train", 40, tmp_path / "many"))
    read = list(written.split("train"))
    assert len({event.identity.key for event in read}) == 40 == len(written.split("train"))
    assert max(len(event.hits) for event in read) <= growth.FEW_HITS
    assert [read[place].truth for place in (10, 20, 30)] == [read[0].truth] * 3


def test_growth_is_measured_in_tenfold_steps(modular):
    assert growth.sizes_to(100_000) == (1_000, 10_000, 100_000) == growth.sizes_to(999_999)
    with pytest.raises(ConfigError, match="--most 999: growth is measured from 1000 events to ten times as many"):
        growth.sizes_to(999)


def test_what_nobody_compares_is_refused(modular):
    with pytest.raises(ConfigError, match="nosuch: nothing of that name is compared; there are raster, store"):
        run_peers(["nosuch"], modular.folder, "train", Asked(alone()), print)


@pytest.mark.slow
def test_a_record_holds_what_was_shown(modular):
    shown = []
    record = run_peers(["start"], modular.folder, "train", Asked(alone()), lambda *told: shown.append(told))
    (title, ratios), (kept,) = shown[0], record["ratios"].values()
    assert title == "Starting" and [row["what"] for row in kept] == [ratio.what for ratio in ratios]
    assert all(row["value"] > 0 for row in kept) and record["bench_version"] >= 1
