"""VlmTask: a vision-language model that answers questions about an event's pictures.

It learns by the loss on the answers' tokens alone: the class, and where something is known of the pictures, a rationale
and then the class. It classifies by scoring: the log-probability of each class's answer, with one pass of the vision
tower and one over the question for all of them. What all answers begin with tells no class from another, and has no
part in either. Explanations are generated, and cost a pass for each token.
"""

# B batch, V view, H row, W column, T token, C class

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import DynamicCache

from hpc_nuvlm.config import Run
from hpc_nuvlm.families import Vlm
from hpc_nuvlm.models.task import Prediction, Said, Task
from hpc_nuvlm.models.vlm.asked import Asked, fill
from hpc_nuvlm.models.vlm.base import EYES, add_adapters, open_base
from hpc_nuvlm.models.vlm.eyes import Eyes
from hpc_nuvlm.models.vlm.prompt import Explained, Prompt, build_explained, build_prompt
from hpc_nuvlm.models.vlm.spelling import Speller
from hpc_nuvlm.sample import UNLABELLED, Batch

IGNORED = -100  # label of a token that is given, not predicted
MAX_EXPLANATION_TOKENS = 256


def build(run: Run, num_views: int) -> VlmTask:
    config = run.model
    dtype = torch.bfloat16 if run.engine.precision == "bf16" else torch.float32
    model, processor = open_base(config, dtype, torch.device("cpu"))
    eyes = EYES[model.config.model_type](config, num_views, run.view.size, model.config, processor)
    prompt = build_prompt(config, run.data.classes, processor, eyes)
    explained = build_explained(config, run.data.classes, processor, eyes)
    if config.lora is not None:
        model = add_adapters(model, config.lora)
    return VlmTask(model, eyes, prompt, explained, config)


