"""nuvlm-nano: a small Mllama with its own tokenizer, made from the files in models/nano in a second.

It has the shape of Llama 3.2 Vision, so that everything that works on it works there, without network or GPU.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessorPil,
    MllamaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.mllama.configuration_mllama import MllamaTextConfig, MllamaVisionConfig
from transformers.models.mllama.image_processing_pil_mllama import get_all_supported_aspect_ratios

from hpc_nuvlm.errors import UserError

NAME = "nuvlm-nano"
BEGIN, END, PAD, IMAGE = "<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|image|>"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] }}\n{% endif %}{% endfor %}"
    "{% else %}{{ message['content'][0]['text'] }}{{ eos_token }}{% endif %}{% endfor %}"
)


def resources():
    return files("hpc_nuvlm.models") / "nano"


def build_tokenizer(vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE learned from corpus.txt; the image token comes after the vocabulary, as in Llama 3.2 Vision."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[BEGIN, END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((resources() / "corpus.txt").read_text().splitlines(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD)
    fast.add_special_tokens({"additional_special_tokens": [IMAGE]})
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_processor() -> MllamaProcessor:
    config = yaml.safe_load((resources() / "config.yaml").read_text())
    tile, tiles = config["vision"]["image_size"], config["vision"]["max_num_tiles"]
    image_processor = MllamaImageProcessorPil(
        size={"height": tile, "width": tile},
        max_image_tiles=tiles,
        image_mean=config["image_mean"],
        image_std=config["image_std"],
    )
    tokenizer = build_tokenizer(config["vocabulary_size"])
    return MllamaProcessor(image_processor, tokenizer, chat_template=CHAT_TEMPLATE)


def build_config(tokenizer: PreTrainedTokenizerFast) -> MllamaConfig:
    config = yaml.safe_load((resources() / "config.yaml").read_text())
    vision = config["vision"]
    # The vision tower hands on its last layer and the intermediate ones, side by side.
    width = vision["hidden_size"] * (1 + len(vision["intermediate_layers_indices"]))
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return MllamaConfig(
        vision_config=MllamaVisionConfig(
            **vision,
            vision_output_dim=width,
            supported_aspect_ratios=[list(ratio) for ratio in get_all_supported_aspect_ratios(vision["max_num_tiles"])],
        ),
        text_config=MllamaTextConfig(
            **config["text"],
            **special,
            vocab_size=len(tokenizer) - 1,  # without the image token
            pad_token_id=tokenizer.pad_token_id,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=False,
        ),
        image_token_index=len(tokenizer) - 1,
        **special,
        pad_token_id=tokenizer.pad_token_id,
    )


def write_nano(folder: Path, seed: int) -> int:
    """Write model, tokenizer and image processor to a folder; returns the number of parameters."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; give a folder that can be written") from error
    if (folder / "config.json").exists():
        raise UserError(f"{folder}: holds a model already; give another folder")
    processor = build_processor()
    torch.manual_seed(seed)
    num_parameters = write_model(processor.tokenizer, folder)
    processor.save_pretrained(folder)
    return num_parameters


def write_model(tokenizer: PreTrainedTokenizerFast, folder: Path) -> int:
    """Random weights from torch's current seed, float32, as a folder in Hugging Face form.

    Not by save_pretrained, which writes on the first of several ranks only: here each needs a copy.
    """
    model = MllamaForConditionalGeneration(build_config(tokenizer))
    gate = yaml.safe_load((resources() / "config.yaml").read_text())["cross_attention_gate"]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("cross_attn_attn_gate", "cross_attn_mlp_gate")):
                parameter.fill_(gate)
    model.config.architectures = [type(model).__name__]
    model.config.to_json_file(folder / "config.json", use_diff=False)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    return sum(parameter.numel() for parameter in model.parameters())
