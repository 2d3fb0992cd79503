"""The fan-out against one merged model after the other, on every architecture."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from solutions import lora_of, merged, tiny_base, vector_of

from axenic.errors import ModelError, SelfTestError
from axenic.interpret.fanout import FanOut
from axenic.interpret.parts import LowRank
from axenic.models import FAMILIES

pytestmark = pytest.mark.unit


def modules_of(base, kind: str) -> list[str]:
    """Modules in the second block that every architecture has: the MLP's last, the attention's last."""
    names = {module: name for name, module in base.sites.model.named_modules()}
    block = names[base.sites.blocks[1]]
    if kind == "vector":
        return [f"{block}.{base.sites.family.mlp_out}", block]
    return [f"{block}.self_attn.o_proj"]


def settings_of(solution):
    return [
        solution.scaled(0.7),
        solution.noisy(0.5, 42),
        solution.random(1, 2.0),
        solution.at_norm(3.0),
        solution.scaled(-1.0),
    ]


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("kind", ["lora", "vector"])
def test_fan_out_is_one_merged_model_after_the_other(family, kind):
    # torch multiplies the experts of a mixture in float32 at most.
    base, close = (
        (tiny_base(family, torch.float32), 1e-4) if family == "qwen3_moe" else (tiny_base(family), 1e-9)
    )
    make = lora_of if kind == "lora" else vector_of
    settings = settings_of(make(base, modules_of(base, kind)))
    # Longer than the sliding window of 32, so that both masks of Gemma matter.
    ids_BT = torch.randint(3, 60, (3, 45), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own = [merged(setting, base)(input_ids=ids_BT, use_cache=False).logits for setting in settings]
    with FanOut(base.sites, [setting.parts() for setting in settings]) as fan:
        fan.check(ids_BT)
        assert fan.first == 1
        for rows in (slice(0, 3), slice(1, 2)):
            trunk = fan.trunk(ids_BT[rows])
            for which in (slice(0, 5), slice(1, 3)):
                h_kBTD = fan.branch(trunk, which)
                logits = fan.head(h_kBTD.flatten(1, 2), which).unflatten(1, h_kBTD.shape[1:3])
                for found, expected in zip(logits, own[which], strict=True):
                    torch.testing.assert_close(found, expected[rows], rtol=close, atol=close)


def test_sliding_windows_are_shorter_than_the_texts_of_these_tests():
    """Otherwise the test above would not see a mask that is given to the wrong block."""
    for family in ("gemma2", "gemma3_text"):
        config = tiny_base(family).sites.model.config
        assert config.sliding_window < 45
        assert "sliding_attention" in config.layer_types


def test_adapter_on_the_head_and_on_every_block():
    base = tiny_base()
    for names in (["lm_head"], ["model.layers.0.mlp.up_proj", "model.layers.2.self_attn.k_proj", "lm_head"]):
        settings = settings_of(lora_of(base, names))
        ids_BT = torch.randint(3, 60, (2, 9), generator=torch.Generator().manual_seed(1))
        with FanOut(base.sites, [setting.parts() for setting in settings]) as fan:
            h_kBTD = fan.branch(fan.trunk(ids_BT), slice(0, 5))
            logits = fan.head(h_kBTD.flatten(1, 2), slice(0, 5)).unflatten(1, (2, 9))
            for k, setting in enumerate(settings):
                own = merged(setting, base)(input_ids=ids_BT).logits
                torch.testing.assert_close(logits[k], own, rtol=1e-9, atol=1e-9)


def test_lower_blocks_run_once():
    base = tiny_base()
    settings = settings_of(lora_of(base))
    calls = {0: 0, 1: 0, 2: 0}

    def count(layer):
        return lambda module, args: calls.__setitem__(layer, calls[layer] + 1)

    handles = [block.register_forward_pre_hook(count(layer)) for layer, block in enumerate(base.sites.blocks)]
    with FanOut(base.sites, [setting.parts() for setting in settings]) as fan:
        trunk = fan.trunk(torch.arange(3, 12)[None])
        fan.branch(trunk, slice(0, 2))
        fan.branch(trunk, slice(2, 5))
    for handle in handles:
        handle.remove()
    assert calls == {0: 1, 1: 3, 2: 3}


def test_model_is_as_it_was_also_after_an_exception():
    base = tiny_base()
    ids_BT = torch.arange(3, 12)[None]
    before = base.sites.model(input_ids=ids_BT).logits
    with FanOut(base.sites, [s.parts() for s in settings_of(lora_of(base))]) as fan:
        trunk = fan.trunk(ids_BT)
        handle = base.sites.blocks[2].register_forward_pre_hook(_stop)
        with pytest.raises(RuntimeError, match="stop"):
            fan.branch(trunk, slice(0, 5))
        handle.remove()
        assert torch.equal(base.sites.model(input_ids=ids_BT).logits, before)
    assert torch.equal(base.sites.model(input_ids=ids_BT).logits, before)
    assert not base.sites.model.get_submodule("model.layers.1.mlp.down_proj")._forward_hooks


def test_architecture_that_does_more_behind_its_blocks_is_refused():
    base = tiny_base()
    handle = base.sites.model.register_forward_hook(_double)
    try:
        with FanOut(base.sites) as fan, pytest.raises(SelfTestError, match="head"):
            fan.check(torch.arange(3, 12)[None])
    finally:
        handle.remove()


def test_part_before_the_blocks_is_refused():
    base = tiny_base()
    part = LowRank("model.embed_tokens", torch.ones(1, 4), torch.ones(4, 1), 1.0)
    with pytest.raises(ModelError, match="in no block"):
        FanOut(base.sites, [[part]])


def _stop(module, args):
    raise RuntimeError("stop")


def _double(module, args, output):
    output.logits = 2 * output.logits
    return output
