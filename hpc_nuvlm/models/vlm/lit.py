"""Lit patches: a vision tower that looks where there is charge.

Nine patches of ten in a picture of a liquid-argon detector are black, and the tower spends as much on them as on the
others. Here only the patches with most charge go through its layers, at the places that they have in the picture.
Kept in mind: the tower then knows a dark patch by its absence, so weights are for one number of patches, or a like one.
Mllama's own forward (transformers) is the reference: with all patches of one tile, both give the same.
"""

# B batch, I image, M image of any event, N tile, P patch of a tile, L looked-at token, D feature

from __future__ import annotations

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.mllama.modeling_mllama import MllamaVisionModel

from hpc_nuvlm.errors import ConfigError

# Key of a model's config.json: how many patches of an image its tower looks at
LIT_PATCHES = "lit_patches"


def look_at_lit(model: PreTrainedModel, num_lit: int, image_mean: list[float], image_std: list[float]) -> None:
    """Make the vision tower of a Mllama look at the `num_lit` brightest patches of each image alone.

    ConfigError if the model is no Mllama.
    """
    tower = model.model.vision_model
    if not isinstance(tower, MllamaVisionModel):
        raise ConfigError(
            f"model.patches = {num_lit}: only Mllama's tower can look at lit patches alone, and this is one of "
            f"{model.config.model_type!r}; leave model.patches out"
        )
    # Another forward over the same modules and weights: their names, and so checkpoints and adapters, stay
    tower.__class__ = LitVision
    tower.look_at(num_lit, image_mean, image_std)
    setattr(model.config, LIT_PATCHES, num_lit)
    if not torch.cuda.is_available():
        # Short sequences: in bf16 on a CPU with AMX, 1.5 times as fast as torch's fused attention
        model.set_attn_implementation("eager")


class LitVision(MllamaVisionModel):
    """Mllama's vision tower on `num_lit` patches of each image, and the class tokens of its tiles."""

    def look_at(self, num_lit: int, image_mean: list[float], image_std: list[float]) -> None:
        self.num_lit = min(num_lit, self.max_num_tiles * (self.image_size // self.patch_size) ** 2)
        # MllamaModel repeats each column of the cross-attention mask so often: an image is one column here
        self.num_patches = self.max_num_tiles + self.num_lit
        self.image_mean, self.image_std = image_mean, image_std

    def forward(
        self, pixel_values: torch.Tensor, aspect_ratio_ids: torch.Tensor, aspect_ratio_mask: torch.Tensor, **kwargs
    ) -> BaseModelOutput:
        """last_hidden_state (B, I, 1, L, (1 + intermediate layers) D) of 8-bit pixels (B, I, N, H, W)."""
        batch, images, tiles = pixel_values.shape[:3]
        ids = aspect_ratio_ids.reshape(batch * images, 1)
        patches_MPX = self._patches(pixel_values.flatten(0, 1))
        lit_ML = self._brightest(patches_MPX, aspect_ratio_mask.flatten(0, 1))
        tile_ML = lit_ML // (patches_MPX.shape[1] // tiles)
        state = self._embedded(patches_MPX, lit_ML, tile_ML, ids)
        between = []
        for layer in self.transformer.layers:
            state = layer(state)
            between.append(state)
        tile_ML = torch.cat([torch.arange(tiles, device=ids.device).expand(len(ids), -1), tile_ML], 1)
        state = self.layernorm_post(state) + take(self._of_tiles(self.post_tile_positional_embedding, ids), tile_ML)
        for layer in self.global_transformer.layers:
            state = layer(state)
        between = torch.stack([between[number] for number in self.intermediate_layers_indices], -1).flatten(2)
        state = torch.cat([state, between], -1)
        return BaseModelOutput(last_hidden_state=state.reshape(batch, images, 1, *state.shape[1:]))

    def _patches(self, pixels_MNHW: torch.Tensor) -> torch.Tensor:
        """(M, N P, pixels of a patch), patches row by row."""
        side, rows = self.patch_size, self.image_size // self.patch_size
        cut = pixels_MNHW.unflatten(3, (rows, side)).unflatten(2, (rows, side)).transpose(3, 4)
        return cut.reshape(len(pixels_MNHW), -1, side**2)

    def _brightest(self, patches_MPX: torch.Tensor, real_tile_MN: torch.Tensor) -> torch.Tensor:
        """(M, num_lit) patches with most charge; those of tiles beyond the picture come last."""
        brightness = patches_MPX.sum(2, dtype=torch.int32).unflatten(1, (real_tile_MN.shape[1], -1))
        brightness = torch.where(real_tile_MN.unsqueeze(2) > 0, brightness, -1).flatten(1)
        # Stable, so that among black patches the choice is the same on every device
        return torch.sort(brightness, dim=1, descending=True, stable=True).indices[:, : self.num_lit]

    def _embedded(self, patches_MPX, lit_ML, tile_ML, ids) -> torch.Tensor:
        """(M, L, D) class tokens and lit patches before the first layer, as Mllama's own forward makes them."""
        dtype, tiles = self.patch_embedding.weight.dtype, self.max_num_tiles
        mean, std = (torch.tensor(x, dtype=dtype, device=ids.device) for x in (self.image_mean, self.image_std))
        gray = take(patches_MPX, lit_ML).to(dtype).div(255).unflatten(2, (self.patch_size, -1))
        # One strip of patches an image: as pictures of their own, their convolution is 18 times slower backward
        strip = gray.transpose(1, 2).flatten(2).unsqueeze(1)
        pixels = (strip - mean.view(3, 1, 1)) / std.view(3, 1, 1)
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        patches = patches + take(self._of_tiles(self.pre_tile_positional_embedding, ids), tile_ML)
        tokens = torch.cat([self.class_embedding.expand(len(ids), tiles, -1), patches], 1)
        tokens_of_tile = patches_MPX.shape[1] // tiles + 1
        # A class token stands before the patches of its tile
        class_token = (torch.arange(tiles, device=ids.device) * tokens_of_tile).expand(len(ids), -1)
        token_ML = torch.cat([class_token, lit_ML + tile_ML + 1], 1)
        nothing = torch.zeros(len(ids), tiles, tokens_of_tile, tokens.shape[-1], dtype=dtype, device=ids.device)
        return self.layernorm_pre(tokens + take(self.gated_positional_embedding(nothing, ids).flatten(1, 2), token_ML))

    def _of_tiles(self, embedding, ids: torch.Tensor) -> torch.Tensor:
        """(M, N, D) what a tile embedding adds to the tokens of each tile."""
        weight = embedding.embedding.weight
        nothing = torch.zeros(len(ids), self.max_num_tiles, 1, self.hidden_size, dtype=weight.dtype, device=ids.device)
        return embedding(nothing, ids).squeeze(2)


def take(rows_MPD: torch.Tensor, index_ML: torch.Tensor) -> torch.Tensor:
    """(M, L, D) rows of these indices."""
    return torch.gather(rows_MPD, 1, index_ML.unsqueeze(-1).expand(-1, -1, rows_MPD.shape[-1]))
