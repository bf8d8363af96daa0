"""run_peers(): every comparison with a peer or a limit, one after the other, and the record of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hpc_nuvlm.bench.benchmark import measured_here
from hpc_nuvlm.bench.ratios import Ratio
from hpc_nuvlm.config import Run, load_run
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.store import Dataset, open_dataset

# The shipped model on the pictures of the modular detector, as it was pretrained on them
NANO = Path("configs/finetune-nano.yaml")
NANO_VIEW = "view={size: [252, 252], pool: 2, crop: centroid, full_scale: 12.75}"
PLAIN = "engine={kind: plain, threads: 1}"


@dataclass(frozen=True)
class Asked:
    """What some comparisons need to know besides their events."""

    world: World
    # Of the largest dataset that growth is measured on
    most_events: int = 100_000


def raster(dataset: Dataset, split: str, asked: Asked) -> list[Ratio]:
    from hpc_nuvlm.bench.peers.raster import raster_ratios

    return raster_ratios(dataset, split)


def store(dataset: Dataset, split: str, asked: Asked) -> list[Ratio]:
    from hpc_nuvlm.bench.peers.store import store_ratios

    return store_ratios(dataset, split)


def loader(dataset: Dataset, split: str, asked: Asked) -> list[Ratio]:
    from hpc_nuvlm.bench.peers.loader import loader_ratios

    return loader_ratios(dataset, split)


def scoring(dataset: Dataset, split: str, asked: Asked) -> list[Ratio]:
    from hpc_nuvlm.bench.peers.scoring import scoring_ratios

    return scoring_ratios(dataset, split, nano_on(dataset, "model={family: vlm}"))


def training(dataset: Dataset, split: str, asked: Asked) -> list[Ratio]:
    from hpc_nuvlm.bench.peers.training import training_ratios

    adapted = nano_on(dataset, "model={family: vlm, lora: {rank: 16, alpha: 32, dropout: 0}}")
    return training_ratios(dataset, split, adapted, asked.world)


def growth(dataset: Dataset, split: str, asked: Asked) -> list[Ratio]:
    from hpc_nuvlm.bench.peers.growth import growth_ratios

    return growth_ratios(dataset, split, asked.most_events)


def start(dataset: Dataset, split: str, asked: Asked) -> list[Ratio]:
    from hpc_nuvlm.bench.peers.start import start_ratios

    return start_ratios()


SUBJECTS: dict[str, tuple[str, Callable[[Dataset, str, Asked], list[Ratio]]]] = {
    "raster": ("Rasterizing 2 x 512 x 512, one thread", raster),
    "store": ("Reading shards, one thread", store),
    "loader": ("From shards to pictures, one thread", loader),
    "scoring": ("A class from nuvlm-nano, one thread", scoring),
    "training": ("Training nuvlm-nano with LoRA, one thread", training),
    "growth": ("How costs grow, one thread", growth),
    "start": ("Starting", start),
}


def nano_on(dataset: Dataset, model: str) -> Run:
    return load_run(NANO, (f"data.dataset={dataset.folder}", model, NANO_VIEW, PLAIN))


def run_peers(
    subjects: list[str], folder: Path, split: str, asked: Asked, show: Callable[[str, list[Ratio]], None]
) -> dict:
    """Measure these subjects, showing each as soon as it is done; returns the record."""
    unknown = [name for name in subjects if name not in SUBJECTS]
    if unknown:
        raise ConfigError(f"{unknown[0]}: nothing of that name is compared; there are {', '.join(SUBJECTS)}")
    dataset, found = open_dataset(folder), {}
    for name in subjects or SUBJECTS:
        title, measure = SUBJECTS[name]
        found[name] = measure(dataset, split, asked)
        show(title, found[name])
    ratios = {name: [asdict(ratio) | {"met": ratio.met} for ratio in found[name]] for name in found}
    return measured_here("Peers and limits") | {"dataset": str(folder), "split": split, "ratios": ratios}
