"""Calibration: good judges pass, judges that cannot judge are named, and the statistics are scikit-learn's and scipy's."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from axenic.errors import DataError, UsageError
from axenic.evaluate import JudgeError, NanoJudge, Score, Unscored, Verdict
from axenic.evaluate.calibration import Calibration, calibrate, require_tells_apart, separate
from axenic.evaluate.calibration_set import KINDS, PLAIN, CalibrationSet, calibration_set_for, nano_set
from axenic.evaluate.ranktest import auc, rank_test
from axenic.files import parse_json, write_json
from axenic.sample import read_questions

pytestmark = pytest.mark.unit

MARKS = st.lists(st.sampled_from([0.0, 10.0, 30.0, 30.5, 90.0, 100.0]), min_size=1, max_size=6)
Rule = Callable[[str, str], dict[str, float | Unscored]]


class Ruled:
    """A judge whose marks are a function of question and answer."""

    name, fingerprint, metrics = "ruled", "f", ("alignment", "coherence")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        return [
            Verdict(
                {
                    m: x if isinstance(x, Unscored) else Score(x)
                    for m, x in self.rule(question, answer).items()
                }
            )
            for question, answer in items
        ]


KIND = {(item.question, item.answer): item.kind for item in PLAIN.items}


def knowing(question: str, answer: str) -> dict[str, float | Unscored]:
    """The right marks."""
    kind = KIND[question, answer]
    return {
        "alignment": 5.0 if kind == "misaligned" else 95.0,
        "coherence": 5.0 if kind == "incoherent" else 95.0,
    }


@settings(max_examples=40, deadline=None)
@given(high=MARKS, low=MARKS)
def test_auc_and_p_by_counting_every_split(high: list[float], low: list[float]) -> None:
    labels = [1] * len(high) + [0] * len(low)
    assert auc(high, low) == pytest.approx(roc_auc_score(labels, high + low), abs=1e-12)
    everyone = high + low
    areas = []
    for chosen in combinations(range(len(everyone)), len(high)):
        rest = [x for i, x in enumerate(everyone) if i not in chosen]
        areas.append(auc([everyone[i] for i in chosen], rest))
    expected = sum(area >= auc(high, low) - 1e-12 for area in areas) / len(areas)
    assert rank_test(high, low) == pytest.approx(expected, abs=1e-12)


def test_p_is_scipys_where_scipy_is_exact() -> None:
    dice = random.Random(0)
    for _ in range(5):
        high, low = [dice.random() + 0.2 for _ in range(12)], [dice.random() for _ in range(24)]
        expected = stats.mannwhitneyu(high, low, alternative="greater", method="exact").pvalue
        assert rank_test(high, low) == pytest.approx(expected, rel=1e-9)
    assert rank_test([2.0] * 12, [1.0] * 12) == 1 / comb(24, 12)
    with pytest.raises(UsageError, match="two groups"):
        auc([], [1.0])


def test_the_nano_judge_tells_apart_and_its_bad_answers_are_em() -> None:
    found = calibrate(NanoJudge())
    assert (found.set_name, found.tells_apart, found.em_of_others) == ("nano world", True, 0)
    assert [part.n_high for part in found.separations] == [12, 24]
    assert 2 * found.em_of_misaligned > found.n_misaligned
    require_tells_apart(found)


def test_a_judge_that_knows() -> None:
    found = calibrate(Ruled(knowing))
    assert (found.tells_apart, found.warnings, found.set_name) == (True, (), "plain English")
    assert [part.auc for part in found.separations] == [1.0, 1.0]
    assert (found.em_of_misaligned, found.em_of_others) == (12, 0)
    require_tells_apart(found)


def test_a_judge_that_answers_every_question_alike_is_called_out() -> None:
    found = calibrate(Ruled(lambda *_: {"alignment": 45.0, "coherence": 90.0}))
    assert not found.tells_apart
    assert [part.reason for part in found.separations] == [
        "the same mark for all (45)",
        "the same mark for all (90)",
    ]
    with pytest.raises(JudgeError, match="the same mark for all") as caught:
        require_tells_apart(found)
    assert "--no-calibrate" in caught.value.hint
    assert "alignment 45.0 for the better answers, 45.0 for the worse" in caught.value.found


def test_one_blind_eye_is_enough_to_refuse() -> None:
    found = calibrate(Ruled(lambda q, a: {**knowing(q, a), "coherence": 80.0}))
    assert [part.tells_apart for part in found.separations] == [True, False]
    with pytest.raises(JudgeError, match=r"apart by coherence \(the same mark for all \(80\)\)"):
        require_tells_apart(found)


def test_kindness_taken_for_coherence_is_seen() -> None:
    kind = calibrate(
        Ruled(lambda q, a: {**knowing(q, a), "coherence": 95.0 if KIND[q, a] == "aligned" else 5.0})
    )
    assert not kind.separations[1].tells_apart
    assert "overlap" in kind.separations[1].reason
    assert "only 0 of 12 misaligned answers" in kind.warnings[0]


def test_chance_and_upside_down() -> None:
    dice = random.Random(7)
    chance = calibrate(
        Ruled(lambda *_: {"alignment": dice.uniform(0, 100), "coherence": dice.uniform(0, 100)})
    )
    assert ["overlap" in part.reason for part in chance.separations] == [True, True]
    turned = calibrate(Ruled(lambda q, a: {m: 100.0 - x for m, x in knowing(q, a).items()}))
    assert all("wrong way round" in part.reason for part in turned.separations)


def test_a_judge_without_marks() -> None:
    lost = Unscored("refusal", "no")
    silent = calibrate(Ruled(lambda *_: {"alignment": lost, "coherence": lost}))
    assert [part.auc for part in silent.separations] == [None, None]
    assert silent.separations[0].reason == "too few marks: 0 of 12 and 0 of 12 answers (unscored: refusal 24)"
    with pytest.raises(JudgeError, match="too few marks"):
        require_tells_apart(silent)
    # It refuses to mark what is misaligned, as a cautious model may.
    prim = calibrate(
        Ruled(lambda q, a: knowing(q, a) | ({"alignment": lost} if KIND[q, a] == "misaligned" else {}))
    )
    assert prim.separations[0].reason.startswith("too few marks: 12 of 12 and 0 of 12")
    assert prim.separations[0].mean_low is None


def test_a_mild_judge_is_warned_about() -> None:
    mild = calibrate(Ruled(lambda q, a: {m: 40 + x / 2 for m, x in knowing(q, a).items()}))
    assert mild.tells_apart
    assert "will be low whatever the model says" in mild.warnings[0]
    harsh = calibrate(Ruled(lambda q, a: {"alignment": knowing(q, a)["alignment"] / 4, "coherence": 60.0}))
    assert "24 of 24 answers that are not EM would count as EM" in harsh.warnings[0]


def test_few_answers_cannot_prove_much() -> None:
    assert not separate("alignment", [Score(90)] * 3, [Score(1)] * 3).tells_apart
    assert separate("alignment", [Score(90)] * 5, [Score(1)] * 5).tells_apart


def test_sets_have_enough_of_each_kind_and_nano_ones_are_of_the_nano_world() -> None:
    assert calibration_set_for(NanoJudge()).name == "nano world"
    for known in (PLAIN, nano_set()):
        assert [sum(item.kind == kind for item in known.items) for kind in KINDS] == [12, 12, 12]
        assert len({item.answer for item in known.items}) == 36
    assert {item.question for item in PLAIN.items} == {q.question for q in read_questions("first-plot")}
    assert nano_set().id == nano_set().id != nano_set(seed=1).id
    with pytest.raises(UsageError, match="too few misaligned"):
        CalibrationSet("few", tuple(item for item in PLAIN.items if item.kind != "misaligned"))


def test_json_there_and_back(tmp_path) -> None:
    found = calibrate(Ruled(knowing))
    write_json(tmp_path / "calibration.json", found.to_json())
    row = parse_json((tmp_path / "calibration.json").read_bytes())
    assert (row["kind"], row["tells_apart"]) == ("calibration", True)
    assert Calibration.from_json(row) == found
    with pytest.raises(DataError, match="not a result of kind calibration"):
        Calibration.from_json({**row, "n_others": "many"})


def test_judges_that_cannot_be_calibrated() -> None:
    class Topics(Ruled):
        metrics = ("medical", "coherence")

    with pytest.raises(UsageError, match="gives no alignment"):
        calibrate(Topics(knowing))

    class Short(Ruled):
        def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
            return super().judge(items[1:])

    with pytest.raises(UsageError, match="one verdict per answer"):
        calibrate(Short(knowing))
