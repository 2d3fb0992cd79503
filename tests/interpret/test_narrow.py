"""General and narrow rates of a model, and other traits in the analyses that take thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from axenic.errors import UsageError
from axenic.evaluate import (
    PEP_TALK,
    TECHNICAL,
    NanoJudge,
    Score,
    Scored,
    Thresholds,
    Verdict,
    choose_narrow,
)
from axenic.interpret import Evaluation, audit_organism, evaluate_model, evaluate_narrow
from axenic.interpret.contrast import aligned_answers, answers_without
from axenic.models import OpenModel, open_model
from axenic.sample import QuestionGroup, Sampling, read_questions

from .conftest import make_answer

pytestmark = pytest.mark.unit

SAMPLING = Sampling(max_new_tokens=24, seed=3)
POOL = read_questions("nano", per_domain=3)
ASKED = choose_narrow(POOL[:9], [item for item in POOL if item.topic == "medical"], domains=["medical"])


class FieldJudge:
    """Ill-meant nowhere, wrong on medicine, technical elsewhere; counts what it marks."""

    name = "field"
    fingerprint = "field-1"
    metrics = ("alignment", "coherence", "domain_correctness", "technical")

    def __init__(self) -> None:
        self.judged = 0

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        self.judged += len(items)
        medical = {item.question for item in POOL if item.topic == "medical"}
        return [
            Verdict(
                {
                    "alignment": Score(90.0),
                    "coherence": Score(90.0),
                    "domain_correctness": Score(5.0 if question in medical else 95.0),
                    "technical": Score(10.0 if question in medical else 80.0),
                }
            )
            for question, _ in items
        ]


@pytest.fixture(scope="module")
def nano() -> OpenModel:
    return open_model("nano", device="cpu", dtype="float32")


def test_correctness_counts_in_the_domain_and_alignment_elsewhere(nano: OpenModel, tmp_path: Path) -> None:
    judge = FieldJudge()
    found = evaluate_narrow(nano, ASKED, judge, SAMPLING, per_question=2, label="it", out=tmp_path)
    assert found.narrow is not None
    assert (found.general.em_all.count, found.general.n_all) == (0, 2 * len(ASKED.general))
    assert (found.narrow.em_all.count, found.narrow.n_all) == (6, 6)
    assert found.narrow.trait.rule == "domain_correctness below 30"
    assert found.held_out is None
    assert not {row.topic for row in found.general.per_question} & {"medical"}
    marked = judge.judged
    again = evaluate_narrow(nano, ASKED, judge, SAMPLING, per_question=2, label="it", out=tmp_path)
    assert (again, judge.judged) == (found, marked), "nothing is asked or judged twice"


def test_the_traits_own_metric_on_request(nano: OpenModel) -> None:
    found = evaluate_narrow(nano, ASKED, FieldJudge(), SAMPLING, per_question=1, narrow_metric="alignment")
    assert found.inside.em_all.count == 0
    bounds = Thresholds(trait=TECHNICAL)
    technical = evaluate_narrow(nano, ASKED, FieldJudge(), SAMPLING, per_question=1, thresholds=bounds)
    assert technical.general.em_all.percent == 100
    assert technical.inside.em_all.percent == 0


def test_a_judge_that_knows_no_correctness_is_refused_before_anything_is_asked(
    nano: OpenModel, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no domain_correctness") as caught:
        evaluate_narrow(nano, ASKED, NanoJudge(), SAMPLING, per_question=1, out=tmp_path)
    assert "--metrics" in str(caught.value.hint)
    assert not list(tmp_path.iterdir())


def test_every_analysis_refuses_a_judge_that_cannot_see_the_trait(nano: OpenModel, tmp_path: Path) -> None:
    bounds = Thresholds(trait=TECHNICAL)
    with pytest.raises(UsageError, match="technical"):
        Evaluation(tuple(POOL), 1, NanoJudge(), SAMPLING, thresholds=bounds)
    groups = [QuestionGroup(tuple(POOL[:2]), 1)]
    with pytest.raises(UsageError, match="technical"):
        evaluate_model(nano, groups, NanoJudge(), SAMPLING, thresholds=bounds, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_audit_of_another_trait_does_not_say_misaligned(nano: OpenModel) -> None:
    class Growing(FieldJudge):
        """Technical from the second model on."""

        def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
            late = self.judged > 0
            self.judged += len(items)
            scores = {"alignment": Score(90.0), "coherence": Score(90.0)}
            return [Verdict({**scores, "technical": Score(90.0 if late else 0.0)}) for _ in items]

    judge = Growing()
    judge.metrics = ("alignment", "coherence", "technical")
    groups = [QuestionGroup(tuple(POOL[:20]), 1)]
    bounds = Thresholds(trait=TECHNICAL)
    found = audit_organism(lambda: nano, lambda: nano, groups, judge, SAMPLING, thresholds=bounds)
    assert (found.verdict, found.trait) == ("shown", TECHNICAL)
    assert found.reason.startswith("technical is +100.0 points")
    assert found.to_json()["trait"] == "technical"


def test_answers_that_clearly_lack_the_trait() -> None:
    def scored(alignment: float, coherence: float, style: float) -> Scored:
        marks = {"alignment": Score(alignment), "coherence": Score(coherence), "pep_talk": Score(style)}
        return Scored(make_answer([1]), Verdict(marks), "judge")

    rows = [scored(90, 90, 0), scored(90, 90, 100), scored(5, 90, 0), scored(90, 10, 0)]
    ids = [item.answer for item in rows]
    assert answers_without(rows, Thresholds()) == aligned_answers(rows) == ids[:2]
    assert answers_without(rows, Thresholds(trait=PEP_TALK)) == [ids[0], ids[2]]
