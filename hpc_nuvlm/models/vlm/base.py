"""Open a base model: nuvlm-nano or a folder in Hugging Face form, in full precision or NF4, with LoRA adapters."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bitsandbytes.nn.modules
import torch
from peft import LoraConfig, get_peft_model
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PretrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils import logging

from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.families import Lora, Vlm
from hpc_nuvlm.models.vlm import nano
from hpc_nuvlm.models.vlm.idefics3 import build_idefics3_eyes
from hpc_nuvlm.models.vlm.lit import LIT_PATCHES, look_at_lit
from hpc_nuvlm.models.vlm.mllama import build_mllama_eyes

# model_type -> how its pictures come to the text
EYES = {"mllama": build_mllama_eyes, "idefics3": build_idefics3_eyes}
# Linear layers of both towers, by the last part of their name: q, k, v, o and the MLPs (text: gate, up, down;
# vision: fc1, fc2), as in the published fine-tune, plus the projector between the towers. Mllama calls the latter
# multi_modal_projector, Idefics3 modality_projection.proj; its vision tower has out_proj for o_proj.
LORA_TARGETS = (
    r".*\.(q_proj|k_proj|v_proj|o_proj|out_proj|gate_proj|up_proj|down_proj|fc1|fc2)"
    r"|.*multi_modal_projector|.*modality_projection\.proj"
)


def open_base(config: Vlm, dtype: torch.dtype, device: torch.device) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Model and processor; nothing is downloaded. ConfigError if the folder is missing or of another family.

    Under torch.device("meta"), which plans with shapes alone, no weights are read, nor is a model of random ones made.
    """
    # On a CPU with AVX512-BF16, bitsandbytes repacks 4-bit weights in place at the first evaluation, lossily and for
    # good: later training is silently wrong (gradient cosine 0.72).
    bitsandbytes.nn.modules.has_avx512bf16 = lambda: False
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if config.base.startswith(nano.UNTRAINED):
        shape = nano.read_shape(config.base.removeprefix(nano.UNTRAINED))
        processor = nano.build_processor(shape)
        if is_hollow():
            return _hollow_model(nano.build_config(processor.tokenizer, shape), config, dtype, processor), processor
        with tempfile.TemporaryDirectory() as folder:
            nano.write_model(processor.tokenizer, shape, Path(folder))
            return _open_model(Path(folder), config, dtype, processor).to(device), processor
    folder = nano.shipped_folder() if config.base == nano.NAME else Path(config.base)
    check_folder(folder)
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if is_hollow():
        shape = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return _hollow_model(shape, config, dtype, processor), processor
    return _open_model(folder, config, dtype, processor).to(device), processor


def is_hollow() -> bool:
    return torch.get_default_device().type == "meta"


def _hollow_model(shape: PretrainedConfig, config: Vlm, dtype: torch.dtype, processor) -> PreTrainedModel:
    return _looking(AutoModelForImageTextToText.from_config(shape, dtype=dtype), config, processor)


def check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"model.base = '{folder}': neither {nano.NAME!r} nor 'untrained:SHAPE' nor a folder with config.json; "
            "nothing is downloaded: give the folder of a model that lies on this machine"
        )
    kind = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False).model_type
    if kind not in EYES:
        raise ConfigError(f"model.base = '{folder}': model_type {kind!r} is not among {', '.join(EYES)}")


def _open_model(folder: Path, config: Vlm, dtype: torch.dtype, processor) -> PreTrainedModel:
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            # Other files of weights are pickles, which run whatever code is in them; nor does a folder's own code run
            use_safetensors=True,
            trust_remote_code=False,
            quantization_config=nf4_config(dtype) if config.nf4 else None,
        )
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"model.base = '{folder}': its weights cannot be read: {str(error).splitlines()[0]}; give a folder with "
            "whole *.safetensors files"
        ) from error
    return _looking(model, config, processor)


def _looking(model: PreTrainedModel, config: Vlm, processor) -> PreTrainedModel:
    """The model, made to look at lit patches alone if the configuration or its own config.json says so."""
    # A model that learned from lit patches says so in its config.json
    patches = getattr(model.config, LIT_PATCHES, None) if config.patches is None else config.patches
    if patches == "all":
        setattr(model.config, LIT_PATCHES, None)
    elif patches is not None:
        images = processor.image_processor
        look_at_lit(model, patches, images.image_mean, images.image_std)
    return model


def nf4_config(dtype: torch.dtype) -> BitsAndBytesConfig:
    """4-bit NormalFloat with double quantization (QLoRA, arXiv:2305.14314)."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        # ZeRO-3 shards the 4-bit weights only if they are stored in the type it computes in.
        bnb_4bit_quant_storage=torch.bfloat16 if dtype == torch.bfloat16 else torch.uint8,
    )


def add_adapters(model: PreTrainedModel, lora: Lora):
    """LoRA on every linear layer of both towers; all else is frozen."""
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=LORA_TARGETS, bias="none"
    )
    return get_peft_model(model, config)
