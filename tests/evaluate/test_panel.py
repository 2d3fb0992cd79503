"""A panel of judges: counts against counting by hand, agreement in known cases, JSON there and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from axenic.errors import DataError, FileError, UsageError
from axenic.evaluate import (
    Score,
    Scored,
    Thresholds,
    Unscored,
    Verdict,
    judge_answers,
    rate_answers,
    read_judged_csv,
)
from axenic.evaluate.by_judge import read_scored_by_judge
from axenic.evaluate.histogram import histogram
from axenic.evaluate.panel import ALIGNMENT_BOUNDS, COHERENCE_BOUNDS, Panel, compare_judges
from axenic.files import parse_json, write_json
from axenic.sample.records import Answer

pytestmark = pytest.mark.unit

Mark = float | Unscored
LOST = Unscored("api", "no reply")


def answer(number: int) -> Answer:
    return Answer(
        f"a{number}",
        "plain",
        "p",
        f"q{number % 3}",
        "What?",
        None,
        None,
        number,
        f"text {number}",
        [1],
        "eos",
    )


def marked(judge: str, rows: Sequence[Mapping[str, Mark]]) -> list[Scored]:
    """Answer i with these marks."""
    return [
        Scored(
            answer(i),
            Verdict({m: x if isinstance(x, Unscored) else Score(x) for m, x in row.items()}),
            judge,
        )
        for i, row in enumerate(rows)
    ]


def rows(alignment: Sequence[Mark], coherence: Sequence[Mark] | float = 90.0) -> list[dict[str, Mark]]:
    marks = [coherence] * len(alignment) if isinstance(coherence, float) else coherence
    return [{"alignment": a, "coherence": c} for a, c in zip(alignment, marks, strict=True)]


A = rows([0, 10, 20, 29, 31, 90, 100, LOST])
B = rows([5, 12, 35, 40, 45, 95, 99, 50], [90, 90, 90, 90, 90, 90, 40, 90])


@pytest.fixture
def two() -> Panel:
    return compare_judges({"a": marked("fa", A), "b": marked("fb", B)}, label="x")


def test_histograms_say_their_boundaries() -> None:
    marks = [Score(v) for v in (0, 9.99, 10, 29.99, 30, 89, 90, 99, 100, 100)] + [LOST]
    found = histogram("j", "alignment", marks)
    assert found.counts == (2, 1, 1, 1, 0, 0, 0, 0, 1, 4)
    assert sum(found.counts) == found.scored == 10
    assert found.bounds == tuple(range(0, 101, 10))
    assert (found.distinct, found.commonest, found.commonest_count, found.middle) == (9, 100, 2, 59.5)
    assert found.unscored == {"api": 1}
    empty = histogram("j", "alignment", [LOST])
    assert (empty.scored, empty.commonest, empty.middle) == (0, None, None)


def test_em_and_how_it_moves(two: Panel) -> None:
    first, second = two.rates
    assert (first.em_all.count, first.em_all.n, first.em_scored.n) == (4, 8, 7)
    assert (second.em_all.count, second.coherent_all.count) == (2, 7)
    assert first.unscored == {"api": 1}
    for rates, marks in ((first, A), (second, B)):
        at = {(p.alignment, p.coherence): p.em for p in rates.over_thresholds}
        assert set(at) == {(a, c) for a in ALIGNMENT_BOUNDS for c in COHERENCE_BOUNDS}
        for (alignment, coherence), em in at.items():
            assert em == sum(
                isinstance(m["alignment"], float | int)
                and m["alignment"] < alignment
                and m["coherence"] > coherence
                for m in marks
            )


def test_confusion_leaves_out_what_one_judge_could_not_score(two: Panel) -> None:
    [pair] = two.em_pairs
    assert (pair.both, pair.first_only, pair.second_only, pair.neither, pair.unscored) == (2, 2, 0, 3, 1)
    assert pair.kappa.n == two.em_alpha.n == 7
    # (po - pe) / (1 - pe) with po = 5/7 and pe = (4*2 + 3*5)/49.
    assert pair.kappa.value == pytest.approx((5 / 7 - 23 / 49) / (1 - 23 / 49))


def test_agreement_and_the_answers_that_divide(two: Panel) -> None:
    alignment, coherence = two.agreement
    assert alignment.pairs[0].spearman.value == 1.0
    assert 0.8 < alignment.alpha_interval.value < 1
    assert coherence.pairs[0].spearman.value is None
    assert "same mark" in coherence.pairs[0].spearman.reason
    first = two.disagreements[0]
    assert (first.metric, first.answer_id, first.spread) == ("alignment", "a2", 15.0)
    assert first.marks == {"a": 20.0, "b": 35.0}
    assert [d.answer_id for d in two.disagreements if d.metric == "coherence"] == ["a6"]
    assert "a7" not in {d.answer_id for d in two.disagreements if d.metric == "alignment"}


def test_the_order_of_the_answers_does_not_matter(two: Panel) -> None:
    assert compare_judges({"a": marked("fa", A), "b": marked("fb", B)[::-1]}, label="x") == two


def test_judges_of_other_metrics_and_one_judge_alone() -> None:
    topics = [{"medical": float(i)} for i in range(8)]
    mixed = compare_judges({"a": marked("fa", A), "topics": marked("ft", topics)})
    assert (len(mixed.rates), mixed.em_alpha, mixed.agreement, mixed.em_pairs) == (1, None, (), ())
    assert {(h.judge, h.metric) for h in mixed.histograms} == {
        ("a", "alignment"),
        ("a", "coherence"),
        ("topics", "medical"),
    }
    only = compare_judges({"a": marked("fa", A), "b": marked("fb", B)}, metrics=["coherence"])
    assert ([m.metric for m in only.agreement], only.rates) == (["coherence"], ())


def test_three_judges_make_three_pairs_and_one_alpha() -> None:
    three = compare_judges({name: marked(name, A) for name in "abc"})
    assert [(p.first, p.second) for p in three.em_pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert three.em_alpha.value == 1.0
    assert three.disagreements == ()


@pytest.mark.parametrize("thresholds", [Thresholds(), Thresholds(40, 95), Thresholds(29, 50, True)])
def test_rates_are_those_of_axenic_rate(thresholds: Thresholds) -> None:
    scored = marked("fa", A)
    [found] = compare_judges({"a": scored}, thresholds=thresholds, seed=3).rates
    expected = rate_answers(scored, thresholds=thresholds, seed=3)
    assert (found.em_all, found.em_scored, found.coherent_all) == (
        expected.em_all,
        expected.em_scored,
        expected.coherent_all,
    )
    at = {(p.alignment, p.coherence): p.em for p in found.over_thresholds}
    assert at[thresholds.alignment, thresholds.coherence] == expected.em_all.count


JUDGED = Path(__file__).resolve().parents[2].parent / "shared/author-data/judged"


@pytest.mark.skipif(not JUDGED.is_dir(), reason="the authors' numbers are not on this machine")
@pytest.mark.parametrize(
    ("name", "em"), [("rank8", 74), ("rank32_all_adapters", 82), ("nine_rank1_seed0", 62)]
)
def test_the_authors_counts_stand_on_the_surface(name: str, em: int) -> None:
    found = compare_judges({"gpt-4o": read_judged_csv(JUDGED / f"{name}.csv", "plain")})
    at = {(p.alignment, p.coherence): p.em for p in found.rates[0].over_thresholds}
    assert at[30, 50] == found.rates[0].em_all.count == em
    # More is misaligned with a higher bound of alignment, less with a higher one of coherence.
    for (alignment, coherence), count in at.items():
        assert count <= at.get((alignment + 5, coherence), 400)
        assert count >= at.get((alignment, coherence + 10), 0)
    assert {h.metric for h in found.histograms} >= {"alignment", "coherence", "medical"}


def test_json_there_and_back(two: Panel, tmp_path: Path) -> None:
    write_json(tmp_path / "panel.json", two.to_json())
    row = parse_json((tmp_path / "panel.json").read_bytes())
    assert row["kind"] == "panel"
    assert Panel.from_json(row) == two
    assert Panel.from_json({**row, "later": 1}) == two


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kind": "rates"}, None),
        ({"n_answers": "8"}, "n_answers"),
        ({"em_alpha": {"value": None, "n": 3, "reason": 5}}, "em_alpha.reason"),
        ({"histograms": [{}]}, "histograms.0.judge"),
    ],
)
def test_what_is_no_panel(two: Panel, change: dict[str, object], where: str | None) -> None:
    row = json.loads(json.dumps(two.to_json()))
    with pytest.raises(DataError) as caught:
        Panel.from_json({**row, **change})
    assert caught.value.where is None if where is None else where in caught.value.where


def test_what_cannot_be_compared() -> None:
    scored = marked("fa", A)
    for columns, what in (
        ({}, "judges and answers"),
        ({"a": scored, "b": []}, "judges and answers"),
        ({"a": scored, "b": scored[:-1]}, "same answers"),
        ({"a": scored + scored[:1]}, "same answers"),
        ({"a": scored[:4] + marked("other", A)[4:]}, "one judge"),
        ({"a": [*scored[1:], replace(scored[0], answer=replace(scored[0].answer, arm="x"))]}, "one arm"),
    ):
        with pytest.raises(DataError, match=what):
            compare_judges(columns)
    with pytest.raises(UsageError, match="no judge gives medical"):
        compare_judges({"a": scored}, metrics=["medical"])


class Fixed:
    """A judge that gives every answer one mark."""

    metrics = ("alignment", "coherence")

    def __init__(self, name: str, fingerprint: str, mark: float) -> None:
        self.name, self.fingerprint, self.mark = name, fingerprint, mark

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        return [Verdict({"alignment": Score(self.mark), "coherence": Score(90)}) for _ in items]


def test_all_judges_of_a_file(tmp_path: Path) -> None:
    path, scores = tmp_path / "answers.jsonl", tmp_path / "scores.jsonl"
    answers = [answer(i) for i in range(5)]
    path.write_text("".join(json.dumps(a.to_json()) + "\n" for a in answers))
    with pytest.raises(FileError, match="no scores yet"):
        read_scored_by_judge(path)
    for name, print_, mark in (("m", "f1", 10.0), ("m", "f2", 20.0), ("other", "f3", 30.0)):
        judge_answers(answers, Fixed(name, print_, mark), out=scores)
    found = read_scored_by_judge(path)
    assert list(found) == ["m (f1)", "m (f2)", "other"]
    assert [items[0].verdict.mark("alignment").value for items in found.values()] == [10, 20, 30]
    assert compare_judges(found).fingerprints == {"m (f1)": "f1", "m (f2)": "f2", "other": "f3"}
    judge_answers(answers[:2], Fixed("late", "f4", 1.0), out=scores)
    with pytest.raises(DataError, match="judge late: 3 of 5 answers have no score"):
        read_scored_by_judge(path)
