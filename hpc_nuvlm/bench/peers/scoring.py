"""What a class costs by scoring its answers, against generating one with the library's own call, on the same weights.

Both look at the same lit patches in the same precision. The library's generation asks the same question; asked for an
explanation, as in the published work, it writes that first. The published way from pictures to pixels is timed with it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from hpc_nuvlm.bench.ratios import Ratio, Turns, exactly
from hpc_nuvlm.config import Run
from hpc_nuvlm.models import build_task
from hpc_nuvlm.models.task import Task, evaluating
from hpc_nuvlm.models.vlm.asked import Asked
from hpc_nuvlm.sample import Batch
from hpc_nuvlm.store import Dataset
from hpc_nuvlm.training import samples_of

NUM_EVENTS, BATCH = 64, 16
ANSWER_TOKENS, EXPLANATION_TOKENS = 16, 256


def scoring_ratios(dataset: Dataset, split: str, run: Run) -> list[Ratio]:
    """Of the shipped model. `run`: its view of the dataset."""
    task = build_task(run, dataset.manifest.detector.num_views)
    samples = samples_of(run, dataset, split)
    batches = [
        samples.batch(np.arange(start, start + BATCH), np.ones(BATCH, bool), None)
        for start in range(0, NUM_EVENTS, BATCH)
    ]
    one = batches[0].part(0, 1)
    with evaluating(task):
        turns = Turns(
            {
                "scored": partial(task.predict, batches[0]),
                "generated": partial(answers_by_library, task, batches[0]),
                "explained, then answered": partial(explanations_by_library, task, batches[0]),
                "scored, one event": partial(task.predict, one),
                "generated, one event": partial(answers_by_library, task, one),
                "explained, then answered, one event": partial(explanations_by_library, task, one),
            },
            rounds=5,
        )
        scored = torch.cat([task.predict(batch).log_probability_BC.argmax(1) for batch in batches])
        generated = torch.cat([answers_by_library(task, batch) for batch in batches])
    alike = float((scored == generated).double().mean())
    return [
        turns.times_as_fast(f"scored{alone}", f"{peer}{alone}", "a class, by scoring", at_least=10)
        for alone in ("", ", one event")
        for peer in ("generated", "explained, then answered")
    ] + [exactly("share of events of the same class", "generated", alike, at_least=1)]


def answers_by_library(task: Task, batch: Batch) -> torch.Tensor:
    """(B,) class that generation names when it is asked for one, and its answer is begun; -1: none."""
    asked, shared = task.asked(batch, task.prompt), task.prompt.shared
    begun = replace(asked, questions=tuple(question + shared for question in asked.questions))
    said = _generated(task, batch, begun, ANSWER_TOKENS)
    decode = partial(task.processor.tokenizer.decode, skip_special_tokens=True)
    answers = [decode(answer[len(shared) :]).strip() for answer in task.prompt.answers]
    return torch.tensor([answers.index(text) if text in answers else -1 for text in said])


def explanations_by_library(task: Task, batch: Batch) -> list[str]:
    return _generated(task, batch, task.asked(batch, task.explained), EXPLANATION_TOKENS)


def _generated(task: Task, batch: Batch, asked: Asked, max_new_tokens: int) -> list[str]:
    """As transformers' documentation has it: generate(), then decode what came after the question."""
    ids = torch.tensor(asked.questions)
    eyes, model = task.eyes, task.model
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        **eyes.tiling.inputs(batch.image_BVHW, batch.views_B, model.dtype),
        cross_attention_mask=eyes.tiling.cross_attention_mask(batch.views_B, asked.first, eyes.image_id, ids.shape[1]),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=list(task.explained.stops),
        pad_token_id=task.pad_id,
    )
    texts = task.processor.tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in texts]
