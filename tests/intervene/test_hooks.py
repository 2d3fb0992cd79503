"""The context manager: what it hooks, what it checks, and that it leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from axenic.errors import DirectionError, ModelError, SelfTestError, UsageError
from axenic.intervene import PLAIN, Arm, Intervention, InterventionHooks, scale_adapter
from axenic.models import FAMILIES, find_sites, tiny_model, tiny_organism
from axenic.models.tiny import D_MODEL, N_TOKENS

pytestmark = pytest.mark.unit

IDS_BT = torch.randint(3, N_TOKENS, (4, 5), generator=torch.Generator().manual_seed(1))


def one(
    op: Any = "project_out", layers: tuple[int, ...] = (1,), width: int = D_MODEL, **rest: Any
) -> Intervention:
    generator = torch.Generator().manual_seed(3)
    return Intervention(op, layers, vectors_LD=torch.randn(len(layers), width, generator=generator), **rest)


@torch.no_grad()
def logits(model: nn.Module) -> Tensor:
    result: Tensor = model(input_ids=IDS_BT).logits
    return result


def n_hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("model_type", [name for name in FAMILIES if name != "qwen3_moe"])
@pytest.mark.parametrize("op", ["add", "project_out", "clamp", "scale_adapter"])
def test_rows_of_a_plain_arm_are_bitwise_untouched(model_type: str, op: Any) -> None:
    # A mixture groups the tokens of all rows by expert, so that one row's numbers round with the others'.
    model = tiny_organism(model_type)
    before_BTV = logits(model)
    treat = scale_adapter(3.0) if op == "scale_adapter" else one(op, (0, 2), strength=2.0)
    with InterventionHooks(find_sites(model), [PLAIN, Arm("treated", (treat,))]) as hooks:
        hooks.assign(torch.tensor([0, 1, 0, 1]))
        mixed_BTV = logits(model)
        hooks.assign(torch.tensor([0, 0, 0, 0]))
        assert torch.equal(logits(model), before_BTV)
    assert torch.equal(mixed_BTV[[0, 2]], before_BTV[[0, 2]])
    assert not torch.allclose(mixed_BTV[[1, 3]], before_BTV[[1, 3]])
    assert torch.equal(logits(model), before_BTV)


def test_negative_zeros_and_infinities_of_other_rows_survive() -> None:
    sites = find_sites(tiny_model("qwen2"))
    h_BTD = torch.full((2, 3, D_MODEL), -0.0)
    h_BTD[0, 0, 0] = float("inf")
    with InterventionHooks(sites, [PLAIN, Arm("a", (one("add"),))]) as hooks:
        hooks.assign([0, 1])
        place = hooks._places[0]
        new_BTD = hooks._hook(place, place.module, (), h_BTD)
        hooks.fired.clear()
    assert torch.equal(new_BTD[0], h_BTD[0])
    assert bool(torch.signbit(new_BTD[0, 1:]).all())


def test_only_touched_places_are_hooked() -> None:
    model = tiny_organism("qwen2")
    sites = find_sites(model)
    arms = [PLAIN, Arm("a", (one(layers=(1,)), one(layers=(1,)))), Arm("b", (one("add", site="mlp_out"),))]
    with InterventionHooks(sites, arms) as hooks:
        assert n_hooks(model) == 3  # two places, and the count of forwards
        assert len(sites.blocks[1]._forward_hooks) == 1
        hooks.assign([0, 1, 2, 0])
        logits(model)
        logits(model)
        assert hooks.fired == {("resid_post", 1): 2, ("mlp_out", 1): 2}
        assert hooks.forwards == 2
    assert n_hooks(model) == 0


def test_an_adapter_is_hooked_at_its_modules() -> None:
    model = tiny_organism("qwen2")
    with InterventionHooks(find_sites(model), [Arm("a", (scale_adapter(0.0, [2]),))]) as hooks:
        logits(model)
    assert len(hooks.fired) == 7
    assert all(
        layer == 2 and "layers.2." in name and count == 1 for (name, layer), count in hooks.fired.items()
    )


def test_the_model_is_restored_after_an_exception() -> None:
    model = tiny_model("qwen2")
    before_BTV = logits(model)

    def run() -> None:
        with InterventionHooks(find_sites(model), [Arm("a", (one(),))]):
            logits(model)
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        run()
    assert n_hooks(model) == 0
    assert torch.equal(logits(model), before_BTV)


def test_nested_contexts_both_apply() -> None:
    model = tiny_model("qwen2")
    sites, first, second = find_sites(model), one("add"), one("clamp")
    with InterventionHooks(sites, [Arm("both", (first, second))]):
        both_BTV = logits(model)
    with InterventionHooks(sites, [Arm("a", (first,))]), InterventionHooks(sites, [Arm("b", (second,))]):
        assert torch.equal(logits(model), both_BTV)


def test_the_same_hooks_can_be_entered_again_but_not_twice_at_once() -> None:
    model = tiny_model("qwen2")
    hooks = InterventionHooks(find_sites(model), [Arm("a", (one(),))])
    for _ in range(2):
        with hooks:
            logits(model)
        assert hooks.fired == {("resid_post", 1): 1}
    with hooks, pytest.raises(UsageError, match="already"):
        hooks.__enter__()
    assert n_hooks(model) == 0


@contextmanager
def bypassed(block: nn.Module) -> Iterator[None]:
    """Call the block by its `forward`, which skips hooks, as a fused or compiled model would."""
    original = type(block).__call__
    kind = type(
        "Bypassed", (type(block),), {"__call__": lambda self, *args, **kwargs: self.forward(*args, **kwargs)}
    )
    plain = type(block)
    block.__class__ = kind
    try:
        yield
    finally:
        block.__class__ = plain
        assert type(block).__call__ is original


def test_a_hook_that_never_fired_is_an_error() -> None:
    model = tiny_model("qwen2")
    sites = find_sites(model)
    with (
        bypassed(sites.blocks[1]),
        pytest.raises(SelfTestError, match="never fired") as caught,
        InterventionHooks(sites, [Arm("a", (one(layers=(0, 1)),))]),
    ):
        logits(model)
    assert caught.value.where == "resid_post, layer 1"
    assert (caught.value.expected, caught.value.found) == ("1 times", "0 times")
    assert n_hooks(model) == 0


def test_a_hook_that_fired_too_often_is_an_error() -> None:
    model = tiny_model("qwen2")
    sites = find_sites(model)
    rotation = (torch.ones(1, 1, 4), torch.zeros(1, 1, 4))

    def run() -> None:
        with InterventionHooks(sites, [Arm("a", (one(),))]):
            logits(model)
            sites.blocks[1](torch.zeros(4, 1, D_MODEL), position_embeddings=rotation)

    with pytest.raises(SelfTestError, match="once per forward"):
        run()


def test_no_forward_is_no_error() -> None:
    with InterventionHooks(find_sites(tiny_model("qwen2")), [Arm("a", (one(),))]):
        pass


def test_the_blocks_may_run_without_the_head() -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny_model("llama"), LoraConfig(r=1, target_modules=["down_proj", "lm_head"]))
    sites = find_sites(model)
    with InterventionHooks(sites, [Arm("off", (scale_adapter(0.0),))]) as hooks, torch.no_grad():
        sites.decoder(input_ids=IDS_BT)
    assert hooks.fired["lm_head", 3] == 0


@pytest.mark.parametrize(
    ("intervention", "error", "expected"),
    [
        (one(layers=(3,)), UsageError, "0 to 2"),
        (one(width=8), DirectionError, "16"),
        (scale_adapter(0.0), ModelError, "LoRA"),
    ],
)
def test_arms_that_do_not_fit_the_model(intervention: Intervention, error: type, expected: str) -> None:
    with pytest.raises(error) as caught:
        InterventionHooks(find_sites(tiny_model("qwen2")), [PLAIN, Arm("a", (intervention,))])
    assert expected in str(caught.value.expected)


def test_layers_of_the_adapter() -> None:
    sites = find_sites(tiny_organism("qwen2"))
    with pytest.raises(UsageError, match="no layer 3"):
        InterventionHooks(sites, [Arm("a", (scale_adapter(1.0, [3]),))])
    with pytest.raises(UsageError, match="no arm"):
        InterventionHooks(sites, [])


@pytest.mark.parametrize(
    "rows", [torch.tensor([0, 2]), torch.tensor([-1, 0]), torch.tensor([]), torch.zeros(1, 2)]
)
def test_rows_that_cannot_be_assigned(rows: Tensor) -> None:
    hooks = InterventionHooks(find_sites(tiny_model("qwen2")), [PLAIN, Arm("a", (one(),))])
    with pytest.raises(UsageError, match="cannot be assigned"):
        hooks.assign(rows)


def test_rows_must_be_assigned_where_there_is_a_choice() -> None:
    model = tiny_model("qwen2")
    arms = [PLAIN, Arm("a", (one(),))]
    with pytest.raises(UsageError, match="no row has an arm"), InterventionHooks(find_sites(model), arms):
        logits(model)


@pytest.mark.parametrize("after_one", [False, True])
def test_a_batch_of_another_size(after_one: bool) -> None:
    model = tiny_model("qwen2")
    with InterventionHooks(find_sites(model), [PLAIN, Arm("a", (one(),))]) as hooks:
        hooks.assign([0, 1, 1, 0] if after_one else [0, 1])
        if after_one:
            logits(model)
        with pytest.raises(UsageError, match="another number of rows"):
            model(input_ids=IDS_BT[:3])


@pytest.mark.parametrize("phase", [None, "both", torch.ones(4, 4, dtype=torch.bool), torch.ones(4, 5)])
def test_phases_that_say_nothing(phase: Any) -> None:
    hooks = InterventionHooks(find_sites(tiny_model("qwen2")), [Arm("a", (one(positions="answer"),))])
    hooks.phase = phase
    with pytest.raises(UsageError), hooks:
        logits(hooks.sites.model)


def test_gradients_flow_through_the_hooks() -> None:
    model = tiny_model("qwen2")
    with InterventionHooks(find_sites(model), [PLAIN, Arm("a", (one(layers=(0, 1, 2)),))]) as hooks:
        hooks.assign([0, 1, 1, 0])
        model(input_ids=IDS_BT).logits.sum().backward()
    assert bool(model.model.embed_tokens.weight.grad.abs().sum() > 0)
