"""Sites of all families, bare, PEFT-wrapped and merged: the parts of the residual stream must add up."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from axenic.errors import ModelError, UsageError
from axenic.models import FAMILIES, Site, find_sites, site_tensor, tiny_model, tiny_organism, with_site_tensor
from axenic.models.tiny import D_MODEL, N_TOKENS

pytestmark = pytest.mark.unit

IDS_BT = torch.randint(3, N_TOKENS, (3, 6), generator=torch.Generator().manual_seed(5))


def make(model_type: str, wrapping: str) -> nn.Module:
    if wrapping == "bare":
        return tiny_model(model_type)
    organism = tiny_organism(model_type)
    return organism.merge_and_unload() if wrapping == "merged" else organism


@torch.no_grad()
def record(model: nn.Module) -> tuple[dict[tuple[Site, int], Tensor], Tensor]:
    """Every site's activations, and the final norm's input."""
    sites = find_sites(model)
    places: list[tuple[Site, int]] = [("embed", -1)]
    places += [(site, l) for l in range(sites.n_layers) for site in ("resid_post", "attn_out", "mlp_out")]
    seen: dict[tuple[Site, int], Tensor] = {}
    last: list[Tensor] = []

    def keep(place: tuple[Site, int]) -> Any:
        return lambda module, args, output: seen.__setitem__(place, site_tensor(output))

    handles = [sites.module(*place).register_forward_hook(keep(place)) for place in places]
    handles.append(sites.final_norm.register_forward_pre_hook(lambda module, args: last.append(args[0])))
    model(input_ids=IDS_BT)
    for handle in handles:
        handle.remove()
    return seen, last[0]


@pytest.mark.parametrize("wrapping", ["bare", "peft", "merged"])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_the_parts_add_up_to_the_residual_stream(model_type: str, wrapping: str) -> None:
    model = make(model_type, wrapping)
    seen, last_BTD = record(model)
    sum_BTD = seen["embed", -1]
    for layer in range(find_sites(model).n_layers):
        attn_BTD, mlp_BTD = seen["attn_out", layer], seen["mlp_out", layer]
        assert attn_BTD.abs().mean() > 0.01
        assert mlp_BTD.abs().mean() > 0.01
        sum_BTD = sum_BTD + attn_BTD + mlp_BTD
        torch.testing.assert_close(sum_BTD, seen["resid_post", layer], atol=1e-5, rtol=1e-5)
    assert torch.equal(seen["resid_post", layer], last_BTD)
    assert sum_BTD.shape == (*IDS_BT.shape, D_MODEL)


@pytest.mark.parametrize("model_type", ["gemma2", "gemma3_text", "gemma3"])
def test_the_embedding_site_of_gemma_is_scaled(model_type: str) -> None:
    model = tiny_model(model_type)
    seen, _ = record(model)
    rows_BTD = find_sites(model).embed.weight[IDS_BT]
    torch.testing.assert_close(seen["embed", -1], rows_BTD * D_MODEL**0.5)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_lora_modules(model_type: str) -> None:
    model = tiny_organism(model_type)
    loras = find_sites(model).lora_modules()
    expected = {"phi3": 4, "qwen3_moe": 4}.get(model_type, 7)
    assert [lora.layer for lora in loras.values()] == [l for l in range(3) for _ in range(expected)]
    for name, lora in loras.items():
        assert lora.module_name == name
        assert f"layers.{lora.layer}." in name
        assert lora.scale == pytest.approx(4 / 2**0.5)  # rsLoRA: alpha / sqrt(r)
        inside = model.get_base_model().get_submodule(name)
        assert inside.lora_B["default"] is lora.lora_B
        assert inside.lora_A["default"] is lora.lora_A


def test_no_lora_modules_without_an_adapter() -> None:
    assert find_sites(tiny_model("qwen2")).lora_modules() == {}
    assert find_sites(tiny_organism("qwen2").merge_and_unload()).lora_modules() == {}


def test_a_lora_on_the_head_comes_after_the_blocks() -> None:
    model = get_peft_model(tiny_model("llama"), LoraConfig(r=1, target_modules=["down_proj", "lm_head"]))
    assert [lora.layer for lora in find_sites(model).lora_modules().values()] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"target_modules": ["down_proj"], "use_dora": True}, "variant"),
        ({"target_modules": ["down_proj"], "bias": "all"}, "biases"),
        ({"target_modules": ["down_proj"], "modules_to_save": ["lm_head"]}, "lm_head"),
        ({"target_modules": ["embed_tokens"]}, "embedding"),
    ],
)
def test_adapters_that_cannot_be_taken_apart(settings: dict[str, Any], found: str) -> None:
    model = get_peft_model(tiny_model("qwen2"), LoraConfig(r=1, **settings))
    with pytest.raises(ModelError) as caught:
        find_sites(model).lora_modules()
    assert found in str(caught.value.found)


def test_a_mixture_with_adapted_experts_cannot_be_taken_apart() -> None:
    model = get_peft_model(tiny_model("qwen3_moe"), LoraConfig(r=1, target_modules="all-linear"))
    with pytest.raises(ModelError, match="expert"):
        find_sites(model).lora_modules()


def test_a_merged_adapter_cannot_be_taken_apart() -> None:
    model = tiny_organism("qwen2")
    model.merge_adapter()
    with pytest.raises(ModelError, match="merged"):
        find_sites(model).lora_modules()


@pytest.mark.parametrize(
    ("site", "layer", "expected"),
    [
        ("resid_post", 3, "0 to 2"),
        ("attn_out", -1, "0 to 2"),
        ("embed", 0, "-1"),
        ("down_proj", 0, "mlp_out"),
    ],
)
def test_places_that_do_not_exist(site: Any, layer: int, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_sites(tiny_model("qwen2")).module(site, layer)
    assert expected in str(caught.value.expected)


def test_an_unsupported_architecture_is_refused_with_the_list() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=16))
    with pytest.raises(ModelError) as caught:
        find_sites(model)
    assert caught.value.found == "gpt2"
    assert all(family in str(caught.value.expected) for family in FAMILIES)


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(ModelError, match="not a causal language model"):
        find_sites(tiny_model("qwen2").model)


def test_outputs_may_be_tensors_or_tuples() -> None:
    h_BTD, new_BTD = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    assert site_tensor(h_BTD) is h_BTD
    assert site_tensor((h_BTD, "cache")) is h_BTD
    assert with_site_tensor(h_BTD, new_BTD) is new_BTD
    assert with_site_tensor((h_BTD, "cache"), new_BTD) == (new_BTD, "cache")
    for output in (None, (), ("cache", h_BTD)):
        with pytest.raises(ModelError):
            site_tensor(output)  # type: ignore[arg-type]
