"""The cost of an arm against brute force in float64."""

from __future__ import annotations

import pytest
import torch

import axenic.interpret.capability as capability
from axenic.files import Table
from axenic.interpret import arm_costs, conversations_of
from axenic.interpret.capability import pick_answers
from axenic.intervene import Arm, add, project_out

pytestmark = pytest.mark.unit


@pytest.fixture
def arms(direction):
    torch.manual_seed(5)
    made = direction(torch.randn(3, 32))
    return [
        Arm("add", (add(made, 1, 1.5),)),
        Arm("out", (project_out(made),)),
        Arm("answer only", (add(made, 0, 3.0, positions="answer"),)),
    ]


def brute_force(opened, answers, moved):
    """KL sum and tokens of each answer, one row at a time; `moved(layer, h_1TD, prompt)` is the intervention."""
    found = []
    for item in conversations_of(opened, answers):
        ids = torch.tensor([item.tokens])
        first = len(item.prompt) - 1
        plain = opened.model(input_ids=ids).logits[0, first:-1].double().log_softmax(-1)
        handles = [
            block.register_forward_hook(
                lambda m, a, out, layer=layer, prompt=len(item.prompt): moved(layer, out, prompt)
            )
            for layer, block in enumerate(opened.sites.blocks)
        ]
        other = opened.model(input_ids=ids).logits[0, first:-1].double().log_softmax(-1)
        for handle in handles:
            handle.remove()
        found.append((float((plain.exp() * (plain - other)).sum()), len(item.answer)))
    return found


def movers(arms):
    """What each of the three arms does, written down once more."""
    steer_D, out_LD, answer_D = (arm.interventions[0].vectors_LD.double() for arm in arms)

    def add_at_one(layer, h_1TD, prompt):
        return h_1TD + 1.5 * steer_D[0] if layer == 1 else h_1TD

    def remove(layer, h_1TD, prompt):
        unit_D = out_LD[layer] / out_LD[layer].norm()
        return h_1TD - (h_1TD @ unit_D)[..., None] * unit_D

    def on_answer(layer, h_1TD, prompt):
        if layer != 0:
            return h_1TD
        inside_T = (torch.arange(h_1TD.shape[1]) >= prompt).double()
        return h_1TD + 3.0 * inside_T[None, :, None] * answer_D[0]

    return add_at_one, remove, on_answer


@pytest.mark.parametrize("batch_tokens", [1, 90, 10_000])
def test_costs_are_those_of_brute_force(tiny, answers, arms, batch_tokens):
    opened = tiny()
    texts = answers(9)
    costs = arm_costs(opened, texts, arms, batch_tokens=batch_tokens)
    for cost, moved in zip(costs, movers(arms), strict=True):
        rows = brute_force(opened, texts, moved)
        tokens = sum(n for _, n in rows)
        mean = sum(kl for kl, _ in rows) / tokens
        assert cost.kl_nats_per_token == pytest.approx(mean, rel=1e-9)
        assert (cost.n_answers, cost.n_tokens) == (9, tokens)
        errors = sum((kl - mean * n) ** 2 for kl, n in rows)
        assert cost.stderr == pytest.approx((9 / 8 * errors) ** 0.5 / tokens, rel=1e-9)


def test_float32_model_gives_the_same_cost(tiny, answers, arms):
    texts = answers(6)
    wide = arm_costs(tiny(), texts, arms)
    narrow = arm_costs(tiny(dtype=torch.float32), texts, arms)
    for one, two in zip(wide, narrow, strict=True):
        assert two.kl_nats_per_token == pytest.approx(one.kl_nats_per_token, rel=1e-4)


def test_arms_are_taken_in_turns_when_memory_is_short(tiny, answers, arms, monkeypatch):
    opened = tiny()
    texts = answers(5)
    together = arm_costs(opened, texts, arms, batch_tokens=60)
    monkeypatch.setattr(capability, "LOGIT_CELLS", 1)
    alone = arm_costs(opened, texts, arms, batch_tokens=60)
    for one, two in zip(together, alone, strict=True):
        assert two.kl_nats_per_token == pytest.approx(one.kl_nats_per_token, rel=1e-9)


def test_arm_that_changes_nothing_costs_nothing(tiny, answers, direction):
    opened = tiny(dtype=torch.float32)
    (cost,) = arm_costs(opened, answers(4), [Arm("zero", (add(direction(torch.ones(3, 32)), 1, 0.0),))])
    assert 0 <= cost.kl_nats_per_token < 1e-6


def test_one_answer_has_no_standard_error(tiny, answers, arms):
    (cost, *_) = arm_costs(tiny(), answers(1), arms)
    assert cost.stderr is None


def test_second_run_computes_nothing_and_says_the_same(tiny, answers, arms, tmp_path):
    opened = tiny()
    texts = answers(7)
    first = arm_costs(opened, texts, arms, out=tmp_path / "costs.jsonl", batch_tokens=100)
    before = (tmp_path / "costs.jsonl").read_bytes()
    opened.sites.decoder.register_forward_pre_hook(_forbidden)
    assert arm_costs(opened, texts, arms, out=tmp_path / "costs.jsonl", batch_tokens=100) == first
    assert (tmp_path / "costs.jsonl").read_bytes() == before
    assert len(Table(tmp_path / "costs.jsonl").rows()) == 21


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.5, 0.77, 0.99])
def test_what_a_kill_took_comes_back_byte_by_byte(tiny, answers, arms, tmp_path, share):
    opened = tiny(dtype=torch.float32)
    texts = answers(7)
    path = tmp_path / "costs.jsonl"
    arm_costs(opened, texts, arms, out=path, batch_tokens=60)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    arm_costs(opened, texts, arms, out=path, batch_tokens=60)
    assert path.read_bytes() == whole


def test_picked_answers_depend_on_the_seed_only(answers):
    texts = answers(100)
    picked = pick_answers(texts, seed=1)
    assert len(picked) == 64
    assert picked == pick_answers(texts[::-1], seed=1)
    assert picked != pick_answers(texts, seed=2)
    assert len(pick_answers(texts[:10])) == 10


def _forbidden(module, args):
    raise AssertionError("the model ran")
