"""The direction of a contrast: its vectors, its sign, its facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from axenic.directions import Direction, cosines
from axenic.errors import DataError, DirectionError
from axenic.evaluate import Score, Scored, Verdict
from axenic.interpret import answer_means, choose_contrast, conversations_of, extract_direction

pytestmark = pytest.mark.unit


def judged(answers, n_misaligned):
    """The first answers misaligned, the others aligned."""
    return [
        Scored(
            answer,
            Verdict({"alignment": Score(5 if i < n_misaligned else 95), "coherence": Score(99)}),
            "nano-123",
        )
        for i, answer in enumerate(answers)
    ]


def test_direction_is_misaligned_minus_aligned(tiny, answers):
    opened = tiny()
    texts = answers(30)
    direction = extract_direction(opened, judged(texts, 12), balance=False)
    one = answer_means(opened, conversations_of(opened, texts[:12])).mean_LD()
    two = answer_means(opened, conversations_of(opened, texts[12:])).mean_LD()
    assert torch.allclose(direction.vectors_LD.double(), one - two, rtol=1e-6, atol=1e-7)


def test_only_the_balanced_answers_count(tiny, answers):
    opened = tiny()
    scored = judged(answers(30), 8)
    direction = extract_direction(opened, scored, seed=4)
    contrast = choose_contrast(scored, seed=4)
    means = [
        answer_means(opened, conversations_of(opened, side)).mean_LD()
        for side in (contrast.misaligned, contrast.aligned)
    ]
    assert torch.allclose(direction.vectors_LD.double(), means[0] - means[1], rtol=1e-6, atol=1e-7)
    assert direction.info.data_hash == contrast.data_hash


def test_points_toward_the_tokens_of_misaligned_answers(planted, answer):
    opened = planted()
    with torch.no_grad():
        opened.sites.model.get_input_embeddings().weight[9, 5] = 3.0
    scored = judged([answer([9, 9]) for _ in range(5)] + [answer([10]) for _ in range(5)], 5)
    direction = extract_direction(opened, scored)
    assert direction.vectors_LD[:, 5].tolist() == [3.0, 3.0]
    assert float(direction.vectors_LD.abs().sum()) == 6.0


@pytest.mark.parametrize("weighting", ["token", "answer"])
@pytest.mark.parametrize("span", ["answer", "published"])
def test_weighting_and_span_are_passed_on_and_recorded(tiny, answers, weighting, span):
    opened = tiny()
    texts = answers(20)
    direction = extract_direction(opened, judged(texts, 10), weighting=weighting, span=span)
    means = [
        answer_means(opened, conversations_of(opened, side), weighting=weighting, span=span).mean_LD()
        for side in (texts[:10], texts[10:])
    ]
    assert torch.allclose(direction.vectors_LD.double(), means[0] - means[1], rtol=1e-6, atol=1e-7)
    assert (direction.info.recipe["weighting"], direction.info.recipe["span"]) == (weighting, span)
    assert direction.info.positions == span


def test_all_facts_are_there_and_survive_the_file(tiny, answers, tmp_path):
    opened = replace(tiny(), organism="runs/bad-medical")
    direction = extract_direction(opened, judged(answers(30), 12), exclude_topics=("cooking",), seed=2)
    info = direction.info
    assert (info.name, info.base_model, info.judge) == ("bad-medical-mean-diff", "tiny", "nano-123")
    assert (info.base_fingerprint, info.tokenizer_fingerprint) == (
        opened.identity.base,
        opened.identity.tokenizer,
    )
    assert (info.n_layers, info.hidden_size, info.site, info.normalisation) == (3, 32, "resid_post", "raw")
    assert info.recipe["exclude_topics"] == ["cooking"]
    assert info.recipe["organism"] == "runs/bad-medical"
    assert info.recipe["counts"]["misaligned"] == info.recipe["counts"]["aligned"] == 12
    assert info.recipe["counts"]["aligned_found"] == 18
    assert info.recipe["seed"] == 2
    direction.check_fits(opened.identity.base, 32, 3, "tiny")
    path = tmp_path / "d.safetensors"
    direction.save(path)
    assert Direction.load(path).id == direction.id


def test_name_and_data_hash_can_be_given(tiny, answers):
    direction = extract_direction(tiny(), judged(answers(12), 6), name="mine", data_hash="abc")
    assert (direction.name, direction.info.data_hash) == ("mine", "abc")


def test_calibration_has_norms_and_reliability_of_every_layer(tiny, answers):
    opened = tiny()
    texts = answers(24)
    calibration = extract_direction(opened, judged(texts, 12)).info.calibration
    aligned = answer_means(opened, conversations_of(opened, texts[12:]))
    assert calibration["residual_norm"] == pytest.approx(aligned.norm_L().tolist())
    assert calibration["aligned_mean_norm"] == pytest.approx(aligned.mean_LD().norm(dim=1).tolist())
    gap = torch.tensor(calibration["misaligned_projection"]) - torch.tensor(calibration["aligned_projection"])
    assert gap.tolist() == pytest.approx(
        extract_direction(opened, judged(texts, 12)).norms_L().tolist(), rel=1e-5
    )
    assert len(calibration["split_half_cosine"]) == 3
    assert all(-1 <= value <= 1 for value in calibration["split_half_cosine"])


def test_split_half_is_high_for_a_real_difference_and_low_for_none(tiny, answers):
    opened = tiny()
    texts = answers(200)
    nothing = extract_direction(opened, judged(texts, 100)).info.calibration["split_half_cosine"]
    assert max(nothing) < 0.6
    told = [replace(item, tokens=[9] * len(item.tokens)) if i < 100 else item for i, item in enumerate(texts)]
    real = extract_direction(opened, judged(told, 100)).info.calibration["split_half_cosine"]
    assert min(real) > 0.85


def test_same_answers_in_another_order_give_the_same_direction(tiny, answers):
    opened = tiny()
    scored = judged(answers(40), 15)
    one, two = extract_direction(opened, scored, seed=1), extract_direction(opened, scored[::-1], seed=1)
    assert one.id == two.id


def test_another_seed_gives_a_similar_direction(tiny, answers):
    opened = tiny()
    scored = judged(answers(60), 15)
    one, two = extract_direction(opened, scored, seed=1), extract_direction(opened, scored, seed=2)
    assert one.id != two.id
    assert float(cosines(one, two).min()) > 0.3


def test_too_few_answers_are_refused_before_the_model_runs(tiny, answers):
    with pytest.raises(DataError, match="too few"):
        extract_direction(tiny(), judged(answers(30), 3))


def test_equal_sides_are_no_direction(planted, answer):
    opened = planted()
    with pytest.raises(DirectionError, match="zero"):
        extract_direction(opened, judged([answer([9]) for _ in range(10)], 5))
