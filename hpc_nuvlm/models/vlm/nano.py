"""nuvlm-nano: a small Mllama with its own tokenizer, pretrained on simulated events and shipped in models/nano.

It has the shape of Llama 3.2 Vision, so that everything that works on it works there, without network or GPU. From
`models/nano/shapes`, models of random weights are made in a second: what pretraining begins with, and tests.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessorPil,
    MllamaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.mllama.configuration_mllama import MllamaTextConfig, MllamaVisionConfig
from transformers.models.mllama.image_processing_pil_mllama import get_all_supported_aspect_ratios

from hpc_nuvlm import rationale
from hpc_nuvlm.errors import ConfigError, UserError
from hpc_nuvlm.models.vlm.lit import LIT_PATCHES

NAME = "nuvlm-nano"
WEIGHTS, RELEASE = "model.safetensors", "release.json"
LARGEST_MB = 25
LOCAL_NOTES = ("is_local", "local_files_only")
# base: "untrained:SHAPE"
UNTRAINED = "untrained:"
BEGIN, END, PAD, IMAGE = "<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|image|>"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] }}\n{% endif %}{% endfor %}"
    "{% else %}{{ message['content'][0]['text'] }}{{ eos_token }}{% endif %}{% endfor %}"
)


def resources():
    return files("hpc_nuvlm.models") / "nano"


def shape_names() -> list[str]:
    return sorted(path.name.removesuffix(".yaml") for path in (resources() / "shapes").iterdir())


def read_shape(name: str) -> dict:
    """Sizes of a model: `vision` and `text` as Mllama's configuration names them, and what ours need besides."""
    if name not in shape_names():
        raise ConfigError(f"model.base = '{UNTRAINED}{name}': no such shape; there are {', '.join(shape_names())}")
    return yaml.safe_load((resources() / "shapes" / f"{name}.yaml").read_text())


def build_tokenizer(vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE learned from corpus.txt and every wording of a rationale.

    Numbers are cut after two digits, so that each place in a picture, in percent, is one token. The image token comes
    after the vocabulary, as in Llama 3.2 Vision.
    """
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Split(Regex(r" ?\d{1,2}"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[BEGIN, END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = [*(resources() / "corpus.txt").read_text().splitlines(), *rationale.example_sentences()]
    # A sentence begins a text, or follows another one after a space
    tokenizer.train_from_iterator([*corpus, *(f" {line}" for line in corpus)], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD)
    fast.add_special_tokens({"additional_special_tokens": [IMAGE]})
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_processor(shape: dict) -> MllamaProcessor:
    tile, tiles = shape["vision"]["image_size"], shape["vision"]["max_num_tiles"]
    image_processor = MllamaImageProcessorPil(
        size={"height": tile, "width": tile},
        max_image_tiles=tiles,
        image_mean=shape["image_mean"],
        image_std=shape["image_std"],
    )
    tokenizer = build_tokenizer(shape["vocabulary_size"])
    return MllamaProcessor(image_processor, tokenizer, chat_template=CHAT_TEMPLATE)


def build_config(tokenizer: PreTrainedTokenizerFast, shape: dict) -> MllamaConfig:
    vision = shape["vision"]
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
            # Without the image token; a shape may have room for more tokens than are used
            **{"vocab_size": len(tokenizer) - 1} | shape["text"],
            **special,
            pad_token_id=tokenizer.pad_token_id,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=False,
        ),
        image_token_index=len(tokenizer) - 1,
        **special,
        pad_token_id=tokenizer.pad_token_id,
    )


def write_nano(folder: Path, seed: int, shape: str = "nano") -> int:
    """Write model, tokenizer and image processor to a folder; returns the number of parameters."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; give a folder that can be written") from error
    if (folder / "config.json").exists():
        raise UserError(f"{folder}: holds a model already; give another folder")
    sizes = read_shape(shape)
    processor = build_processor(sizes)
    torch.manual_seed(seed)
    num_parameters = write_model(processor.tokenizer, sizes, folder)
    processor.save_pretrained(folder)
    return num_parameters


def write_model(tokenizer: PreTrainedTokenizerFast, shape: dict, folder: Path) -> int:
    """Random weights from torch's current seed, float32, as a folder in Hugging Face form.

    Not by save_pretrained, which writes on the first of several ranks only: here each needs a copy.
    """
    model = MllamaForConditionalGeneration(build_config(tokenizer, shape))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("cross_attn_attn_gate", "cross_attn_mlp_gate")):
                parameter.fill_(shape["cross_attention_gate"])
            elif name.endswith((".gate_attn", ".gate_ffn")) and "global_gate" in shape:
                parameter.fill_(shape["global_gate"])
    model.config.architectures = [type(model).__name__]
    model.config.to_json_file(folder / "config.json", use_diff=False)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    return sum(parameter.numel() for parameter in model.parameters())


def shipped_place() -> Path:
    return Path(str(resources() / "weights"))


def shipped_folder() -> Path:
    """The folder of the shipped model; ConfigError if its weights are not those that it was released with."""
    folder = shipped_place()
    told = json.loads((folder / RELEASE).read_text())["sha256"]
    found = digest(folder / WEIGHTS)
    if found != told:
        raise ConfigError(
            f"{folder / WEIGHTS}: its sha256 is {found}, the released one {told}: the file is damaged or was replaced; "
            "install the package again"
        )
    return folder


def release(model: Path, folder: Path, lineage: dict) -> Path:
    """Make an exported model the shipped one in `folder`: bf16 weights, their digest, and where they come from."""
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(model / WEIGHTS).items()}
    size_mb = sum(tensor.nbytes for tensor in weights.values()) / 1e6
    if size_mb > LARGEST_MB:
        raise ConfigError(f"{model}: {size_mb:.0f} MB in bf16; what is shipped has at most {LARGEST_MB}")
    shutil.copytree(model, folder, dirs_exist_ok=True)
    config = _edit(folder / "config.json", _told_bf16)
    # What transformers notes of a folder that it has read on this machine
    _edit(folder / "tokenizer_config.json", lambda fields: {k: v for k, v in fields.items() if k not in LOCAL_NOTES})
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    told = {"sha256": digest(folder / WEIGHTS), **lineage, "patches": config.get(LIT_PATCHES)}
    (folder / RELEASE).write_text(json.dumps(told, indent=1) + "\n")
    return folder


def _edit(path: Path, change: Callable[[dict], dict]) -> dict:
    """Rewrite a JSON file; returns what it holds now."""
    fields = change(json.loads(path.read_text()))
    path.write_text(json.dumps(fields, indent=1) + "\n")
    return fields


def _told_bf16(config: dict) -> dict:
    """A model's config.json, and those of its towers inside, for weights in bf16."""
    towers = {name: _told_bf16(value) for name, value in config.items() if isinstance(value, dict) and "dtype" in value}
    return config | towers | {"dtype": "bfloat16"}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
