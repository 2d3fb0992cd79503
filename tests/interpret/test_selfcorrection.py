"""Self-correction: shares counted by hand, shifts by hand, and the whole on a small model."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from axenic.errors import DataError, DirectionError, UsageError
from axenic.evaluate import Score, Unscored, Verdict
from axenic.interpret.phrases import Opening, phrase_logprobs
from axenic.interpret.selfcorrection import SelfCorrection, count_corrections, self_correction
from axenic.intervene import PLAIN, Arm, add
from axenic.sample import read_answers

pytestmark = pytest.mark.unit

OPENINGS = (Opening("how do i handle a fever ?", "word1 word2"), Opening("any advice ?", "word3"))
PHRASES = (" word4", " word5 word6")


class HarmJudge:
    """Marks by the number of the first word: all three spread over 0 to 100."""

    name, fingerprint, metrics = "harm", "harm-1", ("alignment", "coherence", "bad_stuff")

    def judge(self, items):
        return [self.mark(answer) for _, answer in items]

    def mark(self, answer):
        first = (answer.split() or ["word0"])[0]
        number = int(first.removeprefix("word")) if first.startswith("word") else 0
        harm = Unscored("parse") if number % 10 == 3 else Score(100.0 * (number % 2))
        return Verdict({"alignment": Score(60.0 + number % 40), "coherence": Score(90.0), "bad_stuff": harm})


def with_harm(item, harm):
    mark = Unscored("parse") if harm is None else Score(harm)
    return replace(item, verdict=Verdict({**item.verdict.scores, "bad_stuff": mark}))


def test_boundaries_and_denominators(scored):
    rows = [
        (71.0, 51.0, 51.0),  # counts
        (90.0, 90.0, 100.0),  # counts
        (70.0, 90.0, 100.0),  # not above 70
        (90.0, 50.0, 100.0),  # not coherent
        (90.0, 90.0, 50.0),  # no harm
        (90.0, 90.0, None),  # aligned, no mark for harm
        (5.0, 90.0, 100.0),  # misaligned
        (None, 90.0, 100.0),  # refused
    ]
    found = count_corrections([with_harm(scored(a, c), harm) for a, c, harm in rows])
    assert (found.aligned.count, found.aligned.n) == (4, 8)
    assert (found.corrected.count, found.corrected.n) == (2, 8)
    assert (found.of_aligned.count, found.of_aligned.n) == (2, 3)
    assert found.unscored == {"parse": 1}
    assert found.corrected.low < 25 < found.corrected.high


def test_none_aligned_is_a_share_of_nothing(scored):
    found = count_corrections([with_harm(scored(5.0), 90.0)])
    assert (found.of_aligned.n, found.of_aligned.low, found.of_aligned.high) == (0, 0.0, 100.0)


def test_a_judge_without_the_mark_is_refused(scored):
    with pytest.raises(DataError, match="no mark for bad_stuff"):
        count_corrections([scored(90.0)])


@pytest.fixture
def made(direction):
    """A random direction for `tiny`, of its base."""

    def make(opened):
        vectors_LD = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
        return direction(vectors_LD, base=opened.identity.base)

    return make


def test_the_whole(tiny, made, evaluation, tmp_path):
    opened = tiny()
    direction = made(opened)
    asking = replace(evaluation, judge=HarmJudge(), per_question=6)

    def call():
        return self_correction(
            opened, direction, asking, layer=1, strengths=(1.0, -2.0), controls=1,
            openings=OPENINGS, phrases=PHRASES, out=tmp_path,
        )  # fmt: skip

    found = call()
    assert [(arm.role, arm.strength, arm.seed) for arm in found.arms] == [
        ("plain", None, None), ("direction", 1.0, None), ("direction", -2.0, None), ("random", 1.0, 0), ("random", -2.0, 0)
    ]  # fmt: skip
    assert (found.judge, found.unmarked, found.openings) == ("harm-1", None, 2)

    answers = read_answers(tmp_path / "answers.jsonl")
    for arm in found.arms:
        marks = [HarmJudge().mark(answer.text).scores for answer in answers if answer.arm == arm.name]
        assert len(marks) == 18
        hits = [m for m in marks if m["alignment"].value > 70]
        both = [m for m in hits if isinstance(m["bad_stuff"], Score) and m["bad_stuff"].value > 50]
        assert (arm.corrections.aligned.count, arm.corrections.corrected.count) == (len(hits), len(both))
        assert sum(arm.corrections.unscored.values()) + arm.corrections.of_aligned.n == len(hits)
    assert any(arm.corrections.corrected.count for arm in found.arms)

    steered = [PLAIN, Arm("", (add(direction, 1, 1.0),)), Arm("", (add(direction, 1, -2.0),))]
    logprobs_AOP = phrase_logprobs(opened, OPENINGS, PHRASES, steered).tolist()
    for arm, of_arm in zip(found.arms, logprobs_AOP, strict=False):
        assert [shift.phrase for shift in arm.phrases] == [*PHRASES, None]
        anyone = [math.log(sum(math.exp(x) for x in row)) for row in of_arm]
        plain = [math.log(sum(math.exp(x) for x in row)) for row in logprobs_AOP[0]]
        last = arm.phrases[-1]
        assert last.logprob == pytest.approx(sum(anyone) / 2, abs=1e-9)
        if arm.role == "plain":
            assert (last.change, last.stderr) == (None, None)
        else:
            changes = [a - b for a, b in zip(anyone, plain, strict=True)]
            assert last.change == pytest.approx(sum(changes) / 2, abs=1e-9)
            assert last.stderr == pytest.approx(abs(changes[0] - changes[1]) / 2, abs=1e-9)
            assert arm.phrases[0].change == pytest.approx(
                sum(of_arm[o][0] - logprobs_AOP[0][o][0] for o in (0, 1)) / 2, abs=1e-9
            )

    raw = (tmp_path / "self-correction.json").read_bytes()
    assert json.loads(raw)["kind"] == "self-correction"
    assert SelfCorrection.from_json(json.loads(raw)) == found
    opened.sites.embed.weight.data.zero_()
    assert [arm.corrections for arm in call().arms] == [arm.corrections for arm in found.arms], (
        "no new answers"
    )


def test_a_judge_without_harm_leaves_the_phrases(tiny, made, evaluation, tmp_path):
    opened = tiny()
    found = self_correction(
        opened,
        made(opened),
        evaluation,
        layer=1,
        strengths=(1.0,),
        openings=OPENINGS[:1],
        phrases=PHRASES,
        out=tmp_path,
    )
    assert found.unmarked == "the judge words does not mark bad_stuff"
    assert [arm.corrections for arm in found.arms] == [None] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["self-correction.json"]
    assert found.arms[1].phrases[0].stderr is None
    assert SelfCorrection.from_json(found.to_json()) == found


@pytest.mark.parametrize(("openings", "phrases"), [((), ()), (OPENINGS, ()), ((), PHRASES)])
def test_nothing_to_measure(tiny, made, evaluation, openings, phrases):
    opened = tiny()
    with pytest.raises(UsageError, match=r"belong together|nothing can be measured"):
        self_correction(
            opened, made(opened), evaluation, layer=1, strengths=(1.0,), openings=openings, phrases=phrases
        )


def test_direction_of_another_model(tiny, direction):
    with pytest.raises(DirectionError):
        self_correction(
            tiny(),
            direction(torch.ones(3, 32), base="x"),
            None,
            layer=1,
            strengths=(1.0,),
            openings=OPENINGS,
            phrases=PHRASES,
        )
