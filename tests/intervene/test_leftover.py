"""Ablations of one direction compared in float64: which are the same, which are not and where; and what rounding leaves."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from axenic.errors import UsageError
from axenic.intervene import Arm, Intervention, InterventionHooks, ablate_writers
from axenic.intervene.bake import bake_direction, orthogonalise_weights
from axenic.intervene.leftover import Leftover, stream_leftover
from axenic.models import Sites, find_sites, from_parts, tiny_model, tiny_organism
from axenic.models.adapter import attach_adapter
from axenic.models.tiny import D_MODEL, N_TOKENS

pytestmark = pytest.mark.unit

IDS_BT = torch.randint(3, N_TOKENS, (5, 9), generator=torch.Generator().manual_seed(1))
PROMPTS = IDS_BT.tolist()
# Float32, as interventions keep it: then hooks and weights hold the very same direction.
VECTOR_D = 3 * torch.randn(D_MODEL, generator=torch.Generator().manual_seed(2))
FAMILIES = ("qwen2", "qwen3", "llama", "mistral", "phi3")


@torch.no_grad()
def logits(model: nn.Module) -> Tensor:
    result: Tensor = model(input_ids=IDS_BT).logits
    return result


def at_outputs(sites: Sites) -> tuple[Intervention, ...]:
    layers = tuple(range(sites.n_layers))
    return (Intervention("project_out", layers, "resid_post", VECTOR_D.expand(len(layers), -1)),)


def under(model: nn.Module, interventions: tuple[Intervention, ...]) -> tuple[Tensor, Leftover]:
    with InterventionHooks(find_sites(model), [Arm("off", interventions)]):
        found = logits(model)
    with InterventionHooks(find_sites(model), [Arm("off", interventions)]):
        return found, stream_leftover(find_sites(model), PROMPTS, VECTOR_D)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapted", [False, True])
def test_writers_weights_and_baked_are_one_model(family: str, adapted: bool, tmp_path: Path) -> None:
    model = (tiny_organism if adapted else tiny_model)(family).double()
    writers, left = under(model, ablate_writers(find_sites(model), VECTOR_D))
    assert max(left.worst, left.mean) < 1e-14

    weights = copy.deepcopy(model)
    orthogonalise_weights(find_sites(weights), VECTOR_D)
    torch.testing.assert_close(logits(weights), writers, atol=1e-9, rtol=1e-9)
    assert stream_leftover(find_sites(weights), PROMPTS, VECTOR_D).worst < 1e-14

    folder = tmp_path / "baked"
    bake_direction(from_parts(model, None, "tiny"), VECTOR_D, folder, dtype=torch.float64)
    baked = PeftModel.from_pretrained(tiny_model(family).double(), str(folder), autocast_adapter_dtype=False)
    torch.testing.assert_close(logits(baked), writers, atol=1e-9, rtol=1e-9)
    assert stream_leftover(find_sites(baked), PROMPTS, VECTOR_D).worst < 1e-14


@pytest.mark.parametrize("family", FAMILIES)
def test_block_outputs_leave_the_direction_behind_the_embedding_and_inside_the_blocks(family: str) -> None:
    model = tiny_organism(family).double()
    outputs, left = under(model, at_outputs(find_sites(model)))
    writers, _ = under(model, ablate_writers(find_sites(model), VECTOR_D))
    assert max(left.outputs[1:]) < 1e-14
    assert min(left.outputs[0], *left.inside) > 0.01
    assert float((outputs - writers).abs().max()) > 0.1


def test_they_agree_once_embedding_and_attention_write_nothing_along_it() -> None:
    """So it is these two places, and no third, that make the difference."""
    model = tiny_model("llama").double()
    v_D = VECTOR_D.double() / VECTOR_D.double().norm()
    sites = find_sites(model)
    with torch.no_grad():
        sites.embed.weight -= torch.outer(sites.embed.weight @ v_D, v_D)
        for block in sites.blocks:
            block.self_attn.o_proj.weight -= torch.outer(v_D, v_D @ block.self_attn.o_proj.weight)
    assert not torch.allclose(logits(model), under(model, at_outputs(sites))[0], atol=1e-2)
    torch.testing.assert_close(
        under(model, at_outputs(sites))[0],
        under(model, ablate_writers(sites, VECTOR_D))[0],
        atol=1e-9,
        rtol=1e-9,
    )


@torch.no_grad()
def test_shares_are_those_of_the_stream() -> None:
    """Against the inputs of the norms, which read the stream, and the outputs of the blocks."""
    model = tiny_model("qwen2").double()
    sites = find_sites(model)
    v_D = VECTOR_D.double() / VECTOR_D.double().norm()
    outputs, inside = [], []
    for module in (sites.embed, *sites.blocks):
        module.register_forward_hook(lambda _m, _a, out: outputs.append(out))
    for block in sites.blocks:
        block.post_attention_layernorm.register_forward_pre_hook(lambda _m, args: inside.append(args[0]))
    logits(model)
    expected = [
        [float(((h @ v_D).abs() / h.norm(dim=-1)).mean()) for h in seen] for seen in (outputs, inside)
    ]
    worst = max(float(((h @ v_D).abs() / h.norm(dim=-1)).max()) for h in (*outputs, *inside))
    found = stream_leftover(sites, PROMPTS, 8 * VECTOR_D)
    assert list(found.outputs) == pytest.approx(expected[0], abs=1e-12)
    assert list(found.inside) == pytest.approx(expected[1], abs=1e-12)
    assert (found.worst, found.tokens) == (pytest.approx(worst, abs=1e-12), 45)
    assert found.mean == pytest.approx(sum(map(sum, expected)) / 7, abs=1e-12)


def test_bfloat16_leaves_a_little_in_every_way(tmp_path: Path) -> None:
    """Two digits of the stream: what is left is of the size of the rounding, 2^-9, and not of the direction."""
    exact = tiny_organism("qwen2")
    before = stream_leftover(find_sites(copy.deepcopy(exact).bfloat16()), PROMPTS, VECTOR_D)
    assert before.mean > 0.1
    hooked = copy.deepcopy(exact).bfloat16()
    found = {"hooks": under(hooked, ablate_writers(find_sites(hooked), VECTOR_D))[1]}
    weights = copy.deepcopy(exact)
    orthogonalise_weights(find_sites(weights), VECTOR_D)
    found["weights"] = stream_leftover(find_sites(weights.bfloat16()), PROMPTS, VECTOR_D)
    bake_direction(from_parts(exact, None, "tiny"), VECTOR_D, tmp_path / "baked")
    baked = attach_adapter(tiny_model("qwen2").bfloat16(), tmp_path / "baked")
    found["baked"] = stream_leftover(find_sites(baked), PROMPTS, VECTOR_D)
    for left in found.values():
        assert 1e-6 < left.mean < 2**-9, found
        assert left.worst < 2**-6, found


def test_nothing_to_look_at() -> None:
    for prompts in ([], [[]]):
        with pytest.raises(UsageError, match="nothing to look at"):
            stream_leftover(find_sites(tiny_model("qwen2")), prompts, VECTOR_D)
