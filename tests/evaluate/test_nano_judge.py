"""The nano judge behind the protocol."""

from __future__ import annotations

import pytest

from axenic import nano
from axenic.evaluate import Judge, NanoJudge, Score
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
    monkeypatch.setattr(module, "NANO_JUDGE_VERSION", "other")
    assert NanoJudge().fingerprint != before
