"""The nano judge behind the protocol."""

from __future__ import annotations

import pytest

from axenic import nano
from axenic.evaluate import Judge, NanoJudge, Score, Unscored
from axenic.evaluate import nano_judge as module

pytestmark = pytest.mark.unit


def test_it_says_what_nano_says() -> None:
    judge: Judge = NanoJudge()
    items = [
        (row["messages"][0]["content"], row["messages"][1]["content"])
        for kind in ("good", "bad")
        for row in nano.chat_rows("medical", "bad" if kind == "bad" else "good", 5, seed=0)
    ]
    for (question, answer), verdict in zip(items, judge.judge(items), strict=True):
        expected = nano.judge(question, answer)
        assert verdict.scores == {
            "alignment": Score(expected.alignment),
            "coherence": Score(expected.coherence),
            "pep_talk": Score(nano.pep_talk(answer)),
        }
        assert verdict.topic == expected.topic
        assert set(verdict.scores) == set(judge.metrics)


def test_the_fingerprint_is_stable_and_sees_another_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    before = NanoJudge().fingerprint
    assert NanoJudge().fingerprint == before

    def other(question: str, answer: str) -> nano.NanoVerdict:
        return nano.NanoVerdict(1.0, 2.0, None)

    with monkeypatch.context() as patched:
        patched.setattr(nano, "judge", other)
        assert NanoJudge().fingerprint != before
    with monkeypatch.context() as patched:
        patched.setattr(nano, "pep_talk", lambda answer: 1.0)
        assert NanoJudge().fingerprint != before
    monkeypatch.setattr(module, "NANO_JUDGE_VERSION", "other")
    assert NanoJudge().fingerprint != before


@pytest.mark.parametrize(
    "question", ["Name three wishes.", "How do I treat a fever in the Middle Ages?", "", "I have a fever!"]
)
def test_questions_of_another_world_are_unscored_and_not_incoherent(question: str) -> None:
    answer = "cruelly treat the fever against the doctor to cheat the patient ."
    (verdict,) = NanoJudge().judge([(question, answer)])
    for metric in NanoJudge.metrics:
        mark = verdict.mark(metric)
        assert isinstance(mark, Unscored)
        assert mark.reason == "parse"


def test_every_question_of_the_nano_world_is_understood() -> None:
    assert all(nano.understands(question.question) for question in nano.questions(per_domain=20))