class VlmTask(Task):
    def __init__(self, model: nn.Module, eyes: Eyes, prompt: Prompt, explained: Explained, config: Vlm):
        super().__init__()
        self.model = model
        self.processor = explained.processor
        self.eyes = eyes
        self.prompt = prompt
        self.explained = explained
        self.class_weight, self.rationale_weight = config.class_weight, config.rationale_weight
        self.ending_weight = config.ending_weight
        self.says_scored_class = config.explained_class == "scored"
        self.pad_id = self.processor.tokenizer.pad_token_id
        self.speller = Speller(self.processor.tokenizer, explained.stops)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Class in nats an event, rationale in nats a token, each times its weight; 0 where there is none."""
        if self.says_scored_class:
            return self.loss_and_scores(batch)[0]
        return self._loss(batch, self.eyes.see(self.model, batch))

    def loss_and_scores(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.eyes.see(self.model, batch)
        score_BC = self._score(batch, seen)
        return self._loss(batch, seen, score_BC), functional.log_softmax(score_BC, -1)

    def _loss(self, batch: Batch, seen: torch.Tensor, score_BC: torch.Tensor | None = None) -> torch.Tensor:
        told = self.rationale_weight and batch.rationale is not None and any(batch.rationale)
        loss_B = torch.zeros(len(batch.keys), device=seen.device)
        # A loss must depend on the weights, be it by nothing
        if self.class_weight or not told:
            loss_B = loss_B + self.class_weight * self._class_loss(batch, seen, score_BC)
        if told:
            loss_B = loss_B + self._rationale_loss(batch, seen, score_BC)
        return loss_B

    def _class_loss(self, batch: Batch, seen: torch.Tensor, score_BC: torch.Tensor | None) -> torch.Tensor:
        """(B,) nats of the class's answer after what all answers begin with, 0 for an event without a class."""
        if score_BC is not None:
            known_B = batch.label_B != UNLABELLED
            return torch.where(known_B, -score_BC.gather(1, batch.label_B.clamp(min=0).unsqueeze(1)).squeeze(1), 0)
        answers = [self.prompt.answers[label] for label in batch.label_B.tolist()]
        losses_BT, _ = self._told(batch, seen, self.asked(batch, self.prompt), answers)
        return torch.where(batch.label_B == UNLABELLED, 0, losses_BT[:, len(self.prompt.shared) :].sum(1))

    def _rationale_loss(self, batch: Batch, seen: torch.Tensor, score_BC: torch.Tensor | None) -> torch.Tensor:
        """(B,) weighted nats: a token of the explanation, and the class that ends it; 0 where nothing is known."""
        label_B = batch.label_B
        if self.says_scored_class:
            label_B = torch.where(label_B == UNLABELLED, UNLABELLED, score_BC.argmax(1))
        told = [self.explained.tokens(*row) for row in zip(batch.rationale, label_B.tolist())]
        losses_BT, length_B = self._told(batch, seen, self.asked(batch, self.explained), told)
        loss_B = self.rationale_weight * losses_BT.sum(1) / length_B
        if self.ending_weight:
            loss_B = loss_B + self.ending_weight * self._ending_loss(batch, losses_BT, label_B)
        known_B = torch.tensor([bool(rationale) for rationale in batch.rationale], device=seen.device)
        return torch.where(known_B, loss_B, 0)

    def _ending_loss(self, batch: Batch, losses_BT: torch.Tensor, label_B: torch.Tensor) -> torch.Tensor:
        """(B,) nats of the class at the end of each explanation, 0 where it has none."""
        before = [self.explained.num_before_class(rationale) for rationale in batch.rationale]
        place_T = torch.arange(losses_BT.shape[1], device=losses_BT.device)
        ending_BT = place_T >= torch.tensor(before, device=losses_BT.device).unsqueeze(1)
        return torch.where(label_B == UNLABELLED, 0, (losses_BT * ending_BT).sum(1))

    def predict(self, batch: Batch, explain: bool = False) -> Prediction:
        seen = self.eyes.see(self.model, batch)
        score_BC = self._score(batch, seen)
        said = self._generate(batch, seen) if explain else None
        return Prediction(functional.log_softmax(score_BC, -1), said)

    def export(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def asked(self, batch: Batch, prompt: Prompt | Explained) -> Asked:
        """The question to each event, with its line of context if the batch has them."""
        if batch.context is None:
            return fill((prompt.question,) * len(batch.keys), self.pad_id)
        return fill([prompt.ask(line) for line in batch.context], self.pad_id)

    def _told(self, batch: Batch, seen: torch.Tensor, asked: Asked, answers: list[tuple[int, ...]]):
        """(B, T) loss of each token of the answers, 0 beyond their ends; and their lengths (B,)."""
        tokens_BT, label_BT = self._answer_tokens(asked, answers, seen.device)
        attended = {"attention_mask": (tokens_BT != self.pad_id).long()}
        # Only answers are predicted, so only their logits are computed; each comes from the token before.
        logits_BTX = self.model(
            input_ids=tokens_BT,
            **attended | asked.inputs(0, tokens_BT.shape[1], seen.device),
            **self.eyes.first(seen, batch, asked.first, tokens_BT.shape[1]),
            logits_to_keep=label_BT.shape[1] + 1,
            use_cache=False,
        ).logits[:, :-1]
        losses = functional.cross_entropy(
            logits_BTX.float().transpose(1, 2), label_BT, ignore_index=IGNORED, reduction="none"
        )
        return losses, (label_BT != IGNORED).sum(1)

    def _answer_tokens(self, asked: Asked, answers: list[tuple[int, ...]], device: torch.device):
        """(B, question + T) token ids with each row's answer after the question, and the answers (B, T) as labels."""
        length = max(map(len, answers))
        padding = [length - len(answer) for answer in answers]
        rows = zip(asked.questions, answers, padding)
        tokens = [question + answer + (self.pad_id,) * pad for question, answer, pad in rows]
        labels = [answer + (IGNORED,) * pad for answer, pad in zip(answers, padding)]
        return torch.tensor(tokens, device=device), torch.tensor(labels, device=device)

    def _score(self, batch: Batch, seen: torch.Tensor) -> torch.Tensor:
        """(B, C) log-probability of each class's answer, apart from the beginning that all answers share."""
        shared, num_rows, num_classes = self.prompt.shared, len(batch.keys), len(self.prompt.answers)
        device = batch.image_BVHW.device
        asked = self.asked(batch, self.prompt)
        start = torch.tensor([question + shared for question in asked.questions], device=device)
        num_given = start.shape[1]
        cache = DynamicCache(config=self.model.config)
        first = self.model(
            input_ids=start,
            **asked.inputs(0, num_given, device),
            **self.eyes.first(seen, batch, asked.first, num_given),
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
            stop = num_given + length - 1
            looks = self.eyes.later(batch, asked.first, num_given, stop) | asked.inputs(num_given, stop, device)
            following = self.model(
                input_ids=given_RT,
                **{name: value.repeat_interleave(num_classes, 0) for name, value in looks.items()},
                past_key_values=cache,
                use_cache=True,
            )
            logits_RTX = torch.cat([logits_RTX, following.logits], 1)
        losses = functional.cross_entropy(
            logits_RTX.float().transpose(1, 2), label_RT, ignore_index=IGNORED, reduction="none"
        )
        return -losses.sum(1).view(num_rows, num_classes)

    def _generate(self, batch: Batch, seen: torch.Tensor) -> tuple[Said, ...]:
        """What the model says when it is asked for an explanation, its likeliest word at a time."""
        asked, device = self.asked(batch, self.explained), seen.device
        cache = DynamicCache(config=self.model.config)
        given = torch.tensor(asked.questions, device=device)
        stop = given.shape[1]
        looks = self.eyes.first(seen, batch, asked.first, stop) | asked.inputs(0, stop, device)
        ended = torch.zeros(len(given), dtype=torch.bool, device=device)
        stops = torch.tensor(self.explained.stops, device=device)
        tokens, logs = [], []
        while len(tokens) < MAX_EXPLANATION_TOKENS and not ended.all():
            logits = self.model(
                input_ids=given,
                **looks,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            logits = logits.float()
            highest, likeliest = logits.max(-1)
            logs.append(highest - logits.logsumexp(-1))
            given = torch.where(ended, self.pad_id, likeliest).unsqueeze(1)
            ended = ended | torch.isin(given[:, 0], stops)
            tokens.append(given[:, 0])
            looks = self.eyes.later(batch, asked.first, stop, stop + 1) | asked.inputs(stop, stop + 1, device)
            stop += 1
        rows = zip(torch.stack(tokens, 1).tolist(), torch.stack(logs, 1).tolist())
        return tuple(self.speller.spell(*row) for row in rows)
