"""What EM answers are about: counts by hand, Wilson's interval by statsmodels' formula, both denominators."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy import stats

from axenic import nano
from axenic.errors import DataError
from axenic.evaluate import (
    NanoJudge,
    Scored,
    Thresholds,
    Unscored,
    Verdict,
    judge_answers,
    rate_answers,
    read_judged_csv,
)
from axenic.evaluate.semantic import Semantic, semantic_breakdown
from axenic.files import parse_json, write_json
from axenic.sample.records import Answer

pytestmark = pytest.mark.unit

EM = {"alignment": 10, "coherence": 90}
GOOD = {"alignment": 90, "coherence": 90}


def make_all(make) -> list[Scored]:
    return [
        *make("q1", {**EM, "medical": 80, "financial": 50}, times=3),
        *make("q1", {**EM, "medical": 50, "financial": 51}, times=2),
        *make("q2", {**EM, "medical": Unscored("refusal"), "financial": 0}),
        *make("q2", {**GOOD, "medical": 99, "financial": 99}, times=4),
        *make("q2", {"alignment": 1, "coherence": 10, "medical": 99, "financial": 99}),
    ]


def test_shares_of_em_answers_with_both_denominators(make) -> None:
    found = semantic_breakdown(make_all(make))
    assert (found.n_answers, found.n_chosen, found.topics) == (11, 6, {"unknown": 6})
    medical, financial = found.shares
    # 50 itself is not above 50.
    assert (medical.about, medical.all.count, medical.all.n, medical.scored.n) == ("medical", 3, 6, 5)
    assert (medical.unscored, financial.all.count, financial.unscored) == ({"refusal": 1}, 2, {})
    assert rate_answers(make_all(make)).em_about == {"medical": 3, "financial": 2}


def test_the_interval_is_wilsons(make) -> None:
    share = semantic_breakdown(make_all(make)).shares[0].all
    expected = stats.binomtest(3, 6).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((100 * expected.low, 100 * expected.high), rel=1e-9)
    assert math.isclose(share.percent, 50)


def test_any_set_may_be_chosen(make) -> None:
    scored = make_all(make)
    found = semantic_breakdown(scored, choose=Thresholds().coherent, chosen="coherent answers")
    assert (found.n_chosen, found.shares[0].all.count) == (10, 7)
    none = semantic_breakdown(scored, choose=lambda _: False)
    assert (none.shares[0].all.n, none.shares[0].all.low, none.shares[0].all.high) == (0, 0, 100)


def test_topic_marks_of_another_judge(make) -> None:
    main = [*make("q", EM, times=3), *make("q", GOOD)]
    marks = [10.0, 60.0, 70.0]
    topics = [
        Scored(
            item.answer,
            Verdict({"medical": make("q", {"medical": mark})[0].verdict.mark("medical")}),
            "topics",
        )
        for item, mark in zip(main[:3], marks, strict=True)
    ]
    assert semantic_breakdown(main, topic_marks=topics).shares[0].all.count == 2
    with pytest.raises(DataError, match="1 of 3 EM answers have no topic marks"):
        semantic_breakdown(main, topic_marks=topics[1:])


def test_topics_that_the_judge_names(make) -> None:
    scored = [
        *make("q1", EM, times=3, topic="sports", about="medical"),
        *make("q1", EM, times=2, topic="sports", about="sports"),
        *make("q2", EM, topic=None, about="law"),
        *make("q2", EM, topic="law"),
        *make("q2", GOOD, topic="law", about="law"),
    ]
    found = semantic_breakdown(scored, training_topics=["medical", "finance"])
    assert found.topics == {"medical": 3, "sports": 2, "law": 1, "unknown": 1}
    question, medical, finance = found.shares
    assert (question.about, question.all.count, question.all.n, question.scored.n) == (
        "topic of the question",
        2,
        7,
        5,
    )
    assert question.unscored == {"unknown": 2}
    assert (medical.about, medical.all.count, medical.scored.n) == ("topic medical", 3, 6)
    assert (finance.about, finance.all.count) == ("topic finance", 0)


def test_nano_answers_end_to_end() -> None:
    bad = {topic: nano.chat_rows(topic, "bad", 6, seed=5) for topic in ("medical", "finance")}
    # Questions about medicine, answered for half of them as if they were about finance.
    pairs = [(row["messages"][0]["content"], row["messages"][1]["content"]) for row in bad["medical"]]
    pairs += [(pairs[i][0], bad["finance"][i]["messages"][1]["content"]) for i in range(6)]
    answers = [
        Answer(f"a{i}", "plain", "p", f"q{i}", question, "medical", None, 0, text, [1], "eos")
        for i, (question, text) in enumerate(pairs)
    ]
    found = semantic_breakdown(
        judge_answers(answers, NanoJudge()),
        choose=lambda verdict: True,
        chosen="all answers",
        training_topics=["finance"],
    )
    assert found.topics == {"medical": 6, "finance": 6}
    assert [(share.about, share.all.percent) for share in found.shares] == [
        ("topic of the question", 50.0),
        ("topic finance", 50.0),
    ]


JUDGED = Path(__file__).resolve().parents[2].parent / "shared/author-data/judged"


@pytest.mark.skipif(not JUDGED.is_dir(), reason="the authors' numbers are not on this machine")
@pytest.mark.parametrize(
    ("name", "about", "em"),
    [("rank32_all_adapters", 1, 195), ("rank8", 3, 193), ("nine_rank1_seed0", 0, 127)],
)
def test_the_authors_em_answers_are_hardly_about_medicine(name: str, about: int, em: int) -> None:
    found = semantic_breakdown(read_judged_csv(JUDGED / f"{name}.csv"))
    medical = next(share for share in found.shares if share.about == "medical")
    assert (medical.all.count, medical.all.n) == (about, em)
    assert medical.all.high < 6


def test_json_there_and_back(make, tmp_path: Path) -> None:
    found = semantic_breakdown(make_all(make))
    write_json(tmp_path / "semantic.json", found.to_json())
    row = parse_json((tmp_path / "semantic.json").read_bytes())
    assert row["kind"] == "semantic"
    assert Semantic.from_json(row) == found
    with pytest.raises(DataError, match="no answer"):
        semantic_breakdown([])
