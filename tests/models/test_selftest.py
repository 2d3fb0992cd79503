"""The self-test must pass on every family and catch each way in which hooks have been seen to fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from axenic.errors import SelfTestError
from axenic.models import FAMILIES, OpenModel, check_hooks, from_parts, tiny_model, tiny_organism

pytestmark = pytest.mark.unit


def opened(model_type: str = "qwen2", *, lora: bool = False) -> OpenModel:
    return from_parts(tiny_organism(model_type) if lora else tiny_model(model_type), None, "tiny")


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_family_passes(model_type: str, lora: bool) -> None:
    assert check_hooks(opened(model_type, lora=lora)) == ()


def test_bfloat16_passes() -> None:
    model = tiny_organism("gemma2").to(torch.bfloat16)
    assert check_hooks(from_parts(model, None, "tiny")) == ()


def test_blocks_that_ignore_what_a_hook_returns_are_caught() -> None:
    """A block called by its `forward` skips the hooks; here the second one."""
    model = opened()
    model.sites.decoder.layers[1] = _Bypass(model.sites.blocks[1])
    with pytest.raises(SelfTestError) as caught:
        check_hooks(model)
    assert "layer 1" in str(caught.value.where)


class _Bypass(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.attention_type = "full_attention"

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.block.forward(*args, **kwargs)


def test_a_hook_that_reaches_only_the_first_row_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_row_0(output: Tensor, h_BTD: Tensor) -> Tensor:
        return torch.cat([h_BTD[:1], output[1:]])

    monkeypatch.setattr("axenic.models.selftest.with_site_tensor", only_row_0)
    with pytest.raises(SelfTestError) as caught:
        check_hooks(opened())
    assert caught.value.where == "output of layer 0, row 1"


def test_a_wrong_embedding_site_is_caught() -> None:
    model = opened()
    other = nn.Embedding(64, 16)
    with pytest.raises(SelfTestError, match="embedding site"):
        check_hooks(replace(model, sites=replace(model.sites, embed=other)))


def test_a_model_that_changes_between_forwards_is_caught() -> None:
    model = opened()

    def drift(module: Any, args: Any) -> None:
        module.lm_head.weight.mul_(1.01)

    model.model.register_forward_pre_hook(drift)
    with pytest.raises(SelfTestError, match="does not restore"):
        check_hooks(model)


def test_an_adapter_without_effect_is_caught() -> None:
    model = opened(lora=True)
    for lora in model.sites.lora_modules().values():
        lora.lora_A.weight.zero_()
    with pytest.raises(SelfTestError, match="no effect"):
        check_hooks(model)


def test_an_adapter_whose_b_is_zero_is_a_warning() -> None:
    model = opened(lora=True)
    for lora in model.sites.lora_modules().values():
        lora.lora_B.weight.zero_()
    with pytest.warns(UserWarning, match="B of the adapter is zero"):
        notes = check_hooks(model)
    assert len(notes) == 1


def test_hooks_are_gone_after_a_failure() -> None:
    model = opened()
    with pytest.raises(SelfTestError):
        check_hooks(replace(model, sites=replace(model.sites, embed=nn.Embedding(64, 16))))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.model.modules())


def test_torch_random_state_is_left_alone() -> None:
    model = opened()
    before = torch.get_rng_state()
    check_hooks(model)
    tiny_organism("qwen2")
    assert torch.equal(before, torch.get_rng_state())
