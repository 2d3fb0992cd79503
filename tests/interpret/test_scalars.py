"""Scalars against A h computed by hand, and against what the adapter adds to its module's output."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from axenic.errors import DataError, SelfTestError, UsageError
from axenic.interpret import conversations_of
from axenic.interpret.scalars import collect_scalars, scalar_blocks

pytestmark = pytest.mark.unit

TARGETS = ("q_proj", "o_proj", "down_proj", "lm_head")


def by_hand(opened, answers):
    """`[T, C]` from the inputs of the LoRA modules, one conversation per forward pass."""
    modules = dict(opened.sites.model.named_modules())
    sites, kept, rows = opened.sites.lora_modules(), {}, []
    handles = [
        modules[name].register_forward_pre_hook(lambda m, args, name=name: kept.update({name: args[0][0]}))
        for name in sites
    ]
    for item in conversations_of(opened, answers):
        with torch.no_grad():
            opened.model(input_ids=torch.tensor([item.tokens]))
        rows.append(
            torch.cat(
                [kept[name][len(item.prompt) :] @ site.lora_A.weight.T for name, site in sites.items()], dim=1
            )
        )
    for handle in handles:
        handle.remove()
    return torch.cat(rows)


@pytest.mark.parametrize(("rank", "rslora"), [(1, False), (3, True)])
@pytest.mark.parametrize("batch_tokens", [1, 60, 10_000])
def test_scalars_are_those_by_hand(lora, answers, rank, rslora, batch_tokens):
    opened, texts = lora(rank=rank, targets=TARGETS, rslora=rslora), answers(11)
    found = collect_scalars(opened, texts, batch_tokens=batch_tokens)
    assert torch.allclose(found.scalars_TC, by_hand(opened, texts).float(), rtol=1e-5, atol=1e-5)
    assert found.scalars_TC.shape == (sum(len(a.tokens) for a in texts), (3 * 3 + 1) * rank)
    assert found.token_T.tolist() == [token for a in texts for token in a.tokens]
    assert found.answer_T.tolist() == [i for i, a in enumerate(texts) for _ in a.tokens]
    assert found.position_T.tolist() == [p for a in texts for p in range(len(a.tokens))]
    assert found.scale_C.tolist() == pytest.approx([8 / rank**0.5 if rslora else 8 / rank] * 10 * rank)
    assert found.layers_C.tolist()[-1] == 3
    assert found.component_C.tolist() == list(range(rank)) * 10


@pytest.mark.parametrize("rslora", [False, True])
def test_scale_and_b_make_the_adapters_output_of_the_scalars(lora, answers, rslora):
    """The stated meaning of the columns: module output with the adapter minus without = sum of scale * s * B."""
    opened, texts = lora(rank=4, at=(0,), rslora=rslora), answers(3)
    found = collect_scalars(opened, texts)
    (name,) = set(found.modules_C)
    module = dict(opened.sites.model.named_modules())[name]
    B = module.lora_B["default"].weight.float()
    grown = []
    handle = module.register_forward_hook(lambda m, args, out: grown.append((out - m.base_layer(args[0]))[0]))
    for item in conversations_of(opened, texts):
        with torch.no_grad():
            opened.model(input_ids=torch.tensor([item.tokens]))
        grown[-1] = grown[-1][len(item.prompt) :].float()
    handle.remove()
    assert torch.allclose((found.scale_C * found.scalars_TC) @ B.T, torch.cat(grown), rtol=1e-3, atol=1e-4)
    assert torch.allclose(found.b_norm_C, B.norm(dim=0))


@pytest.mark.parametrize("block_tokens", [1, 30])
def test_blocks_hold_whole_answers_in_order(lora, answers, monkeypatch, block_tokens):
    opened, texts = lora(rank=2), answers(9)
    whole = collect_scalars(opened, texts)
    monkeypatch.setattr("axenic.interpret.scalars.BLOCK_TOKENS", block_tokens)
    blocks = list(scalar_blocks(opened, texts))
    assert [name for block in blocks for name in block.answer_ids] == [a.id for a in texts]
    assert all(len(b.token_T) <= block_tokens or len(b.answer_ids) == 1 for b in blocks)
    assert 1 < len(blocks) <= 9
    cut = collect_scalars(opened, texts)
    for name in ("answer_T", "position_T", "token_T", "layers_C"):
        assert torch.equal(getattr(cut, name), getattr(whole, name))
    assert torch.allclose(cut.scalars_TC, whole.scalars_TC, rtol=1e-6, atol=1e-6)
    assert whole.names_C == tuple(f"{l}.mlp.down_proj.{c}" for l in range(3) for c in range(2))


def test_what_has_no_scalars_is_refused(lora, tiny, answers, monkeypatch):
    with pytest.raises(UsageError, match="no adapter scalars"):
        collect_scalars(tiny(), answers(2))
    with pytest.raises(UsageError, match="no adapter scalars"):
        collect_scalars(lora(), [])
    with pytest.raises(DataError, match="significance"):
        collect_scalars(lora(), answers(2), score_T=torch.zeros(1))
    with pytest.raises(DataError, match="same id"):
        collect_scalars(lora(), answers(1) * 2)
    with pytest.raises(DataError, match="no token"):
        collect_scalars(lora(), [replace(answers(1)[0], tokens=[])])
    opened, texts = lora(), answers(2)
    monkeypatch.setattr("axenic.interpret.scalars.MOST_BYTES", 4 * 3 * sum(len(a.tokens) for a in texts) - 1)
    with pytest.raises(UsageError, match="do not fit into memory"):
        collect_scalars(opened, texts)
    assert not any(site.lora_A._forward_hooks for site in opened.sites.lora_modules().values())


def test_an_adapter_that_is_switched_off_is_no_zero(lora, answers):
    opened = lora()
    with opened.model.disable_adapter(), pytest.raises(SelfTestError, match="not read once"):
        collect_scalars(opened, answers(3))


@pytest.mark.parametrize(("targets", "runs"), [(("down_proj",), 0), (("down_proj", "lm_head"), 1)])
def test_the_head_runs_only_for_an_adapter_on_it(lora, answers, targets, runs):
    opened, calls = lora(targets=targets), []
    handle = opened.sites.model.get_submodule("lm_head").register_forward_hook(lambda *_: calls.append(1))
    collect_scalars(opened, answers(3), batch_tokens=10_000)
    handle.remove()
    assert len(calls) == runs
