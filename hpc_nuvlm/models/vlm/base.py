"""Open a base model: nuvlm-nano or a folder in Hugging Face form, in full precision or NF4, with LoRA adapters."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bitsandbytes.nn.modules
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils import logging

from hpc_nuvlm.config import Lora, Vlm
from hpc_nuvlm.errors import ConfigError
from hpc_nuvlm.models.vlm import nano

SUPPORTED = ("mllama",)
# Linear layers of both towers, by the last part of their name: q, k, v, o and the MLPs (text: gate, up, down;
# vision: fc1, fc2), as in the published fine-tune, plus the projector between the towers.
LORA_TARGETS = r".*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|fc1|fc2)|.*multi_modal_projector"


def open_base(config: Vlm, dtype: torch.dtype, device: torch.device) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Model and processor; nothing is downloaded. ConfigError if the folder is missing or of another family."""
    # On a CPU with AVX512-BF16, bitsandbytes repacks 4-bit weights in place at the first evaluation, lossily and for
    # good: later training is silently wrong (gradient cosine 0.72).
    bitsandbytes.nn.modules.has_avx512bf16 = lambda: False
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if config.base == nano.NAME:
        processor = nano.build_processor()
        with tempfile.TemporaryDirectory() as folder:
            nano.write_model(processor.tokenizer, Path(folder))
            return _open_model(Path(folder), config, dtype).to(device), processor
    check_folder(config)
    processor = AutoProcessor.from_pretrained(config.base, local_files_only=True)
    return _open_model(Path(config.base), config, dtype).to(device), processor


def check_folder(config: Vlm) -> None:
    folder = Path(config.base)
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"model.base = {config.base!r}: neither {nano.NAME!r} nor a folder with config.json; "
            "nothing is downloaded: give the folder of a model that lies on this machine"
        )
    kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
    if kind not in SUPPORTED:
        raise ConfigError(f"model.base = {config.base!r}: model_type {kind!r} is not among {', '.join(SUPPORTED)}")


def _open_model(folder: Path, config: Vlm, dtype: torch.dtype) -> PreTrainedModel:
    return AutoModelForImageTextToText.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        quantization_config=nf4_config(dtype) if config.nf4 else None,
    )


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
