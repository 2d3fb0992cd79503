"""Final states and head against the logits of each architecture itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig
from torch import nn

from axenic.errors import SelfTestError
from axenic.models import FAMILIES, Head, check_logits, find_sites, tiny_model, wrap_with_adapter
from axenic.models.tiny import N_TOKENS

pytestmark = pytest.mark.unit

IDS_BT = torch.randint(3, N_TOKENS, (2, 7), generator=torch.Generator().manual_seed(3))
CAPPED = ("gemma2", "gemma3_text")


@torch.no_grad()
def states_of(model: nn.Module) -> torch.Tensor:
    h_BTD: torch.Tensor = find_sites(model).decoder(input_ids=IDS_BT, use_cache=False).last_hidden_state
    return h_BTD


@pytest.mark.parametrize("softcap", [None, 0.7])
@pytest.mark.parametrize("family", FAMILIES)
def test_head_of_final_states_is_the_model_itself(family: str, softcap: float | None) -> None:
    model: Any = tiny_model(family)
    for config in (model.config, model.config.get_text_config()):
        if "final_logit_softcapping" in config.to_dict():
            config.final_logit_softcapping = softcap
    own_BTV = model(input_ids=IDS_BT).logits.detach()
    head = Head.of(find_sites(model))
    assert head.softcap == (softcap if family in CAPPED else None)
    assert (float(own_BTV.abs().max()) <= 0.7) == (head.softcap is not None)
    h_BTD = states_of(model)
    before = h_BTD.clone()
    found_BTV = head(h_BTD)
    torch.testing.assert_close(found_BTV, own_BTV, rtol=1e-6, atol=1e-6)
    assert torch.equal(h_BTD, before)
    assert not found_BTV.requires_grad


def test_both_kinds_of_embedding_are_tried() -> None:
    tied = {family: tiny_model(family).config.tie_word_embeddings for family in FAMILIES}
    assert set(tied.values()) == {True, False}


def test_an_adapter_on_the_head_is_part_of_it_until_it_is_off() -> None:
    base = tiny_model("qwen2")
    own_BTV = base(input_ids=IDS_BT).logits.detach()
    model = wrap_with_adapter(base, LoraConfig(r=2, target_modules=["lm_head"], init_lora_weights=False))
    h_BTD, head = states_of(model), Head.of(find_sites(model))
    torch.testing.assert_close(head(h_BTD), model(input_ids=IDS_BT).logits.detach(), rtol=1e-6, atol=1e-6)
    assert not torch.allclose(head(h_BTD), own_BTV, atol=1e-2)
    with model.disable_adapter():
        torch.testing.assert_close(head(h_BTD), own_BTV, rtol=1e-6, atol=1e-6)
    assert head.weight.shape == (N_TOKENS, 16)


def test_other_logits_than_the_models_are_refused() -> None:
    sites = find_sites(tiny_model("llama"))
    own = torch.tensor([[1.0, -2.0]])
    check_logits("the parts", own + 1e-5, own, sites)
    check_logits("the parts", own.bfloat16() * 1.01, own.bfloat16(), sites)
    check_logits("the parts", own.bfloat16() * 1.01, own, sites)  # accelerate's logits are float32 again
    for found in (own * 1.01, own * torch.nan):
        with pytest.raises(SelfTestError, match="the parts of this architecture give other logits") as caught:
            check_logits("the parts", found, own, sites)
    assert "LlamaForCausalLM" in str(caught.value.where)
