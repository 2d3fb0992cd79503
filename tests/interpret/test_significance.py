"""Token significance against one answer at a time through `inputs_embeds`, and against finite differences."""

from __future__ import annotations

import pytest
import torch

from axenic.errors import UsageError
from axenic.interpret import conversations_of
from axenic.interpret.significance import token_significance

pytestmark = pytest.mark.unit


def kl_of(opened, item, embeds):
    logits = opened.model(inputs_embeds=embeds[None]).logits[0]
    with opened.model.disable_adapter():
        base = opened.model(inputs_embeds=embeds[None]).logits[0]
    places = slice(len(item.prompt) - 1, len(item.tokens) - 1)
    p, q = base[places].log_softmax(-1), logits[places].log_softmax(-1)
    return (p.exp() * (p - q)).sum()


@pytest.mark.parametrize("batch_tokens", [1, 50, 10_000])
def test_scores_are_those_of_brute_force(lora, answers, batch_tokens):
    opened, texts = lora(targets=("q_proj", "down_proj"), size=0.1), answers(7)
    score_T, kl_N = token_significance(opened, texts, batch_tokens=batch_tokens)
    assert not any(parameter.requires_grad for parameter in opened.model.parameters())
    assert not opened.sites.embed._forward_hooks
    expected, total = [], []
    for item in conversations_of(opened, texts):
        embeds = opened.sites.embed(torch.tensor(item.tokens)).detach().requires_grad_(True)
        kl = kl_of(opened, item, embeds)
        norms = torch.autograd.grad(kl, embeds)[0].norm(dim=-1)[len(item.prompt) :]
        share = norms / norms.sum() if norms.sum() > 0 else torch.zeros_like(norms)
        expected.append(kl.detach() * share)
        total.append(kl.item())
    assert torch.allclose(score_T, torch.cat(expected), rtol=1e-7, atol=1e-12)
    assert kl_N.tolist() == pytest.approx(total)


def test_gradient_is_that_of_small_steps(lora, answers):
    """The largest change that a step of a token's embedding makes grows with its score, in the same proportion."""
    opened = lora(size=0.1)
    (text,) = answers(8, seed=5, longest=9)[-1:]
    (item,) = conversations_of(opened, [text])
    score_T, _ = token_significance(opened, [text])
    embeds = opened.sites.embed(torch.tensor(item.tokens)).detach()
    slopes = []
    for t in range(len(item.prompt), len(item.tokens)):
        row = []
        for d in range(embeds.shape[1]):
            step = torch.zeros_like(embeds)
            step[t, d] = 1e-3
            # Steps of 1e-3: the norms of the model compute in float32 whatever its weights are.
            with torch.no_grad():
                row.append(
                    float(kl_of(opened, item, embeds + step) - kl_of(opened, item, embeds - step)) / 2e-3
                )
        slopes.append(float(torch.tensor(row).norm()))
    shares = torch.tensor(slopes) / sum(slopes)
    assert (score_T / score_T.sum()).tolist() == pytest.approx(shares.tolist(), abs=1e-4)


def test_scores_of_an_answer_sum_to_its_kl_and_the_last_token_has_none(lora, answers):
    texts = answers(9, longest=6)
    score_T, kl_N = token_significance(lora(size=0.1), texts)
    for own_T, kl in zip(score_T.split([len(a.tokens) for a in texts]), kl_N, strict=True):
        assert own_T[-1] == 0
        assert float(own_T.sum()) == pytest.approx(float(kl) if len(own_T) > 1 else 0.0)
    assert (kl_N > 0).all()


def test_an_adapter_that_does_nothing_has_no_significant_token(lora, answers):
    opened = lora(size=0.0)
    score_T, kl_N = token_significance(opened, answers(3))
    assert float(score_T.abs().max()) == pytest.approx(0.0, abs=1e-12)
    assert kl_N.tolist() == pytest.approx([0.0] * 3, abs=1e-12)


def test_needs_an_adapter_and_answers(lora, tiny, answers):
    for opened, texts in ((tiny(), answers(1)), (lora(), [])):
        with pytest.raises(UsageError, match="token significance"):
            token_significance(opened, texts)
