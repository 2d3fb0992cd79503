"""Patched scalars against one plain hook on one row alone; and what does not fit must be loud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from axenic.errors import DataError, ModelError, UsageError
from axenic.intervene import (
    PLAIN,
    AdapterFactors,
    Arm,
    Intervention,
    InterventionHooks,
    PromptScalars,
    patch_adapter,
    scale_adapter,
    swap_adapter,
)
from axenic.intervene.factors import short_name
from axenic.models import find_sites, tiny_model, tiny_organism

pytestmark = pytest.mark.unit

A_PROMPT, B_PROMPT, LONG = [5, 9, 11, 20, 31], [7, 8, 40, 41, 60], [3, 4, 50, 6, 17, 18, 19, 20]


@torch.no_grad()
def scalars_of(model: nn.Module, ids: Sequence[int]) -> PromptScalars:
    """By plain hooks, one prompt alone."""
    kept: dict[str, Tensor] = {}
    handles = [
        lora.lora_A.register_forward_hook(
            lambda m, args, out, name=short_name(lora): kept.update({name: out[0].detach().clone()})
        )
        for lora in find_sites(model).lora_modules().values()
        if lora.layer < 3
    ]
    model(input_ids=torch.tensor([list(ids)]))
    for handle in handles:
        handle.remove()
    return PromptScalars(kept)


@torch.no_grad()
def alone(model: nn.Module, ids: Sequence[int], patch: PromptScalars | None, strength: float = 1.0) -> Tensor:
    """Logits [T, V] of one row; the first tokens are the prompt, as many as the patch has."""
    handles = []
    for lora in find_sites(model).lora_modules().values() if patch is not None else ():
        new_TR = patch.modules.get(short_name(lora))
        if new_TR is not None:

            def hook(module: Any, args: Any, out: Tensor, new_TR: Tensor = new_TR) -> Tensor:
                own = out[0, : len(new_TR)]
                mixed = (1 - strength) * own + strength * new_TR.to(out.dtype)
                return torch.cat([mixed, out[0, len(new_TR) :]])[None]

            handles.append(lora.lora_A.register_forward_hook(hook))
    logits: Tensor = model(input_ids=torch.tensor([list(ids)])).logits[0]
    for handle in handles:
        handle.remove()
    return logits


def padded(prompts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """A left-padded batch, as the sampler makes it."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp_min(0),
    }


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("model_type", ["qwen2", "llama", "gemma3", "qwen3_moe", "phi3"])
def test_patched_rows_of_a_padded_batch_are_those_alone(model_type: str, rank: int) -> None:
    model = tiny_organism(model_type, rank=rank)
    a, b, long = (scalars_of(model, ids) for ids in (A_PROMPT, B_PROMPT, LONG))
    part = PromptScalars({name: s for name, s in b.modules.items() if name.startswith("layers.1.")})
    arms = [
        PLAIN,
        *(Arm(str(i), (patch_adapter(*p),)) for i, p in enumerate([(b,), (a,), (part,), (b, 0.5), (long,)])),
    ]
    rows = [(A_PROMPT, 1), (LONG, 0), (B_PROMPT, 2), (A_PROMPT, 3), (A_PROMPT, 4), (LONG, 5), (A_PROMPT, 0)]
    with torch.no_grad(), InterventionHooks(find_sites(model), arms) as hooks:
        hooks.assign([arm for _, arm in rows], [len(ids) for ids, _ in rows])
        hooks.phase = "prompt"
        found_BTV = model(**padded([ids for ids, _ in rows])).logits
    wanted = [(A_PROMPT, b, 1.0), (LONG, None, 1.0), (B_PROMPT, a, 1.0), (A_PROMPT, part, 1.0), (A_PROMPT, b, 0.5),
              (LONG, None, 1.0), (A_PROMPT, None, 1.0)]  # fmt: skip
    for row, (ids, patch, strength) in enumerate(wanted):
        reference_TV = alone(model, ids, patch, strength)
        torch.testing.assert_close(found_BTV[row, -len(ids) :], reference_TV, atol=2e-4, rtol=1e-4)
    plain_TV = alone(model, A_PROMPT, None)
    for row in (0, 3, 4):
        assert not torch.allclose(found_BTV[row, -5:], plain_TV, atol=1e-2)


