"""A direction out of an adapter's B: against the weights written by hand, row by row, in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from axenic.errors import DirectionError, ModelError
from axenic.intervene import PLAIN, Arm, InterventionHooks, ablate_adapter
from axenic.models import find_sites, tiny_model, tiny_organism
from axenic.models.tiny import D_MODEL, N_TOKENS

pytestmark = pytest.mark.unit

IDS_BT = torch.randint(3, N_TOKENS, (4, 7), generator=torch.Generator().manual_seed(1))
VECTOR_D = 3 * torch.randn(D_MODEL, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def logits(model: nn.Module) -> Tensor:
    result: Tensor = model(input_ids=IDS_BT).logits
    return result


@torch.no_grad()
def by_hand(model: nn.Module, layers: tuple[int, ...]) -> nn.Module:
    """The published formula, column by column of the weights' sum for rank 1: B - r(r.B), then its old length."""
    changed = copy.deepcopy(model)
    r_D = VECTOR_D.double() / VECTOR_D.double().norm()
    for layer in layers:
        block = find_sites(changed).blocks[layer]
        for linear in (block.self_attn.o_proj, block.mlp.down_proj):
            weight = linear.lora_B["default"].weight
            columns = [weight[:, k] - (r_D @ weight[:, k]) * r_D for k in range(weight.shape[1])]
            before = sum(float(weight[:, k] @ weight[:, k]) for k in range(weight.shape[1]))
            after = sum(float(column @ column) for column in columns)
            # The factors of an arm are kept as float32.
            weight.copy_((torch.stack(columns, 1) * (before / after) ** 0.5).float())
    return changed


@pytest.mark.parametrize("family", ["qwen2", "llama", "phi3"])
@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("layers", [None, (1,), (0, 2)])
def test_rows_have_the_changed_weights(family: str, rank: int, layers: tuple[int, ...] | None) -> None:
    model = tiny_organism(family, rank=rank).double()
    sites = find_sites(model)
    before = logits(model)
    arms = [PLAIN, Arm("B", (ablate_adapter(sites, VECTOR_D, layers),))]
    with InterventionHooks(sites, arms) as hooks:
        hooks.assign([0, 1, 1, 0])
        mixed = logits(model)
    expected = logits(by_hand(model, (0, 1, 2) if layers is None else layers))
    assert torch.equal(logits(model), before), "the weights are as they were"
    assert torch.equal(mixed[[0, 3]], before[[0, 3]])
    torch.testing.assert_close(mixed[1:3], expected[1:3], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(expected, before, atol=1e-3)


def test_factors_are_orthogonal_and_as_long_as_before() -> None:
    model = tiny_organism("qwen2", rank=2)
    sites = find_sites(model)
    one = ablate_adapter(sites, VECTOR_D, (1,))
    assert one.adapter is not None
    loras = sites.lora_modules().values()
    changed = []
    for lora in loras:
        name = lora.module_name.removeprefix("model.")
        A, B = one.adapter.modules[name]
        assert torch.equal(A, lora.lora_A.weight)
        if torch.equal(B, lora.lora_B.weight):
            continue
        changed.append(name)
        assert float((VECTOR_D @ B).abs().max()) < 1e-5
        torch.testing.assert_close(B.norm(), lora.lora_B.weight.norm())
    assert sorted(changed) == ["layers.1.mlp.down_proj", "layers.1.self_attn.o_proj"]


def test_an_adapter_that_is_still_zero_stays_zero() -> None:
    model = tiny_organism("qwen2")
    sites = find_sites(model)
    with torch.no_grad():
        for lora in sites.lora_modules().values():
            lora.lora_B.weight.zero_()
    one = ablate_adapter(sites, VECTOR_D)
    assert one.adapter is not None
    assert not any(B.any() for _, B in one.adapter.modules.values())


def test_an_adapter_along_the_direction_is_refused() -> None:
    model = tiny_organism("qwen2", rank=1)
    sites = find_sites(model)
    with torch.no_grad():
        sites.lora_modules()["model.layers.2.mlp.down_proj"].lora_B.weight.copy_(2 * VECTOR_D[:, None])
    with pytest.raises(DirectionError, match="lies along the direction") as caught:
        ablate_adapter(sites, VECTOR_D)
    assert caught.value.where == "model.layers.2.mlp.down_proj"


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (tiny_model("qwen2"), None, "no adapter to take"),
        (tiny_organism("gemma2"), None, "adapter's B of this architecture"),
        (tiny_organism("qwen2"), (7,), "at layer 7"),
        (tiny_organism("qwen2"), (), "does not write"),
    ],
)
def test_where_it_cannot_be_done(model: nn.Module, layers: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ablate_adapter(find_sites(model), VECTOR_D, layers)


def test_no_direction() -> None:
    with pytest.raises(DirectionError, match="no direction"):
        ablate_adapter(find_sites(tiny_organism("qwen2")), torch.zeros(D_MODEL))
