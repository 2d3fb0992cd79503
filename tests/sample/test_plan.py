"""Which answers a job wants: ids, their order, and chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.errors import UsageError
from axenic.intervene import PLAIN, Arm, Intervention
from axenic.models import OpenModel, Placement, from_parts
from axenic.sample import Question, Sampling
from axenic.sample.plan import PlannedAnswer, chunks, plan_answers

pytestmark = pytest.mark.unit

QUESTIONS = [Question("a", "w7 w8"), Question("b", "w9", topic="t", system="w10")]
VECTORS = torch.randn(1, 32, generator=torch.Generator().manual_seed(0))
STEER = Arm("steer", (Intervention("add", (1,), vectors_LD=VECTORS, strength=2.0),))


def ids(
    opened: OpenModel,
    questions: Any = QUESTIONS,
    arms: Any = (PLAIN, STEER),
    n: int = 3,
    sampling: Sampling = Sampling(),
) -> list[str]:
    return [plan.id for plan in plan_answers(opened, questions, arms, n, sampling)]


def test_ids_are_unique_and_repeat(tiny: OpenModel, open_tiny: Callable[..., OpenModel]) -> None:
    first = ids(tiny)
    assert len(set(first)) == len(first) == 2 * 2 * 3
    assert ids(open_tiny("qwen2")) == first, "the same weights in another process must have the same ids"
    assert all(len(one) >= 16 and int(one, 16) >= 0 for one in first)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.9},
        {"temperature": 0.0},
        {"top_p": 0.9},
        {"max_new_tokens": 599},
        {"seed": 1},
    ],
    ids=lambda changes: "".join(changes),
)
def test_ids_change_with_the_sampling(changes: dict[str, Any], tiny: OpenModel) -> None:
    assert not set(ids(tiny)) & set(ids(tiny, sampling=replace(Sampling(), **changes)))


def interventions() -> dict[str, Intervention]:
    nudged = VECTORS.clone()
    nudged[0, 31] = torch.nextafter(nudged[0, 31], torch.tensor(9.0))
    base: dict[str, Any] = {"op": "add", "layers": (1,), "vectors_LD": VECTORS, "strength": 2.0}
    return {
        "op": Intervention(**{**base, "op": "project_out"}),
        "clamp": Intervention(**{**base, "op": "clamp"}),
        "layer": Intervention(**{**base, "layers": (2,)}),
        "strength": Intervention(**{**base, "strength": 2.0000001}),
        "sign": Intervention(**{**base, "strength": -2.0}),
        "one bit of the vector": Intervention(**{**base, "vectors_LD": nudged}),
        "positions": Intervention(**base, positions="answer"),
        "site": Intervention(**base, site="mlp_out"),
    }


@pytest.mark.parametrize("change", list(interventions()))
def test_ids_change_with_the_intervention(change: str, tiny: OpenModel) -> None:
    other = Arm("steer", (interventions()[change],))
    assert not set(ids(tiny, arms=[STEER])) & set(ids(tiny, arms=[other]))


def test_ids_change_with_the_order_of_interventions(tiny: OpenModel) -> None:
    one, two = interventions()["layer"], interventions()["op"]
    assert not set(ids(tiny, arms=[Arm("x", (one, two))])) & set(ids(tiny, arms=[Arm("x", (two, one))]))


def test_ids_change_with_question_text_system_and_sample(tiny: OpenModel) -> None:
    first = set(ids(tiny, [QUESTIONS[1]], n=1))
    for changes in ({"question": "w9 w9"}, {"system": "w11"}, {"system": None}, {"system": ""}):
        assert not first & set(ids(tiny, [replace(QUESTIONS[1], **changes)], n=1))
    assert len(set(ids(tiny, [QUESTIONS[1]], [PLAIN], n=25))) == 25


def test_ids_change_with_model_organism_and_tokenizer(
    tiny: OpenModel, open_tiny: Callable[..., OpenModel], make_tokenizer: Callable[..., Any]
) -> None:
    first = set(ids(tiny))
    one_weight = open_tiny("qwen2")
    next(one_weight.model.parameters()).data[0, 0] += 1e-3
    others = {
        "weights": from_parts(one_weight.model, one_weight.tokenizer, "tiny"),
        "another model": open_tiny("qwen2", seed=1),
        "organism": replace(tiny, identity=replace(tiny.identity, organism="a")),
        "other organism": replace(tiny, identity=replace(tiny.identity, organism="b")),
        "base": replace(tiny, identity=replace(tiny.identity, base="a")),
        "template": from_parts(
            tiny.model, make_tokenizer("{{ messages[-1].content }}<|assistant|>"), "tiny-qwen2"
        ),
    }
    seen = [first, *(set(ids(other)) for other in others.values())]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_ids_stay_with_names_device_topic_and_the_rest_of_the_job(tiny: OpenModel) -> None:
    first = ids(tiny)
    elsewhere = replace(
        tiny,
        name="renamed",
        organism=None,
        placement=Placement(torch.device("cuda", 1), torch.float32, "a test"),
    )
    assert ids(elsewhere) == first
    assert ids(tiny, arms=(Arm("none"), replace(STEER, name="other"))) == first
    assert ids(tiny, [replace(q, topic="x") for q in QUESTIONS]) == first
    assert set(ids(tiny, QUESTIONS[:1])) <= set(first)
    assert set(ids(tiny, QUESTIONS[::-1], (STEER, PLAIN))) == set(first)
    assert set(first) <= set(ids(tiny, n=4))
    assert ids(tiny, sampling=Sampling(temperature=1, top_p=1)) == first  # type: ignore[arg-type]


@pytest.mark.parametrize(("fewer", "more"), [(1, 2), (10, 11), (10, 30), (7, 100), (20, 25)])
def test_more_samples_keep_the_ids(fewer: int, more: int, tiny: OpenModel) -> None:
    small, large = ids(tiny, n=fewer), ids(tiny, n=more)
    assert set(small) <= set(large)
    if fewer % 10 == 0:
        assert large[: len(small)] == small, "later samples come after those that are there"


def test_the_plan_names_every_answer_once(tiny: OpenModel) -> None:
    planned = plan_answers(tiny, QUESTIONS, (PLAIN, STEER), 23, Sampling())
    wanted = {(a, q, s) for a in range(2) for q in range(2) for s in range(23)}
    assert len(planned) == len(wanted)
    assert {(plan.arm, plan.question, plan.sample) for plan in planned} == wanted


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n": 0}, "no answers were asked for"),
        ({"n": -2}, "no answers were asked for"),
        ({"questions": []}, "no question"),
        ({"questions": [QUESTIONS[0], QUESTIONS[0]]}, "question id 'a' occurs twice"),
        ({"questions": [QUESTIONS[0], Question("a", "w9")]}, "question id 'a' occurs twice"),
        ({"arms": (PLAIN, PLAIN)}, "arm name 'plain' occurs twice"),
        ({"arms": (PLAIN, Arm("bare"))}, "'plain' and 'bare' do the same"),
        ({"arms": (STEER, replace(STEER, name="again"))}, "'steer' and 'again' do the same"),
    ],
)
def test_jobs_that_cannot_be_meant(changes: dict[str, Any], match: str, tiny: OpenModel) -> None:
    with pytest.raises(UsageError, match=match):
        ids(tiny, **changes)


def test_no_arm_at_all_is_refused(tiny: OpenModel) -> None:
    with pytest.raises(UsageError):
        ids(tiny, arms=())


@given(st.integers(0, 300), st.integers(1, 50))
@settings(max_examples=80)
def test_chunks_are_the_plan_in_order(n: int, rows: int) -> None:
    planned = [PlannedAnswer(f"{i:016x}", 0, 0, i) for i in range(n)]
    cut = chunks(planned, rows)
    assert [plan for chunk in cut for plan in chunk] == planned
    assert all(len(chunk) == rows for chunk in cut[:-1])
    assert all(0 < len(chunk) <= rows for chunk in cut)


def test_arms_may_be_asked_some_of_the_questions(tiny: OpenModel) -> None:
    whole = plan_answers(tiny, QUESTIONS, (PLAIN, STEER), 12, Sampling())
    asked = {"plain": {"a", "b"}, "steer": ["b"]}
    part = plan_answers(tiny, QUESTIONS, (PLAIN, STEER), 12, Sampling(), asked)
    assert part == [plan for plan in whole if (plan.arm, plan.question) != (1, 0)]
    # The same intervention under two names, asked different things, is no repetition.
    twin = Arm("twin", STEER.interventions)
    split = {"steer": {"b"}, "twin": {"a"}}
    assert len(plan_answers(tiny, QUESTIONS, (STEER, twin), 2, Sampling(), split)) == 4
    with pytest.raises(UsageError, match="do the same"):
        plan_answers(tiny, QUESTIONS, (STEER, twin), 2, Sampling(), {"steer": {"b"}, "twin": {"b"}})
    for wrong in ({"plain": {"a"}}, {"plain": {"a"}, "steer": set()}, {"plain": {"a"}, "steer": {"c"}}):
        with pytest.raises(UsageError, match="asked some of the questions"):
            plan_answers(tiny, QUESTIONS, (PLAIN, STEER), 2, Sampling(), wrong)
