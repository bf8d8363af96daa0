"""VlmTask: a vision-language model that answers a question about an event's pictures.

It learns by the loss on the answer's tokens alone. It classifies by scoring: the log-probability of each
class's whole answer, with one pass of the vision tower and one over the question for all of them.
"""

# B batch, V view, H row, W column, T token, C class

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import DynamicCache

from hpc_nuvlm.config import Run
from hpc_nuvlm.models.task import Prediction, Task
from hpc_nuvlm.models.vlm.base import add_adapters, open_base
from hpc_nuvlm.models.vlm.prompt import Prompt, build_prompt
from hpc_nuvlm.models.vlm.tiles import Tiling, build_tiling
from hpc_nuvlm.sample import Batch

IGNORED = -100  # label of a token that is given, not predicted
MAX_EXPLANATION_TOKENS = 96


def build(run: Run, num_views: int) -> VlmTask:
    dtype = torch.bfloat16 if run.engine.precision == "bf16" else torch.float32
    model, processor = open_base(run.model, dtype, torch.device("cpu"))
    tiling = build_tiling(run.model.layout, num_views, run.view.size, model.config, processor.image_processor)
    prompt = build_prompt(run.model, run.data.classes, processor, tiling.num_images)
    if run.model.lora is not None:
        model = add_adapters(model, run.model.lora)
    return VlmTask(model, processor, tiling, prompt)


class VlmTask(Task):
    def __init__(self, model: nn.Module, processor, tiling: Tiling, prompt: Prompt):
        super().__init__()
        self.model = model
        self.processor = processor
        self.tiling = tiling
        self.prompt = prompt
        self.image_id = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
        self.pad_id = processor.tokenizer.pad_token_id

    @property
    def dtype(self) -> torch.dtype:
        return next(p.dtype for p in self.model.parameters() if p.is_floating_point())

    def loss(self, batch: Batch) -> torch.Tensor:
        answers = [self.prompt.answers[label] for label in batch.label_B.tolist()]
        tokens_BT, label_BT = self._answer_tokens(answers, batch.label_B.device)
        # Only answers are predicted, so only their logits are computed; each comes from the token before.
        logits_BTX = self.model(
            **self._inputs(batch, tokens_BT.shape[1]),
            input_ids=tokens_BT,
            attention_mask=(tokens_BT != self.pad_id).long(),
            logits_to_keep=label_BT.shape[1] + 1,
            use_cache=False,
        ).logits[:, :-1]
        losses = functional.cross_entropy(
            logits_BTX.float().transpose(1, 2), label_BT, ignore_index=IGNORED, reduction="none"
        )
        return losses.sum(1) / (label_BT != IGNORED).sum(1)

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        score_BC = self._score(batch)
        text = self._generate(batch) if explain else None
        return Prediction(functional.log_softmax(score_BC, -1), text)

    def export(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def _answer_tokens(self, answers: list[tuple[int, ...]], device: torch.device):
        """(B, question + T) token ids with each row's answer after the question, and the answers (B, T) as labels."""
        length = max(map(len, answers))
        padding = [length - len(answer) for answer in answers]
        tokens = [self.prompt.question + answer + (self.pad_id,) * pad for answer, pad in zip(answers, padding)]
        labels = [answer + (IGNORED,) * pad for answer, pad in zip(answers, padding)]
        return torch.tensor(tokens, device=device), torch.tensor(labels, device=device)

    def _inputs(self, batch: Batch, length: int) -> dict[str, torch.Tensor]:
        """Pictures, and which of `length` tokens see them."""
        mask = self.tiling.cross_attention_mask(len(batch.keys), self.prompt.question, self.image_id, length)
        inputs = self.tiling.inputs(batch.image_BVHW, self.dtype)
        return inputs | {"cross_attention_mask": mask.to(batch.image_BVHW.device)}

    def _score(self, batch: Batch) -> torch.Tensor:
        """(B, C) log-probability of each class's answer, apart from the beginning that all answers share."""
        shared, num_rows, num_classes = self.prompt.shared, len(batch.keys), len(self.prompt.answers)
        device = batch.image_BVHW.device
        start = self.prompt.question + shared
        cache = DynamicCache(config=self.model.config)
        first = self.model(
            **self._inputs(batch, len(start)),
            input_ids=torch.tensor(start, device=device).expand(num_rows, -1),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        # From here on, row b * C + c is class c of event b.
        cache.batch_repeat_interleave(num_classes)
        rest = [answer[len(shared) :] for answer in self.prompt.answers]
        length = max(map(len, rest))
        label_CT = torch.tensor([ids + (IGNORED,) * (length - len(ids)) for ids in rest], device=device)
        label_RT = label_CT.repeat(num_rows, 1)
        given_RT = torch.where(label_RT == IGNORED, self.pad_id, label_RT)[:, :-1]
        logits_RTX = first.logits.repeat_interleave(num_classes, 0)
        if length > 1:
            mask = self.tiling.cross_attention_mask(
                len(label_RT), self.prompt.question, self.image_id, len(start) + length - 1
            )
            following = self.model(
                input_ids=given_RT,
                cross_attention_mask=mask[:, len(start) :].to(device),
                past_key_values=cache,
                use_cache=True,
            )
            logits_RTX = torch.cat([logits_RTX, following.logits], 1)
        losses = functional.cross_entropy(
            logits_RTX.float().transpose(1, 2), label_RT, ignore_index=IGNORED, reduction="none"
        )
        return -losses.sum(1).view(num_rows, num_classes)

    def _generate(self, batch: Batch) -> tuple[str, ...]:
        """What the model says, greedily, to the question."""
        question = torch.tensor(self.prompt.question, device=batch.image_BVHW.device).expand(len(batch.keys), -1)
        tokens = self.model.generate(
            **self._inputs(batch, question.shape[1]),
            input_ids=question,
            attention_mask=torch.ones_like(question),
            max_new_tokens=MAX_EXPLANATION_TOKENS,
            do_sample=False,
            pad_token_id=self.pad_id,
        )
        answers = tokens[:, question.shape[1] :]
        return tuple(self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True))
