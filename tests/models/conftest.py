"""Tiny models of other kinds than nuvlm-nano, as folders in Hugging Face form."""

from pathlib import Path

import pytest
import torch
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

from hpc_nuvlm.models.vlm import nano

TILE = 112
# What the template of Idefics3-8B-Llama3 makes of a conversation whose messages begin with a picture, or with words
IDEFICS3_TEMPLATE = """<|begin_of_text|>
{%- for message in messages -%}
    {{- message['role'].capitalize() + (':' if message['content'][0]['type'] == 'image' else ': ') -}}
    {%- for part in message['content'] -%}
        {{- '<image>' if part['type'] == 'image' else part['text'] -}}
    {%- endfor -%}
    {{- '<end_of_utterance>\\n' -}}
{%- endfor -%}
{{- 'Assistant:' if add_generation_prompt else '' -}}"""


def build_idefics3_processor() -> Idefics3Processor:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=nano.build_tokenizer(1024).backend_tokenizer,
        bos_token=nano.BEGIN,
        eos_token=nano.END,
        pad_token=nano.PAD,
    )
    # As in the published tokenizer, which knows the places of split pictures too
    tokenizer.add_special_tokens({"additional_special_tokens": ["<global-img>"]})
    pictures = Idefics3ImageProcessorPil(size={"longest_edge": TILE}, max_image_size={"longest_edge": TILE})
    return Idefics3Processor(pictures, tokenizer, image_seq_len=16, chat_template=IDEFICS3_TEMPLATE)


def build_idefics3_config(tokenizer: PreTrainedTokenizerFast) -> Idefics3Config:
    """8 x 8 patches a picture; the connector makes 16 tokens of them."""
    return Idefics3Config(
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": TILE,
            "patch_size": 14,
            "initializer_range": 0.1,
        },
        text_config={
            "model_type": "llama",
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "initializer_range": 0.1,
        },
    )


@pytest.fixture(scope="session")
def idefics3_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("idefics3") / "model"
    processor = build_idefics3_processor()
    torch.manual_seed(2)
    Idefics3ForConditionalGeneration(build_idefics3_config(processor.tokenizer)).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
