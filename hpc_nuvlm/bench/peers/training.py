"""A training step of the shipped model with LoRA, against TRL's SFTTrainer: same weights, events, answers and batch.

TRL is no dependency (pip install trl, beside this toolkit); without it nothing is measured. It has each event's picture
as an image in memory, and computes all patches of all of the tower's tiles, as the library does. It learns questions
as well as answers: its collator for answers alone makes masks of another length than Mllama's tokens. Weights' type
and optimizer are alike, and collating is a part of both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import cycle

import numpy as np
import torch
from PIL import Image

from hpc_nuvlm.bench.ratios import Ratio, Turns
from hpc_nuvlm.config import Run
from hpc_nuvlm.engine.plain import PlainEngine
from hpc_nuvlm.engine.world import World
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import Task
from hpc_nuvlm.sample import Samples
from hpc_nuvlm.store import Dataset
from hpc_nuvlm.training import samples_of

NUM_EVENTS, BATCH = 64, 16


def training_ratios(dataset: Dataset, split: str, run: Run, world: World) -> list[Ratio]:
    """`run`: LoRA on the shipped model, and its view of the dataset."""
    samples = samples_of(run, dataset, split)
    views = dataset.manifest.detector.num_views
    whole = run.model_copy(update={"model": run.model.model_copy(update={"patches": "all"})})
    calls = {
        name: our_step(one, build_task(one, views), samples, world)
        for name, one in {"ours": run, "ours, all patches": whole}.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        trl = trl_step(whole, build_task(whole, views), samples, folder)
        if trl is None:
            return []
        turns = Turns(calls | {"TRL": trl}, rounds=7)
    return [
        turns.times_as_fast("ours", "TRL", "a training step with LoRA", at_least=1.5),
        turns.times_as_fast("ours, all patches", "TRL", "a training step with LoRA, all patches looked at"),
    ]


def our_step(run: Run, task: Task, samples: Samples, world: World) -> Callable[[], None]:
    """A call that trains on the next batch."""
    engine = PlainEngine(run, task, world)
    starts = cycle(range(0, NUM_EVENTS, BATCH))

    def step() -> None:
        start = next(starts)
        batch = samples.batch(np.arange(start, start + BATCH), np.ones(BATCH, bool), None)
        engine.task.train()
        engine.backward(batch, BATCH)
        engine.step(run.optimizer.lr)

    return step


def trl_step(run: Run, task: Task, samples: Samples, folder: str) -> Callable[[], None] | None:
    """As our_step; None where TRL is not installed."""
    try:
        from datasets import Dataset as Rows
        from trl import SFTConfig, SFTTrainer
    except ImportError:
        return None
    settings = SFTConfig(
        output_dir=folder,
        per_device_train_batch_size=BATCH,
        learning_rate=run.optimizer.lr,
        lr_scheduler_type="constant",
        max_length=None,
        gradient_checkpointing=False,
        use_cpu=True,
        bf16=False,
        report_to="none",
        shuffle_dataset=False,
    )
    rows = Rows.from_list([row_of(run, task, samples, number) for number in range(NUM_EVENTS)])
    trainer = SFTTrainer(model=task.model, args=settings, train_dataset=rows, processing_class=task.processor)
    trainer.create_optimizer()
    # What train() would have set
    trainer.current_gradient_accumulation_steps = 1
    loader = trainer.get_train_dataloader()

    def batches():
        while True:
            yield from loader

    turns, model = batches(), trainer.model.train()

    def step() -> None:
        trainer.training_step(model, next(turns))
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.optimizer.max_grad_norm)
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return step


def row_of(run: Run, task: Task, samples: Samples, number: int) -> dict:
    """An event as TRL takes it: the picture of all views beside one another, the question, the answer."""
    batch = samples.batch([number], np.ones(1, bool), None)
    picture = Image.fromarray(np.concatenate(list(batch.image_BVHW[0].numpy()), axis=1)).convert("RGB")
    answer = task.explained.answers[int(batch.label_B[0])]
    return {
        "images": [picture],
        "messages": [{"role": "user", "content": run.model.question}, {"role": "assistant", "content": answer}],
    }
