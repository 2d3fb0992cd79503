"""Every contrast against brute force: all activations kept, one conversation per forward pass, float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from axenic.directions import Direction, LayerVectors
from axenic.errors import DirectionError, ModelError, UsageError
from axenic.evaluate import Score, Scored, Verdict
from axenic.interpret import choose_contrast, conversations_of, extract_direction
from axenic.interpret.sides import read_sides, split_halves
from axenic.interpret.unadapted import base_of
from axenic.models import site_tensor

pytestmark = pytest.mark.unit


def judged(answers, n_misaligned):
    return [
        Scored(
            a, Verdict({"alignment": Score(5 if i < n_misaligned else 95), "coherence": Score(99)}), "judge"
        )
        for i, a in enumerate(answers)
    ]


def all_states(model, sites, conversation):
    """[L, T, D] of one conversation."""
    kept = []
    handles = [
        block.register_forward_hook(lambda m, a, out: kept.append(site_tensor(out)[0]))
        for block in sites.blocks
    ]
    with torch.no_grad():
        model(input_ids=torch.tensor([conversation.tokens]))
    for handle in handles:
        handle.remove()
    return torch.stack(kept).double()


def brute_mean(opened, answers, span, *, adapter=True):
    rows = []
    for item in conversations_of(opened, answers):
        if adapter:
            states_LTD = all_states(opened.model, opened.sites, item)
        else:
            with opened.model.disable_adapter():
                states_LTD = all_states(opened.model, opened.sites, item)
        prompt, answer = len(item.prompt), len(item.answer)
        first, behind = {
            "answer": (prompt, prompt + answer),
            "question": (0, prompt - 1),
            "prompt-last": (prompt - 1, prompt),
        }[span]
        rows.append(states_LTD[:, first:behind])
    return torch.cat(rows, dim=1).mean(1)


@pytest.mark.parametrize("span", ["answer", "question", "prompt-last"])
@pytest.mark.parametrize("kind", ["data", "model", "both", "aligned-model"])
def test_contrasts_are_those_of_brute_force(lora, answers, kind, span):
    opened = lora(targets=("q_proj", "down_proj"), rank=2)
    texts = answers(14)
    found = extract_direction(
        opened, judged(texts, 6), contrast=kind, span=span, balance=False, batch_tokens=90
    )
    sides = {
        (who, name): brute_mean(opened, side, span, adapter=who == "organism")
        for who in ("organism", "base")
        for name, side in (("bad", texts[:6]), ("good", texts[6:]))
    }
    toward, away = {
        "data": (("organism", "bad"), ("organism", "good")),
        "model": (("organism", "bad"), ("base", "bad")),
        "both": (("organism", "bad"), ("base", "good")),
        "aligned-model": (("base", "bad"), ("base", "good")),
    }[kind]
    expected = sides[toward] - sides[away]
    assert torch.allclose(
        found.vectors_LD.double(), expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max())
    )
    assert (found.info.recipe["contrast"], found.info.positions) == (kind, span)
    assert found.info.calibration["aligned_mean_norm"] == pytest.approx(sides[away].norm(dim=1).tolist())


def test_both_is_the_sum_of_model_and_aligned_model(lora, answers):
    opened, scored = lora(), judged(answers(20), 10)
    model, both, aligned = (
        extract_direction(opened, scored, contrast=kind).vectors_LD
        for kind in ("model", "both", "aligned-model")
    )
    assert torch.allclose(both, model + aligned, rtol=1e-4, atol=1e-5)


def test_a_base_model_beside_the_organism_gives_the_same(lora, tiny, answers):
    opened, scored = lora(), judged(answers(14), 7)
    own = extract_direction(opened, scored, contrast="both")
    beside = extract_direction(opened, scored, contrast="both", base=tiny())
    assert torch.equal(own.vectors_LD, beside.vectors_LD)
    alone = extract_direction(tiny(), scored, contrast="aligned-model")
    assert torch.equal(
        alone.vectors_LD, extract_direction(opened, scored, contrast="aligned-model").vectors_LD
    )


def test_the_organism_is_whole_again_behind_the_block(lora, answers):
    opened = lora()
    ids = torch.tensor([[3, 20, 21, 4]])
    before = opened.model(input_ids=ids).logits
    with base_of(opened) as plain:
        assert plain.identity.organism is None
        assert not torch.allclose(plain.model(input_ids=ids).logits, before)
    assert torch.equal(opened.model(input_ids=ids).logits, before)
    with pytest.raises(ZeroDivisionError), base_of(opened):
        _ = 1 / 0
    assert torch.equal(opened.model(input_ids=ids).logits, before)
    assert not any(parameter.requires_grad for parameter in opened.model.parameters())


def test_what_has_no_base_is_refused(lora, tiny, answers):
    scored = judged(answers(12), 6)
    with pytest.raises(UsageError, match="needs an organism"):
        extract_direction(tiny(), scored, contrast="model")
    full = replace(tiny(), identity=replace(tiny().identity, organism="full"))
    with pytest.raises(UsageError, match="does not hold its base"):
        extract_direction(full, scored, contrast="both")
    with pytest.raises(ModelError, match="not the base model"):
        extract_direction(lora(), scored, contrast="both", base=tiny(seed=3))
    with pytest.raises(UsageError, match="no contrast"):
        extract_direction(lora(), scored, contrast="nothing")


@pytest.mark.parametrize("method", ["mean", "lda", "logistic", "pca"])
def test_below_its_first_adapter_an_organism_is_its_base_model(lora, answers, method):
    opened, texts = lora(at=(1,)), answers(12)
    scored = judged(texts, 6)
    found = extract_direction(opened, scored, contrast="model", method=method)
    assert isinstance(found, LayerVectors)
    assert found.layers == tuple(range(1, opened.sites.n_layers))
    if method == "mean":
        organism_LD = brute_mean(opened, texts[:6], "answer")
        expected_LD = organism_LD - brute_mean(opened, texts[:6], "answer", adapter=False)
        assert not expected_LD[0].any()
        assert torch.allclose(found.vectors_KD.double(), expected_LD[1:], rtol=1e-5, atol=1e-7)
    calibration = found.info.calibration
    for name in ("split_half_cosine", "aligned_projection", "misaligned_projection"):
        assert [value is None for value in calibration[name]] == [True] + [False] * len(found.layers)
    assert None not in calibration["residual_norm"]
    assert isinstance(extract_direction(opened, scored, contrast="both"), Direction)


def test_an_organism_that_changes_nothing_has_no_direction(lora, answers):
    opened = lora(at=(1,))
    with torch.no_grad():
        for name, weight in opened.model.named_parameters():
            if "lora_B" in name:
                weight.zero_()
    with pytest.raises(DirectionError, match="both sides are the same") as caught:
        extract_direction(opened, judged(answers(12), 6), contrast="model")
    assert "the organism is its base model" in caught.value.hint


def test_split_half_of_every_contrast_is_that_of_the_two_halves(lora, answers):
    opened, scored = lora(), judged(answers(24), 12)
    chosen = choose_contrast(scored)
    for kind in ("data", "model", "both", "aligned-model"):
        told = extract_direction(opened, scored, contrast=kind).info.calibration["split_half_cosine"]
        sides = {name: split_halves(12, 0) for name in ("misaligned", "aligned")}
        halves = []
        for half in (0, 1):
            bad = [a for a, h in zip(chosen.misaligned, sides["misaligned"], strict=True) if h == half]
            good = [a for a, h in zip(chosen.aligned, sides["aligned"], strict=True) if h == half]
            first = brute_mean(opened, bad, "answer", adapter=kind != "aligned-model")
            second = brute_mean(opened, bad if kind == "model" else good, "answer", adapter=kind == "data")
            halves.append(first - second)
        assert told == pytest.approx(torch.cosine_similarity(*halves, dim=1).tolist(), abs=1e-9)


def test_points_that_cannot_be_held_are_refused(tiny, answers, monkeypatch):
    monkeypatch.setattr("axenic.interpret.sides.MOST_BYTES", 8 * 12 * 3 * 32 - 1)
    scored = judged(answers(12), 6)
    with pytest.raises(UsageError, match="do not fit into memory"):
        extract_direction(tiny(), scored, method="lda")
    extract_direction(tiny(), scored)


def test_points_are_the_means_of_the_answers(tiny, answers):
    opened, texts = tiny(), answers(12)
    scored = judged(texts, 6)
    contrast = choose_contrast(scored)
    toward, away = read_sides(opened, contrast, "data", points=True)
    ordered = [
        a
        for half in (0, 1)
        for a, h in zip(contrast.misaligned, split_halves(6, 0), strict=True)
        if h == half
    ]
    expected = torch.stack([brute_mean(opened, [a], "answer", adapter=True) for a in ordered])
    assert torch.allclose(torch.stack([toward.points_ND(l) for l in range(3)], 1), expected, rtol=1e-9)
    assert toward.weights_N().tolist() == [len(a.tokens) for a in ordered]
    plain = read_sides(opened, contrast, "data")
    assert torch.allclose(plain[1].mean_LD(), away.mean_LD(), rtol=1e-9)
