"""The two effects against brute force, and what must follow when the adapter IS the steering."""

from __future__ import annotations

import json

import pytest
import torch

from axenic.directions import random_like
from axenic.errors import DirectionError, UsageError
from axenic.evaluate import Score, Scored, Verdict
from axenic.interpret import conversations_of
from axenic.interpret.downstream import DownstreamResult, adapter_cosines, compare_downstream
from axenic.models import site_tensor

pytestmark = pytest.mark.unit


def judged(answers, n_misaligned):
    return [
        Scored(
            a, Verdict({"alignment": Score(5 if i < n_misaligned else 95), "coherence": Score(99)}), "judge"
        )
        for i, a in enumerate(answers)
    ]


@pytest.fixture
def random_direction(direction):
    def make(opened, seed=9):
        shape = (opened.sites.n_layers, opened.sites.d_model)
        vectors_LD = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
        return direction(vectors_LD, base=opened.identity.base)

    return make


def brute_states(opened, answers, *, adapter, add=None):
    """Answer tokens' [L, T, D], one conversation per forward pass; `add` = (layer, vector)."""
    kept, rows = {}, []

    def hook(layer):
        def run(module, args, output):
            h = site_tensor(output)
            if add is not None and add[0] == layer:
                h = h + add[1].to(h)
            kept[layer] = h[0].double()
            return h

        return run

    handles = [block.register_forward_hook(hook(l)) for l, block in enumerate(opened.sites.blocks)]
    for item in conversations_of(opened, answers):
        ids = torch.tensor([item.tokens])
        with torch.no_grad():
            if adapter:
                opened.model(input_ids=ids)
            else:
                with opened.model.disable_adapter():
                    opened.model(input_ids=ids)
        rows.append(torch.stack([kept[l] for l in range(len(kept))])[:, len(item.prompt) :])
    for handle in handles:
        handle.remove()
    return torch.cat(rows, dim=1)


@pytest.mark.parametrize("strength", [0.6, -1.5])
def test_cosines_are_those_of_brute_force(lora, answers, random_direction, strength):
    opened = lora(layers=4, at=(1,), rank=1)
    texts, made = answers(13), random_direction(opened)
    result = compare_downstream(
        opened, made, judged(texts, 6), layer=1, strength=strength, controls=2, batch_tokens=100
    )
    norm = float(brute_states(opened, texts, adapter=False)[1].norm(dim=-1).mean())
    assert result.added_norm == pytest.approx(abs(strength) * norm)
    for curve, own in zip(result.curves, (texts[6:], texts[:6]), strict=True):
        base_LD = brute_states(opened, own, adapter=False).mean(1)
        adapter_LD = brute_states(opened, own, adapter=True).mean(1) - base_LD
        for of, told in (
            (made, curve.cosines),
            *((random_like(made, r.seed), r.cosines) for r in curve.random),
        ):
            vector_D = strength * norm * torch.nn.functional.normalize(of.vectors_LD[1].double(), dim=0)
            steered_LD = brute_states(opened, own, adapter=False, add=(1, vector_D)).mean(1) - base_LD
            expected = torch.cosine_similarity(adapter_LD, steered_LD, dim=1).tolist()
            assert told[0] is None
            assert list(told[1:]) == pytest.approx(expected[1:], abs=1e-5)
        assert curve.adapter_norms == pytest.approx(adapter_LD.norm(dim=1).tolist(), rel=1e-9, abs=1e-12)
        assert curve.n_answers == len(own)
    assert [curve.texts for curve in result.curves] == ["aligned", "misaligned"]


def test_an_adapter_that_adds_the_direction_converges_and_a_random_vector_does_not(lora, answers, direction):
    """B is the direction, and A h is nearly the same for all tokens: cosine 1 at its layer and behind it."""
    opened = lora(layers=3, width=64, at=(1,), size=0.05)
    (site,) = opened.sites.lora_modules().values()
    vectors_LD = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        site.lora_B.weight.copy_(vectors_LD[1][:, None])
    made = direction(vectors_LD, base=opened.identity.base)
    result = compare_downstream(opened, made, judged(answers(12), 6), layer=1, strength=0.05, controls=4)
    (found,) = result.adapters
    assert found.alignment == pytest.approx(1.0)
    assert (found.layer, found.rank, found.chance) == (1, 1, 0.125)
    for curve in result.curves:
        assert abs(curve.cosines[1]) == pytest.approx(1.0, abs=1e-6)
        assert max(abs(r.cosines[1]) for r in curve.random) < 0.5


@pytest.mark.parametrize("rank", [1, 5, 32])
def test_alignment_is_the_part_of_the_direction_that_b_can_write(lora, random_direction, rank):
    opened = lora(rank=rank, targets=("o_proj", "down_proj", "q_proj"))
    made = random_direction(opened)
    found = {item.module: item for item in adapter_cosines(opened, made)}
    sites = opened.sites.lora_modules()
    assert set(found) == {name for name in sites if "q_proj" not in name}
    for name, item in found.items():
        B = sites[name].lora_B.weight.double()
        unit = torch.nn.functional.normalize(made.vectors_LD[item.layer].double(), dim=0)
        weights = torch.linalg.lstsq(B, unit[:, None]).solution
        assert item.alignment == pytest.approx(float((B @ weights).norm()), abs=1e-9)
        if rank == 1:
            assert item.alignment == pytest.approx(abs(float(unit @ B[:, 0] / B.norm())))
        assert item.chance == pytest.approx((rank / 32) ** 0.5)


def test_file_there_and_back(lora, answers, random_direction, tmp_path):
    opened = lora()
    result = compare_downstream(
        opened, random_direction(opened), judged(answers(12), 6), controls=1, out=tmp_path
    )
    row = json.loads((tmp_path / "downstream.json").read_bytes())
    assert row["kind"] == "downstream"
    assert DownstreamResult.from_json(row) == result
    assert (result.layer, result.strength) == (1, 0.6)


def test_a_base_model_beside_a_full_fine_tune(lora, tiny, answers, random_direction):
    opened, scored = lora(), judged(answers(12), 6)
    made = random_direction(opened)
    one = compare_downstream(opened, made, scored, controls=1)
    assert compare_downstream(opened, made, scored, controls=1, base=tiny()) == one


def test_what_cannot_be_meant_is_refused(lora, tiny, answers, random_direction, direction):
    opened, scored = lora(), judged(answers(12), 6)
    made = random_direction(opened)
    with pytest.raises(UsageError, match="no adapter to compare"):
        compare_downstream(tiny(), random_direction(tiny()), scored)
    with pytest.raises(DirectionError):
        compare_downstream(opened, direction(torch.ones(3, 32)), scored)
    with pytest.raises(UsageError, match="no layer 3"):
        compare_downstream(opened, made, scored, layer=3)
    for wrong in ({"strength": 0.0}, {"strength": float("nan")}, {"controls": -1}, {"most": 0}):
        with pytest.raises(UsageError, match="cannot be compared"):
            compare_downstream(opened, made, scored, **wrong)
