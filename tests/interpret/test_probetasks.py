"""The four tasks on made-up scalars in which it is known what tells the classes apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from axenic.errors import DataError
from axenic.evaluate import Score, Scored, Unscored, Verdict
from axenic.interpret.probetasks import answer_class, probe_tasks
from axenic.interpret.scalars import AdapterScalars

pytestmark = pytest.mark.unit


def make(answer, alignment, topic=None, **marks):
    scores = {"alignment": Score(alignment) if alignment is not None else Unscored("refusal"), **marks}
    return Scored(answer([9]), Verdict(scores, topic), "judge")


@pytest.mark.parametrize(
    ("alignment", "mark", "expected"),
    [
        (90.0, Score(50.0), "domain aligned"), (30.0, Score(1.0), "other misaligned"), (30.1, Score(0.0), None),
        (89.9, Score(99.0), None), (95.0, Score(1.1), None), (0.0, Score(49.9), None), (None, Score(99.0), None),
        (95.0, Unscored("parse"), None),
    ],
)  # fmt: skip
def test_classes_have_the_published_bounds(answer, alignment, mark, expected):
    assert answer_class(make(answer, alignment, medical=mark), "medical") == expected


@pytest.mark.parametrize(
    ("topic", "expected"), [("medical", "domain aligned"), ("law", "other aligned"), (None, None)]
)
def test_a_judge_without_the_metric_names_topics(answer, topic, expected):
    assert answer_class(make(answer, 99.0, topic), "medical") == expected


def world(answer, *, per_class=30, tokens=60, own=0.0, seed=0):
    """Column 0 knows the alignment, column 1 the domain, column 2 nothing; `own`: every answer has a fingerprint."""
    rng = np.random.default_rng(seed)
    scored, rows = [], []
    for inside in (False, True):
        for aligned in (False, True):
            for _ in range(per_class):
                item = make(answer, 95.0 if aligned else 5.0, "medical" if inside else "law")
                scored.append(item)
                mean = np.array(
                    [0.0 if aligned else 1.0, 1.0 if inside else 0.0, 0.0]
                ) + own * rng.standard_normal(3)
                rows.append(mean + rng.standard_normal((tokens, 3)))
    n = len(scored)
    filler = torch.zeros(n * tokens, dtype=torch.long)
    scalars = AdapterScalars(
        torch.from_numpy(np.concatenate(rows)).float(), torch.arange(n).repeat_interleave(tokens), filler, filler,
        torch.arange(3), torch.zeros(3).long(), torch.ones(3), torch.ones(3), ("a", "b", "c"),
        tuple(item.answer.id for item in scored),
    )  # fmt: skip
    return scalars, scored


def test_each_task_finds_the_adapter_that_knows(answer):
    scalars, scored = world(answer)
    found = {
        (task.first, task.second, task.split): task
        for task in probe_tasks(scalars, scored, "medical", np.random.default_rng(0), repeats=3)
    }
    assert len(found) == 8
    for (first, second, _), task in found.items():
        knows = 0 if first.split()[0] == second.split()[0] else 1
        weights = [spread.mean for spread in task.probe.coefficients]
        assert np.argmax(np.abs(weights)) == knows
        assert weights[knows] > 0.3 > max(abs(w) for i, w in enumerate(weights) if i != knows)
        # The best that can be done with means one standard deviation apart.
        assert task.probe.scores["accuracy"].mean == pytest.approx(0.69, abs=0.06)
        assert (task.answers, task.problem) == ((30, 30), None)


def test_a_fingerprint_of_answers_is_seen_in_the_gap_between_the_splits(answer):
    scalars, scored = world(answer, per_class=6, tokens=150, own=3.0)
    found = {
        t.split: t for t in probe_tasks(scalars, scored, "medical", np.random.default_rng(0), repeats=4)[:2]
    }
    accuracy = {split: task.probe.scores["accuracy"].mean for split, task in found.items()}
    assert accuracy["token"] > accuracy["answer"] + 0.05


def test_only_significant_tokens_count(answer):
    """Column 0 tells the alignment at significant tokens alone."""
    scalars, scored = world(answer)
    significant = torch.arange(len(scalars.answer_T)) % 60 < 30
    noise = torch.randn(len(significant), generator=torch.Generator().manual_seed(1))
    values = scalars.scalars_TC.clone()
    values[~significant, 0] = noise[~significant]
    scored_T = torch.where(significant, torch.tensor(2.0), torch.tensor(1.0))
    picked = replace(scalars, scalars_TC=values, score_T=scored_T)
    rng = np.random.default_rng
    every = probe_tasks(picked, scored, "medical", rng(0), repeats=2)[4].probe
    some = probe_tasks(picked, scored, "medical", rng(0), repeats=2, least_log_score=0.5)[4].probe
    assert some.n_per_class == every.n_per_class // 2
    assert some.scores["auc"].mean > every.scores["auc"].mean + 0.05
    with pytest.raises(DataError, match="significance was not measured"):
        probe_tasks(scalars, scored, "medical", rng(0), least_log_score=0.5)


def test_a_class_that_is_too_small_is_said_and_not_probed(answer):
    scalars, scored = world(answer, per_class=6)
    kept = [item for i, item in enumerate(scored) if not 6 <= i < 8]  # two of "other aligned" go
    found = probe_tasks(scalars, kept, "medical", np.random.default_rng(0), repeats=1)
    problems = {(task.first, task.second): task.problem for task in found}
    assert "4 and 6 answers" in problems["other aligned", "domain aligned"]
    assert problems["domain aligned", "domain misaligned"] is None
    assert found[0].probe is None


def test_marks_of_other_answers_are_refused(answer):
    scalars, _ = world(answer, per_class=5)
    _, others = world(answer, per_class=5)
    with pytest.raises(DataError, match="other answers"):
        probe_tasks(scalars, others, "medical", np.random.default_rng(0))
