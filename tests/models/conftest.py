"""A tiny base model folder with a tokenizer, and adapters for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from axenic.models import tiny_model, tiny_organism
from axenic.models.tiny import N_TOKENS

TEMPLATE = "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}"


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(N_TOKENS)}, unk_token="w0"))
    words.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", pad_token="w0", eos_token="w2")
    fast.chat_template = TEMPLATE
    return fast


@pytest.fixture
def base(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A qwen2 base model folder."""
    folder = tmp_path / "base"
    tiny_model("qwen2").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A PEFT folder for `base`."""
    folder = tmp_path / "adapter-of-base"
    tiny_organism("qwen2").save_pretrained(folder, save_embedding_layers=False)
    return folder


@pytest.fixture
def zero_adapter(tmp_path: Path) -> Path:
    """A PEFT folder for `base` whose B is zero, as before training."""
    folder = tmp_path / "untrained"
    with torch.random.fork_rng():
        model: PeftModel = get_peft_model(tiny_model("qwen2"), LoraConfig(r=2, target_modules=["down_proj"]))
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder
