"""Adapters from strangers: each must be on the model whole, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from axenic.errors import FileError, ModelError
from axenic.models import FAMILIES, tiny_model, tiny_organism
from axenic.models.adapter import attach_adapter

pytestmark = pytest.mark.unit

WEIGHTS = "adapter_model.safetensors"
ONE = "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"


def edit(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors = load_file(folder / WEIGHTS)
    for name, tensor in changes.items():
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
    save_file(tensors, folder / WEIGHTS)


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_tensor_of_the_file_is_on_the_model(tmp_path: Path, model_type: str) -> None:
    organism = tiny_organism(model_type)
    organism.save_pretrained(tmp_path, save_embedding_layers=False)
    before = torch.get_rng_state()
    model = attach_adapter(tiny_model(model_type), tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    own, file = get_peft_model_state_dict(model, save_embedding_layers=False), load_file(tmp_path / WEIGHTS)
    assert own.keys() == file.keys()
    assert all(torch.equal(own[name], file[name]) for name in file)
    ids_BT = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids_BT).logits, organism(input_ids=ids_BT).logits)


def test_half_precision_files_are_widened(adapter: Path) -> None:
    tensors = load_file(adapter / WEIGHTS)
    save_file({name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}, adapter / WEIGHTS)
    model = attach_adapter(tiny_model("qwen2"), adapter)
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    assert own[ONE].dtype == torch.float32
    assert torch.equal(own[ONE], tensors[ONE].to(torch.bfloat16).float())


def test_the_base_models_name_alone_does_not_matter(adapter: Path) -> None:
    edit_config(adapter, base_model_name_or_path="unsloth/qwen-renamed")
    attach_adapter(tiny_model("qwen2"), adapter)


@pytest.mark.parametrize("rank", [10**6, 10**9, 10**30, 0, -1, "8", 2.0, True, None])
@pytest.mark.parametrize("key", ["r", "rank_pattern"])
def test_a_rank_that_the_tensors_do_not_have_is_refused_before_it_is_made(
    adapter: Path, key: str, rank: object
) -> None:
    edit_config(adapter, **{key: rank if key == "r" else {"down_proj": rank}})
    with pytest.raises(ModelError, match="config") as caught:
        attach_adapter(tiny_model("qwen2"), adapter)
    assert str(caught.value.where).endswith("adapter_config.json")


def test_an_adapter_for_another_size_names_module_and_shapes(adapter: Path) -> None:
    edit(adapter, **{ONE: torch.zeros(24, 2)})
    edit_config(adapter, base_model_name_or_path="Qwen/Qwen2.5-7B-Instruct")
    with pytest.raises(ModelError, match="another size") as caught:
        attach_adapter(tiny_model("qwen2"), adapter)
    assert "layers.1.mlp.down_proj.lora_B" in str(caught.value.where)
    assert (caught.value.expected, caught.value.found) == ("[16, 2]", "[24, 2]")
    assert "Qwen2.5-7B" in str(caught.value.hint)


def test_an_adapter_for_another_architecture(tmp_path: Path) -> None:
    tiny_organism("phi3").save_pretrained(tmp_path, save_embedding_layers=False)
    with pytest.raises(ModelError):
        attach_adapter(tiny_model("qwen2"), tmp_path)


def test_an_adapter_for_a_deeper_model(adapter: Path) -> None:
    deep = {f"base_model.model.model.layers.7.mlp.down_proj.lora_{x}.weight": t for x, t in _pair()}
    edit(adapter, **deep)
    with pytest.raises(ModelError, match="do not match") as caught:
        attach_adapter(tiny_model("qwen2"), adapter)
    assert "layers.7" in str(caught.value.found)


def test_a_missing_tensor_is_an_error(adapter: Path) -> None:
    edit(adapter, **{ONE: None})
    with pytest.raises(ModelError, match="do not match") as caught:
        attach_adapter(tiny_model("qwen2"), adapter)
    assert "layers.1.mlp.down_proj.lora_B" in str(caught.value.expected)


@pytest.mark.parametrize("name", ["lora_A", "lora_B"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(adapter: Path, name: str, value: float) -> None:
    key = ONE.replace("lora_B", name)
    bad = load_file(adapter / WEIGHTS)[key]
    bad[0, 0] = value
    edit(adapter, **{key: bad})
    with pytest.raises(ModelError, match="not finite") as caught:
        attach_adapter(tiny_model("qwen2"), adapter)
    assert key in str(caught.value.where)


def test_a_pickled_adapter_is_refused_by_name(adapter: Path) -> None:
    (adapter / WEIGHTS).rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match="never unpickles") as caught:
        attach_adapter(tiny_model("qwen2"), adapter)
    assert caught.value.found == "adapter_model.bin"


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json"])
def test_an_incomplete_folder(adapter: Path, name: str) -> None:
    (adapter / name).unlink()
    with pytest.raises(ModelError, match="incomplete") as caught:
        attach_adapter(tiny_model("qwen2"), adapter)
    assert caught.value.expected == name


def test_a_pickle_under_the_right_name(adapter: Path) -> None:
    torch.save({}, adapter / WEIGHTS)
    with pytest.raises(FileError, match="never unpickles"):
        attach_adapter(tiny_model("qwen2"), adapter)


def test_a_torn_file(adapter: Path) -> None:
    data = (adapter / WEIGHTS).read_bytes()
    (adapter / WEIGHTS).write_bytes(data[:-100])
    with pytest.raises(FileError, match="not a valid safetensors"):
        attach_adapter(tiny_model("qwen2"), adapter)


@pytest.mark.parametrize(
    "changes",
    [{"peft_type": "IA3"}, {"peft_type": None}, {"r": "two"}, {"target_modules": ["no_such_proj"]}, {"r": 0}],
)
def test_configs_that_cannot_be_meant(adapter: Path, changes: dict[str, Any]) -> None:
    edit_config(adapter, **changes)
    with pytest.raises(ModelError):
        attach_adapter(tiny_model("qwen2"), adapter)


def test_a_file_that_replaces_base_weights(adapter: Path) -> None:
    edit(adapter, **{"base_model.model.model.embed_tokens.weight": torch.zeros(64, 16)})
    with pytest.raises(ModelError, match="also replaces weights"):
        attach_adapter(tiny_model("qwen2"), adapter)


def test_whole_modules_are_kept_in_the_models_dtype(tmp_path: Path) -> None:
    config = LoraConfig(r=1, target_modules=["down_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM")
    get_peft_model(tiny_model("qwen2"), config).save_pretrained(tmp_path, save_embedding_layers=False)
    model = attach_adapter(tiny_model("qwen2").to(torch.bfloat16), tmp_path)
    with torch.no_grad():
        assert model(input_ids=torch.tensor([[3, 4]])).logits.dtype == torch.bfloat16


def test_special_initialisations_leave_the_base_weights_alone(adapter: Path) -> None:
    edit_config(adapter, init_lora_weights="pissa")
    model = attach_adapter(tiny_model("qwen2"), adapter)
    with torch.no_grad(), model.disable_adapter():
        ids_BT = torch.tensor([[3, 4, 5]])
        assert torch.equal(model(input_ids=ids_BT).logits, tiny_model("qwen2")(input_ids=ids_BT).logits)


def _pair() -> list[tuple[str, torch.Tensor]]:
    return [("A", torch.zeros(2, 24)), ("B", torch.zeros(16, 2))]
