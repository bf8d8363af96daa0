"""Eyes of Mllama (Llama 3.2 Vision, nuvlm-nano): its text looks at the tiles of pictures by cross-attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from hpc_nuvlm.families import Vlm
from hpc_nuvlm.models.vlm.eyes import dtype_of, whole
from hpc_nuvlm.models.vlm.tiles import Tiling, build_tiling
from hpc_nuvlm.sample import Batch


@dataclass(frozen=True)
class MllamaEyes:
    tiling: Tiling
    image_id: int

    @property
    def num_images(self) -> int:
        return self.tiling.num_images

    def expand(self, text: str) -> str:
        return text

    def see(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """(images or tiles, tokens, features) as the text's cross-attention takes them."""
        inner = whole(model).model
        seen = inner.vision_model(**self.tiling.inputs(batch.image_BVHW, batch.views_B, dtype_of(model)))
        seen = seen.last_hidden_state
        return inner.multi_modal_projector(seen).reshape(-1, seen.shape[-2], inner.hidden_size)

    def first(self, seen: torch.Tensor, batch: Batch, question: tuple[int, ...], length: int) -> dict:
        return {"cross_attention_states": seen, **self.later(batch, question, 0, length)}

    def later(self, batch: Batch, question: tuple[int, ...], start: int, stop: int) -> dict:
        mask = self.tiling.cross_attention_mask(batch.views_B, question, self.image_id, stop)
        return {"cross_attention_mask": mask[:, start:]}


def build_mllama_eyes(config: Vlm, num_views: int, view_size: tuple[int, int], model_config, processor) -> MllamaEyes:
    tiling = build_tiling(config.layout, num_views, view_size, model_config, processor.image_processor)
    return MllamaEyes(tiling, processor.tokenizer.convert_tokens_to_ids(processor.image_token))