def test_finished_conversations_are_patched_up_to_the_answer() -> None:
    model = tiny_organism("qwen2")
    b = scalars_of(model, B_PROMPT)
    rows = [[*A_PROMPT, 12, 13, 0], [*A_PROMPT, 14, 15, 16]]
    answer_BT = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1, 1, 1]]).bool()
    with torch.no_grad(), InterventionHooks(find_sites(model), [Arm("b", (patch_adapter(b),))]) as hooks:
        hooks.assign([0, 0])
        hooks.phase = answer_BT
        found_BTV = model(input_ids=torch.tensor(rows)).logits
    hooks.phase = torch.roll(answer_BT, 1, dims=1)
    with pytest.raises(UsageError, match="another length"), hooks:
        model(input_ids=torch.tensor(rows))
    torch.testing.assert_close(found_BTV[0, :7], alone(model, rows[0][:7], b), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found_BTV[1], alone(model, rows[1], b), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_answers_tokens_read_what_they_read() -> None:
    model = tiny_organism("qwen2")
    b = scalars_of(model, B_PROMPT)
    arms = [PLAIN, Arm("b", (patch_adapter(b),))]
    with InterventionHooks(find_sites(model), arms) as hooks:
        hooks.assign([1, 0], [5, 5])
        hooks.phase = "prompt"
        read = model(input_ids=torch.tensor([A_PROMPT] * 2), use_cache=True)
        hooks.assign([1, 0])
        hooks.phase = "answer"
        step = model(input_ids=torch.tensor([[33], [33]]), past_key_values=read.past_key_values)
    torch.testing.assert_close(step.logits[0, 0], alone(model, [*A_PROMPT, 33], b)[-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        step.logits[1, 0], alone(model, [*A_PROMPT, 33], None)[-1], atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_its_own_scalars_change_no_bit_and_other_operations_still_count() -> None:
    model = tiny_organism("qwen2")
    own, b = scalars_of(model, A_PROMPT), scalars_of(model, B_PROMPT)
    sites = find_sites(model)
    factors = AdapterFactors(
        {short_name(x): (x.lora_A.weight.roll(1), x.lora_B.weight) for x in sites.lora_modules().values()}
    )
    arms = [
        Arm("own", (patch_adapter(own),)),
        Arm("off", (patch_adapter(b), scale_adapter(0.0))),
        # The swap computes A x anew, and comes first whatever is written first.
        Arm("both", (patch_adapter(b), swap_adapter(factors))),
        Arm("b", (patch_adapter(b),)),
    ]
    with InterventionHooks(sites, arms) as hooks:
        hooks.assign([0, 1, 2, 3], [5] * 4)
        hooks.phase = "prompt"
        found_BTV = model(input_ids=torch.tensor([A_PROMPT] * 4)).logits
    plain_BTV = model(input_ids=torch.tensor([A_PROMPT] * 4)).logits
    torch.testing.assert_close(found_BTV[0], plain_BTV[0], atol=1e-6, rtol=1e-6)
    with model.disable_adapter():
        torch.testing.assert_close(found_BTV[1], alone(model, A_PROMPT, None), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found_BTV[2, :, :], found_BTV[3, :, :], atol=0, rtol=0)


def test_everything_counts_in_the_id() -> None:
    one = PromptScalars({"layers.0.x": torch.ones(4, 1)})
    others = [
        PromptScalars({"layers.0.x": torch.ones(5, 1)}),
        PromptScalars({"layers.0.x": torch.ones(4, 2)}),
        PromptScalars({"layers.1.x": torch.ones(4, 1)}),
        PromptScalars({"layers.0.x": torch.ones(4, 1) + 2e-7}),
    ]
    ids = {patch_adapter(s).id for s in (one, *others)} | {patch_adapter(one, 0.5).id}
    assert len(ids) == 6
    again = torch.ones(4, 1, dtype=torch.float64)
    same = PromptScalars({"layers.0.x": again})
    again.zero_()
    assert patch_adapter(same).id == patch_adapter(one).id


@pytest.mark.parametrize(
    "modules",
    [
        {},
        {"a": torch.ones(4)},
        {"a": torch.ones(0, 1)},
        {"a": torch.ones(4, 1), "b": torch.ones(5, 1)},
        {"a": torch.tensor([[float("inf")]])},
    ],
)
def test_scalars_that_cannot_be(modules: dict[str, Tensor]) -> None:
    with pytest.raises(DataError):
        PromptScalars(modules)


def test_what_a_patch_cannot_be() -> None:
    scalars = PromptScalars({"layers.0.x": torch.ones(4, 1)})
    with pytest.raises(UsageError, match="needs scalars"):
        Intervention("patch_adapter", None, positions="prompt")
    with pytest.raises(UsageError, match="takes no scalars"):
        Intervention("scale_adapter", None, scalars=scalars)
    with pytest.raises(UsageError, match="put into a prompt"):
        Intervention("patch_adapter", None, scalars=scalars)
    with pytest.raises(UsageError, match="say which modules"):
        Intervention("patch_adapter", (0,), positions="prompt", scalars=scalars)


def test_what_does_not_fit_is_refused() -> None:
    model = tiny_organism("qwen2", rank=2)
    sites, good = find_sites(model), scalars_of(model, A_PROMPT)
    arms = [Arm("a", (patch_adapter(good),))]
    name = next(iter(good.modules))
    for wrong, said in (
        ({"layers.9.x": good.modules[name]}, "layers.9.x"),
        ({name: good.modules[name][:, :1]}, "rank 1"),
    ):
        with pytest.raises(ModelError, match=said):
            InterventionHooks(sites, [Arm("a", (patch_adapter(PromptScalars(wrong)),))])
    with pytest.raises(ModelError, match="no adapter to patch"):
        InterventionHooks(find_sites(tiny_model("qwen2")), arms)
    ids, hooks = torch.tensor([A_PROMPT]), InterventionHooks(sites, arms)
    with pytest.raises(UsageError, match="every row has a prompt"):
        hooks.assign([0], [5, 5])
    for phase, lengths, said in (
        ("prompt", None, "nobody said where"),
        ("prompt", [4], "another length"),
        ("prompt", [6], "nobody said where"),
        (None, [5], "nobody said which"),
    ):
        hooks.assign([0], lengths)
        hooks.phase = phase
        with pytest.raises(UsageError, match=said), hooks:
            model(input_ids=ids)
    hooks.phase = "prompt"
    with hooks:
        model(input_ids=ids)
