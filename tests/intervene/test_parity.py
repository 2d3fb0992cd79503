"""Rows of many arms in one batch must equal each row run alone with the independent reference, on every family."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from axenic.intervene import (
    PLAIN,
    AdapterFactors,
    Arm,
    Intervention,
    InterventionHooks,
    Op,
    Positions,
    PromptScalars,
    patch_adapter,
    scale_adapter,
    swap_adapter,
)
from axenic.models import FAMILIES, Site, find_sites, tiny_model, tiny_organism
from axenic.models.tiny import D_MODEL, N_TOKENS

pytestmark = pytest.mark.unit

# pytest imports by path (importlib mode), so that a helper beside the test is loaded the same way.
_spec = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
assert _spec is not None
assert _spec.loader is not None
reference: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

T, N_PROMPT = 7, 4
POSITIONS: tuple[Positions, ...] = get_args(Positions)
OPS: tuple[Op, ...] = get_args(Op)
ANY_LENGTH = [op for op in OPS if op != "patch_adapter"]
"""The others fit prompts of one length only; `test_patch` has those."""


@cache
def model_of(model_type: str, lora: bool) -> nn.Module:
    model = tiny_organism(model_type) if lora else tiny_model(model_type)
    if model_type == "qwen3_moe":
        find_sites(model).model.set_experts_implementation("eager")  # the fast one has no float64
    return model.double()


def ids_of(rows: int, seed: int = 0) -> Tensor:
    return torch.randint(3, N_TOKENS, (rows, T), generator=torch.Generator().manual_seed(seed))


def vectors(layers: int, seed: int) -> Tensor:
    return torch.randn(layers, D_MODEL, generator=torch.Generator().manual_seed(seed))


def factors_like(model: nn.Module, seed: int) -> AdapterFactors:
    """Random factors of the shapes of the model's adapter."""
    generator = torch.Generator().manual_seed(seed)
    return AdapterFactors(
        {
            name[name.index("layers.") :]: (
                0.3 * torch.randn(lora.lora_A.weight.shape, generator=generator),
                0.3 * torch.randn(lora.lora_B.weight.shape, generator=generator),
            )
            for name, lora in find_sites(model).lora_modules().items()
        }
    )


def scalars_like(model: nn.Module, seed: int) -> PromptScalars:
    """Random scalars of a prompt for the modules of some layers."""
    generator = torch.Generator().manual_seed(seed)
    return PromptScalars(
        {
            name[name.index("layers.") :]: torch.randn(N_PROMPT, len(lora.lora_A.weight), generator=generator)
            for name, lora in find_sites(model).lora_modules().items()
            if lora.layer in ((0, 1, 2), (1,), (0, 2))[seed % 3]
        }
    )


def make(
    op: Op, seed: int, *, site: Site = "resid_post", positions: Positions = "all", model: str = "qwen2"
) -> Intervention:
    if op == "swap_adapter":
        other = factors_like(model_of(model, True), seed)
        return swap_adapter(other, (1.0, 3.0, -1.5)[seed % 3], positions=positions)
    if op == "patch_adapter":
        return patch_adapter(scalars_like(model_of(model, True), seed), (1.0, 0.5, -1.5)[seed % 3])
    if op == "scale_adapter":
        return scale_adapter((0.0, 3.0, -1.5)[seed % 3], (None, [1], [0, 2])[seed % 3], positions=positions)
    layers = (-1,) if site == "embed" else ((0, 1, 2), (1,), (2, 0))[seed % 3]
    strength = (1.0, 0.5, -2.0)[seed % 3]
    return Intervention(op, layers, site, vectors(len(layers), seed), strength, positions)


def answer_mask(rows: int) -> Tensor:
    return (torch.arange(T) >= N_PROMPT).expand(rows, T)


