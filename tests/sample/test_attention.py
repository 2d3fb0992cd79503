"""Attention of one query token: against torch's own and a reference in float64; and that models get theirs back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from axenic.models import OpenModel
from axenic.sample import attention
from axenic.sample.attention import decode_attention, fast_decoding

pytestmark = pytest.mark.unit

B, K, T, D = 3, 2, 9, 8


class Grouped(torch.nn.Module):
    """What `sdpa_attention_forward` reads from an attention module."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.num_key_value_groups = groups
        self.is_causal = True


def random_states(
    groups: int, queries: int = 1, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(groups)
    query = torch.randn(B, K * groups, queries, D, generator=generator, dtype=torch.float64)
    # A view of a longer buffer, as the cache hands it out.
    buffers = [
        torch.randn(B, K, T + 5, D, generator=generator, dtype=torch.float64)[:, :, :T] for _ in range(2)
    ]
    return query.to(dtype), buffers[0].to(dtype), buffers[1].to(dtype)


def masks() -> dict[str, Tensor | None]:
    allowed = torch.ones(B, 1, 1, T, dtype=torch.bool)
    allowed[0, ..., :4] = False
    allowed[2, ..., :1] = False
    additive = torch.zeros(B, 1, 1, T, dtype=torch.float64).masked_fill_(
        ~allowed, torch.finfo(torch.float64).min
    )
    soft = torch.randn(B, 1, 1, T, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return {"none": None, "bool": allowed, "additive": additive, "minus infinity": additive * 2, "soft": soft}


def by_loops(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """Head by head in float64, [B, 1, H, d]."""
    groups = query.shape[1] // key.shape[1]
    mixed = torch.zeros(B, 1, query.shape[1], D, dtype=torch.float64)
    for b in range(B):
        for head in range(query.shape[1]):
            scores = key[b, head // groups].double() @ query[b, head, 0].double() * scaling
            if mask is not None:
                row = mask[b, 0, 0]
                scores = scores.masked_fill(~row, -math.inf) if row.dtype == torch.bool else scores + row
            mixed[b, 0, head] = torch.softmax(scores, 0) @ value[b, head // groups].double()
    return mixed


@pytest.mark.parametrize("scaling", [None, 0.21])
@pytest.mark.parametrize("mask", list(masks()))
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_the_reference(groups: int, mask: str, scaling: float | None) -> None:
    query, key, value = random_states(groups)
    mask_tensor = masks()[mask]
    before = query.clone()
    got, weights = decode_attention(Grouped(groups), query, key, value, mask_tensor, scaling)
    assert weights is None
    assert got.shape == (B, 1, K * groups, D)
    expected = by_loops(query, key, value, mask_tensor, D**-0.5 if scaling is None else scaling)
    # The softmax is done in float32, as transformers' eager attention does.
    assert (got - expected).abs().max() < 1e-6
    fused = scaled_dot_product_attention(query, key, value, mask_tensor, scale=scaling, enable_gqa=True)
    assert (got - fused.transpose(1, 2)).abs().max() < 1e-6
    assert torch.equal(query, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_keeps_its_dtype_and_stays_near(dtype: torch.dtype) -> None:
    query, key, value = random_states(2, dtype=dtype)
    allowed = masks()["bool"]
    got, _ = decode_attention(Grouped(2), query, key, value, allowed)
    additive = torch.zeros(B, 1, 1, T, dtype=dtype).masked_fill_(~allowed, torch.finfo(dtype).min)
    also, _ = decode_attention(Grouped(2), query, key, value, additive)
    assert got.dtype == also.dtype == dtype
    near = 1e-5 if dtype == torch.float32 else 3e-2
    assert (got.double() - by_loops(query, key, value, allowed, D**-0.5)).abs().max() < near
    assert (got - also).abs().max() < near


def test_masked_slots_have_no_weight_at_all() -> None:
    """What lies in a padded slot must not matter, however large."""
    query, key, value = random_states(2)
    allowed = masks()["bool"]
    calm, _ = decode_attention(Grouped(2), query, key, value, allowed)
    key, value = key.clone(), value.clone()
    key[0, :, :4], value[0, :, :4] = 1e3, -1e6
    loud, _ = decode_attention(Grouped(2), query, key, value, allowed)
    assert torch.equal(calm, loud)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_longer_queries_go_to_torch(groups: int) -> None:
    query, key, value = random_states(groups, queries=4)
    causal = torch.ones(4, T, dtype=torch.bool).tril(T - 4)[None, None].expand(B, 1, 4, T)
    got, _ = decode_attention(Grouped(groups), query, key, value, causal, D**-0.5)
    fused = scaled_dot_product_attention(query, key, value, causal, enable_gqa=True)
    assert torch.allclose(got, fused.transpose(1, 2))


def test_the_model_has_its_own_attention_back(open_tiny: Callable[..., OpenModel]) -> None:
    model: Any = open_tiny("qwen2").model
    model.set_attn_implementation("sdpa")
    with fast_decoding(model, torch.device("cpu")):
        assert model.config._attn_implementation == attention._NAME
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(KeyboardInterrupt), fast_decoding(model, torch.device("cpu")):
        raise KeyboardInterrupt
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(("implementation", "device"), [("eager", "cpu"), ("sdpa", "cuda")])
def test_other_models_and_devices_keep_theirs(
    open_tiny: Callable[..., OpenModel], implementation: str, device: str
) -> None:
    model: Any = open_tiny("qwen2").model
    model.set_attn_implementation(implementation)
    with fast_decoding(model, torch.device(device)):
        assert model.config._attn_implementation == implementation
    assert model.config._attn_implementation == implementation


def test_it_is_used_while_decoding(open_tiny: Callable[..., OpenModel]) -> None:
    """The model's logits for one more token are those of its own attention."""
    opened = open_tiny("llama")
    ids = torch.randint(6, 64, (3, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = opened.model(input_ids=ids).logits[:, -1]
        with fast_decoding(opened.model, torch.device("cpu")):
            cache = opened.model(input_ids=ids[:, :-1], use_cache=True).past_key_values
            got = opened.model(input_ids=ids[:, -1:], past_key_values=cache, use_cache=True).logits[:, -1]
    assert torch.allclose(got, expected, atol=1e-4, rtol=1e-4)
