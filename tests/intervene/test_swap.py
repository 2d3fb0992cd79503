"""Swapping an adapter's factors must be what putting them into the weights is, row by row."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from axenic.errors import ModelError, UsageError
from axenic.intervene import (
    PLAIN,
    AdapterFactors,
    Arm,
    Intervention,
    InterventionHooks,
    scale_adapter,
    swap_adapter,
)
from axenic.intervene.factors import short_name
from axenic.models import find_sites, tiny_model, tiny_organism

pytestmark = pytest.mark.unit

IDS_BT = torch.randint(3, 64, (6, 7), generator=torch.Generator().manual_seed(0))


def factors_of(model: nn.Module, seed: int) -> AdapterFactors:
    generator = torch.Generator().manual_seed(seed)
    return AdapterFactors(
        {
            short_name(lora): (
                0.2 * torch.randn(lora.lora_A.weight.shape, generator=generator),
                0.2 * torch.randn(lora.lora_B.weight.shape, generator=generator),
            )
            for lora in find_sites(model).lora_modules().values()
        }
    )


@torch.no_grad()
def replaced(model: nn.Module, factors: AdapterFactors, scale: float) -> nn.Module:
    """A copy whose adapter weights are A and scale times B."""
    other = copy.deepcopy(model)
    for lora in find_sites(other).lora_modules().values():
        A, B = factors.modules[short_name(lora)]
        lora.lora_A.weight.copy_(A)
        lora.lora_B.weight.copy_(scale * B)
    return other


@torch.no_grad()
def logits(model: nn.Module) -> Tensor:
    found: Tensor = model(input_ids=IDS_BT).logits
    return found


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("model_type", ["qwen2", "llama", "gemma3", "qwen3_moe", "phi3"])
def test_swapped_is_replaced(model_type: str, rank: int) -> None:
    model = tiny_organism(model_type, rank=rank)
    early, late = factors_of(model, 1), factors_of(model, 2)
    before_BTV = logits(model)
    arms = [PLAIN, *(Arm(f"{f.sha256} {s}", (swap_adapter(f, s),)) for f in (early, late) for s in (1, 8))]
    with InterventionHooks(find_sites(model), arms) as hooks:
        hooks.assign([4, 0, 1, 2, 0, 1])
        mixed_BTV = logits(model)
    assert torch.equal(logits(model), before_BTV)
    if model_type != "qwen3_moe":  # A mixture's rows round with each other's.
        assert torch.equal(mixed_BTV[[1, 4]], before_BTV[[1, 4]])
    for rows, factors, scale in (([2, 5], early, 1.0), ([3], early, 8.0), ([0], late, 8.0)):
        really_BTV = logits(replaced(model, factors, scale))
        torch.testing.assert_close(mixed_BTV[rows], really_BTV[rows], atol=2e-4, rtol=1e-4)
        assert not torch.allclose(really_BTV[rows], before_BTV[rows], atol=1e-2)


def test_the_loaded_factors_change_nothing_to_rounding() -> None:
    model = tiny_organism("qwen2")
    same = AdapterFactors(
        {
            short_name(lora): (lora.lora_A.weight, lora.lora_B.weight)
            for lora in find_sites(model).lora_modules().values()
        }
    )
    with InterventionHooks(find_sites(model), [Arm("same", (swap_adapter(same),))]):
        torch.testing.assert_close(logits(model), logits(tiny_organism("qwen2")), atol=1e-5, rtol=1e-5)


def test_factors_are_multiplied_in_float32_beside_a_bfloat16_base() -> None:
    model = tiny_organism("qwen2")
    find_sites(model).model.to(torch.bfloat16)
    for lora in find_sites(model).lora_modules().values():
        lora.lora_A.float()
        lora.lora_B.float()
    factors = factors_of(model, 3)
    with InterventionHooks(find_sites(model), [PLAIN, Arm("s", (swap_adapter(factors, 4.0),))]) as hooks:
        hooks.assign([1] * 6)
        swapped_BTV = logits(model)
    torch.testing.assert_close(swapped_BTV, logits(replaced(model, factors, 4.0)), atol=0, rtol=0)


def test_scaling_beside_swapping_counts_in_any_order() -> None:
    model = tiny_organism("qwen2")
    factors = factors_of(model, 1)
    arms = [
        Arm("before", (scale_adapter(2.0), swap_adapter(factors, 3.0))),
        Arm("after", (swap_adapter(factors, 3.0), scale_adapter(2.0))),
    ]
    with InterventionHooks(find_sites(model), arms) as hooks:
        hooks.assign([0, 1, 0, 1, 0, 1])
        both_BTV = logits(model)
    torch.testing.assert_close(both_BTV, logits(replaced(model, factors, 6.0)), atol=2e-4, rtol=1e-4)


def test_every_factor_and_the_scale_count_in_the_id() -> None:
    A, B = torch.ones(1, 4), torch.ones(3, 1)
    one = AdapterFactors({"layers.1.mlp.down_proj": (A, B)})
    ids = {
        swap_adapter(f, s).id
        for f, s in [
            (one, 1.0),
            (one, 5.0),
            (AdapterFactors({"layers.1.mlp.down_proj": (A, 2 * B)}), 1.0),
            (AdapterFactors({"layers.1.mlp.down_proj": (2 * A, B)}), 1.0),
            (AdapterFactors({"layers.2.mlp.down_proj": (A, B)}), 1.0),
        ]
    }
    assert len(ids) == 5
    again = AdapterFactors({"layers.1.mlp.down_proj": (A.double(), B)})
    assert swap_adapter(again).id == swap_adapter(one).id
    sha256 = one.sha256
    A.zero_()
    assert AdapterFactors(one.modules).sha256 == sha256


@pytest.mark.parametrize(
    "modules",
    [
        {},
        {"layers.0.x": (torch.ones(2, 4), torch.ones(3, 1))},
        {"layers.0.x": (torch.ones(4), torch.ones(3, 1))},
        {"layers.0.x": (torch.ones(1, 4), torch.full((3, 1), float("nan")))},
    ],
)
def test_factors_that_cannot_be(modules: dict[str, tuple[Tensor, Tensor]]) -> None:
    with pytest.raises(ModelError):
        AdapterFactors(modules)


def test_other_modules_ranks_and_models_are_refused() -> None:
    model = tiny_organism("qwen2", rank=2)
    good = factors_of(model, 1)
    first = next(iter(good.modules))
    cases: list[tuple[nn.Module, AdapterFactors, str]] = [
        (model, AdapterFactors({k: v for k, v in good.modules.items() if k != first}), first),
        (model, AdapterFactors({**good.modules, "layers.9.x": good.modules[first]}), "layers.9.x"),
        (model, factors_of(tiny_organism("qwen2", rank=3), 1), "do not fit the loaded adapter"),
        (tiny_model("qwen2"), good, "no adapter to swap"),
    ]
    for on, factors, said in cases:
        with pytest.raises(ModelError, match=said):
            InterventionHooks(find_sites(on), [Arm("a", (swap_adapter(factors),))])
    with pytest.raises(UsageError, match="twice"):
        InterventionHooks(find_sites(model), [Arm("a", (swap_adapter(good), swap_adapter(good, 2.0)))])


def test_what_a_swap_cannot_be() -> None:
    factors = AdapterFactors({"layers.0.x": (torch.ones(1, 4), torch.ones(3, 1))})
    with pytest.raises(UsageError, match="needs an adapter's factors"):
        Intervention("swap_adapter", None)
    with pytest.raises(UsageError, match="takes no adapter"):
        Intervention("scale_adapter", None, adapter=factors)
    with pytest.raises(UsageError, match="swapped whole"):
        Intervention("swap_adapter", (0,), adapter=factors)