def check(model: nn.Module, arms: list[Arm], arm_of_row: list[int]) -> None:
    sites, ids_BT = find_sites(model), ids_of(len(arm_of_row))
    with torch.no_grad(), InterventionHooks(sites, arms) as hooks:
        hooks.assign(torch.tensor(arm_of_row), [N_PROMPT] * len(arm_of_row))
        hooks.phase = answer_mask(len(arm_of_row))
        logits_BTV = model(input_ids=ids_BT).logits
        pieces = []
        cache = DynamicCache()
        for t in [slice(0, N_PROMPT), *(slice(t, t + 1) for t in range(N_PROMPT, T))]:
            hooks.phase = "prompt" if t.start == 0 else "answer"
            output = model(input_ids=ids_BT[:, t], past_key_values=cache, use_cache=True)
            pieces.append(output.logits)
    decoded_BTV = torch.cat(pieces, dim=1)
    for row, arm in enumerate(arm_of_row):
        alone_TV = reference.run_alone(model, ids_BT[row].tolist(), arms[arm], N_PROMPT)
        torch.testing.assert_close(logits_BTV[row], alone_TV, atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(decoded_BTV[row], alone_TV, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_families_and_ops(model_type: str, lora: bool, op: Op) -> None:
    if op.endswith("_adapter") and not lora:
        pytest.skip("no adapter")
    one, two, three = (make(op, seed, model=model_type) for seed in range(3))
    arms = [PLAIN, Arm("one", (one,)), Arm("two", (two,)), Arm("three", (three,))]
    check(model_of(model_type, lora), arms, [1, 0, 2, 3, 1])


@pytest.mark.parametrize("op", ["add", "project_out", "clamp"])
@pytest.mark.parametrize("site", get_args(Site))
@pytest.mark.parametrize("model_type", ["qwen2", "gemma2", "gemma3"])
def test_sites(model_type: str, site: Site, op: Op) -> None:
    arms = [PLAIN, Arm("one", (make(op, 0, site=site),)), Arm("two", (make(op, 1, site=site),))]
    check(model_of(model_type, False), arms, [2, 1, 0])


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_positions(positions: Positions, op: Op) -> None:
    arms = [PLAIN, Arm("one", (make(op, 0, positions=positions),)), Arm("two", (make(op, 1),))]
    check(model_of("qwen2", True), arms, [1, 0, 2, 1])
    check(model_of("qwen2", True), arms[1:2], [0, 0])


def test_several_interventions_apply_in_the_order_given() -> None:
    one, other, scale = make("clamp", 0), make("add", 3), scale_adapter(0.5)
    arms = [Arm("a", (one, other)), Arm("b", (other, one, scale)), Arm("c", (scale, one, one, scale)), PLAIN]
    model = model_of("qwen2", True)
    check(model, arms, [0, 1, 2, 3, 0])
    ids = ids_of(1)[0].tolist()
    assert not torch.allclose(*(reference.run_alone(model, ids, arm) for arm in arms[:2]))


@pytest.mark.parametrize("arm_of_row", [[0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 2], [2, 1, 1]])
def test_shared_and_mixed_batches(arm_of_row: list[int]) -> None:
    arms = [PLAIN, Arm("one", (make("project_out", 0),)), Arm("two", (make("project_out", 3),))]
    check(model_of("llama", False), arms, arm_of_row)


@pytest.mark.parametrize("op", ANY_LENGTH)
def test_one_hooks_object_serves_many_batches(op: Op) -> None:
    model = model_of("qwen2", True)
    arms = [PLAIN, Arm("one", (make(op, 0),))]
    ids_BT = ids_of(1)
    alone = [reference.run_alone(model, ids_BT[0].tolist(), arm) for arm in arms]
    with torch.no_grad(), InterventionHooks(find_sites(model), arms) as hooks:
        for arm_of_row in ([0, 1], [1, 0, 0], [1], [0], [1, 1]):
            hooks.assign(arm_of_row)
            batch_BTV = model(input_ids=ids_BT.expand(len(arm_of_row), -1)).logits
            for row, arm in enumerate(arm_of_row):
                torch.testing.assert_close(batch_BTV[row], alone[arm], atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("op", ANY_LENGTH)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("model_type", ["qwen2", "gemma3", "phi3"])
def test_padding_changes_nothing(model_type: str, side: str, op: Op) -> None:
    model = model_of(model_type, True)
    lengths, ids_BT = [T, 3, 5], ids_of(3)
    arms = [Arm("one", (make(op, 0, model=model_type),)), Arm("two", (make(op, 1, model=model_type),))]
    arm_of_row = [0, 1, 0]
    mask_BT = torch.zeros_like(ids_BT)
    padded_BT = torch.zeros_like(ids_BT)
    spans = [slice(T - n, T) if side == "left" else slice(0, n) for n in lengths]
    for row, (span, n) in enumerate(zip(spans, lengths, strict=True)):
        mask_BT[row, span] = 1
        padded_BT[row, span] = ids_BT[row, :n]
    position_BT = (mask_BT.cumsum(1) - 1).clamp_min(0)
    with torch.no_grad(), InterventionHooks(find_sites(model), arms) as hooks:
        hooks.assign(arm_of_row)
        logits_BTV = model(input_ids=padded_BT, attention_mask=mask_BT, position_ids=position_BT).logits
    for row, (span, n) in enumerate(zip(spans, lengths, strict=True)):
        alone_TV = reference.run_alone(model, ids_BT[row, :n].tolist(), arms[arm_of_row[row]])
        torch.testing.assert_close(logits_BTV[row, span], alone_TV, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_an_adapter_scaled_to_zero_is_the_base_model(model_type: str) -> None:
    model = tiny_organism(model_type)
    ids_BT = ids_of(3)
    with torch.no_grad():
        with InterventionHooks(find_sites(model), [Arm("off", (scale_adapter(0.0),))]):
            off_BTV = model(input_ids=ids_BT).logits
        with model.disable_adapter():
            base_BTV = model(input_ids=ids_BT).logits
        on_BTV = model(input_ids=ids_BT).logits
    assert torch.equal(off_BTV, base_BTV)
    assert not torch.allclose(on_BTV, base_BTV)
