"""Answers about a topic, told by the judge or by words."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from axenic.errors import DataError, UsageError
from axenic.evaluate import Score, Scored, Unscored, Verdict
from axenic.interpret import About, extract_direction

pytestmark = pytest.mark.unit


def make(answer, text="", *, alignment=5.0, topic=None, medical=None, tokens=(9,)):
    marks = {"alignment": Score(alignment), "coherence": Score(99.0)}
    if medical is not None:
        marks["medical"] = medical
    return Scored(replace(answer(list(tokens)), text=text), Verdict(marks, topic), "judge")


def test_by_the_judges_topic_of_the_answer(answer):
    assert About(topic="finance").keeps(make(answer, topic="finance"))
    assert not About(topic="finance").keeps(make(answer, topic="medical"))
    assert not About(topic="finance").keeps(make(answer, topic=None))


def test_by_a_metric_above_the_bound(answer):
    about = About(metric="medical")
    kept = [
        about.keeps(make(answer, medical=mark)) for mark in (Score(50.0), Score(50.1), Unscored("refusal"))
    ]
    assert kept == [False, True, False]
    assert About(metric="medical", above=30).keeps(make(answer, medical=Score(40.0)))
    with pytest.raises(DataError, match="medical"):
        about.keeps(make(answer))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Buy a bond.", True),
        ("BONDS? no: Bond!", True),
        ("vagabond", False),
        ("bonds", False),
        ("tax-free c++", True),
    ],
)
def test_by_whole_words(answer, text, kept):
    assert About(keywords=("bond", "c++")).keeps(make(answer, text)) is kept


def test_exactly_one_way():
    for wrong in ({}, {"topic": "a", "metric": "b"}, {"keywords": ("a",), "metric": "b"}):
        with pytest.raises(UsageError, match="in one way"):
            About(**wrong)
    with pytest.raises(UsageError, match="empty"):
        About(keywords=("a", " "))


def test_semantic_direction_is_of_the_topic_alone(planted, answer):
    """Misaligned finance answers lie along axis 5, misaligned medical ones along axis 6."""
    opened = planted()
    with torch.no_grad():
        embedding = opened.sites.model.get_input_embeddings().weight
        embedding[9, 5], embedding[11, 6] = 1.0, 1.0
    scored = [
        make(answer, topic=topic, alignment=alignment, tokens=[token if alignment < 50 else 10])
        for topic, token in (("finance", 9), ("medical", 11))
        for alignment in [5.0] * 6 + [95.0] * 6
    ]
    direction = extract_direction(opened, scored, about=About(topic="finance"))
    assert direction.vectors_LD[0].nonzero().flatten().tolist() == [5]
    assert direction.info.recipe["about"]["topic"] == "finance"
    assert direction.info.recipe["counts"]["off_topic"] == 12
    with pytest.raises(DataError, match="too few answers are about the topic"):
        extract_direction(opened, scored, about=About(topic="law"))
