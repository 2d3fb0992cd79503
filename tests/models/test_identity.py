"""Content hashes: what must change them does, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from axenic.models import FAMILIES, from_parts, open_model, tiny_model, tiny_organism
from axenic.models import identity as module

pytestmark = pytest.mark.unit


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))


def test_the_same_bytes_elsewhere_are_the_same_model(tmp_path: Path, base: Path, adapter: Path) -> None:
    shutil.copytree(base, tmp_path / "copy")
    one = open_model(base, adapter, device="cpu").identity
    assert one == open_model(tmp_path / "copy", adapter, device="cpu").identity
    assert one.base == open_model(base, device="cpu").identity.base


def test_one_bit_of_the_weights_counts(base: Path) -> None:
    before = module.hash_weights(base)
    flip(base / "model.safetensors", -20_000)
    assert module.hash_weights(base) != before


@pytest.mark.parametrize("position", [20, -1])
def test_large_weights_are_hashed_at_their_edges(
    base: Path, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    monkeypatch.setattr(module, "FULL_HASH_BYTES", 100)
    before = module.hash_weights(base)
    assert before.startswith("s:")
    flip(base / "model.safetensors", position)
    assert module.hash_weights(base) != before


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_adapter_bytes_and_config_count(adapter: Path, name: str) -> None:
    before = module.hash_adapter(adapter)
    with (adapter / name).open("ab") as file:
        file.write(b" ")
    assert module.hash_adapter(adapter) != before


def test_an_adapter_beside_the_weights_is_not_the_base(base: Path, adapter: Path) -> None:
    before = module.hash_weights(base)
    shutil.copy(adapter / "adapter_model.safetensors", base)
    assert module.hash_weights(base) == before


def test_the_chat_template_counts(base: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    before = module.hash_tokenizer(tokenizer)
    other = PreTrainedTokenizerFast.from_pretrained(base)
    assert module.hash_tokenizer(other) == before
    other.chat_template = "{{ messages }}"
    assert module.hash_tokenizer(other) != before
    assert len({module.hash_tokenizer(None), module.hash_tokenizer(other, base), before}) == 3


@pytest.mark.parametrize("model_type", FAMILIES)
def test_wrapping_does_not_change_the_base(model_type: str) -> None:
    bare = from_parts(tiny_model(model_type), None, "bare").identity
    wrapped = from_parts(tiny_organism(model_type), None, "wrapped").identity
    assert wrapped.base == bare.base
    assert bare.organism is None
    assert wrapped.organism is not None
    assert from_parts(tiny_model(model_type, seed=1), None, "bare").identity.base != bare.base


def test_the_adapter_in_memory_counts() -> None:
    one, two = tiny_organism("qwen2"), tiny_organism("qwen2")
    assert from_parts(one, None, "a").identity == from_parts(two, None, "b").identity
    next(t for name, t in two.named_parameters() if ".lora_B" in name).data[0, 0] += 1
    assert from_parts(one, None, "a").identity.organism != from_parts(two, None, "b").identity.organism


def test_dtype_and_name_of_a_tensor_count() -> None:
    zero = torch.zeros(4)
    hashes = {
        module.hash_tensors({"a": zero}),
        module.hash_tensors({"b": zero}),
        module.hash_tensors({"a": zero.to(torch.int32)}),
        module.hash_tensors({"a": zero.reshape(2, 2)}),
        module.hash_tensors({"a": zero}, facts=1),
    }
    assert len(hashes) == 5


def test_sharded_weights_all_count(base: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    names = sorted(tensors)
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        save_file({name: tensors[name] for name in part}, base / f"model-0000{number}-of-00002.safetensors")
    before = module.hash_weights(base)
    flip(base / "model-00002-of-00002.safetensors", -1)
    assert module.hash_weights(base) != before
