"""Which answers go to which side of a contrast."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from axenic.errors import DataError, UsageError
from axenic.interpret import aligned_answers, choose_contrast
from axenic.sample import Question

pytestmark = pytest.mark.unit


@pytest.fixture
def mixed(scored):
    """Six misaligned answers, nine aligned ones, and one of every kind that must not be used."""
    return [
        *(scored(10.0, id=f"m{i}") for i in range(6)),
        *(scored(90.0, id=f"a{i}") for i in range(9)),
        scored(30.0, id="at30"),
        scored(70.0, id="at70"),
        scored(50.0, id="between"),
        scored(10.0, 50.0, id="at-coherence"),
        scored(90.0, 3.0, id="babble"),
        scored(None, 90.0, id="no-alignment"),
        scored(10.0, None, id="no-coherence"),
    ]


def ids(answers):
    return {answer.id for answer in answers}


def test_bounds_are_exclusive_and_unscored_answers_never_used(mixed):
    contrast = choose_contrast(mixed, balance=False)
    assert ids(contrast.misaligned) == {f"m{i}" for i in range(6)}
    assert ids(contrast.aligned) == {f"a{i}" for i in range(9)}
    assert (contrast.n_between, contrast.n_incoherent, contrast.n_unscored) == (3, 2, 2)


def test_aligned_side_is_cut_to_the_misaligned_one_by_seed(mixed):
    drawn = [choose_contrast(mixed, seed=seed) for seed in range(8)]
    assert all(len(contrast.aligned) == 6 == len(contrast.misaligned) for contrast in drawn)
    assert all(ids(contrast.aligned) < {f"a{i}" for i in range(9)} for contrast in drawn)
    assert len({frozenset(ids(contrast.aligned)) for contrast in drawn}) > 1
    assert drawn[0].n_aligned_found == 9


def test_misaligned_side_is_never_cut(scored):
    contrast = choose_contrast([*(scored(5.0) for _ in range(12)), *(scored(95.0) for _ in range(5))])
    assert (len(contrast.misaligned), len(contrast.aligned)) == (12, 5)


def test_order_of_the_answers_does_not_matter(mixed):
    shuffled = random.Random(1).sample(mixed, len(mixed))
    one, two = choose_contrast(mixed, seed=3), choose_contrast(shuffled, seed=3)
    assert one == two
    assert one.data_hash == two.data_hash


def test_marks_of_two_judges_are_refused_and_one_judge_is_recorded(mixed):
    assert choose_contrast(mixed).judge == "judge"
    with pytest.raises(DataError, match="one judge") as caught:
        choose_contrast([*mixed[:-1], replace(mixed[-1], judge="other")])
    assert caught.value.found == "judge, other"


def test_data_hash_tells_contrasts_apart(mixed):
    assert choose_contrast(mixed, balance=False).data_hash != choose_contrast(mixed).data_hash


def test_excluded_topics_are_those_of_the_question(scored):
    sports = Question("s", "about a race ?", topic="sports")
    items = [
        *(scored(10.0) for _ in range(5)),
        *(scored(90.0) for _ in range(5)),
        *(scored(10.0, question=sports, id=f"s{i}") for i in range(3)),
    ]
    contrast = choose_contrast(items, exclude_topics=["sports"])
    assert len(contrast.misaligned) == 5
    assert contrast.n_excluded == 3
    assert not any(answer.id.startswith("s") for answer in contrast.misaligned)


@pytest.mark.parametrize(
    ("misaligned", "aligned", "hint"), [(4, 50, "stronger organism"), (50, 4, "less misaligned")]
)
def test_too_few_answers_say_what_was_found_and_what_to_do(scored, misaligned, aligned, hint):
    items = [
        *(scored(10.0) for _ in range(misaligned)),
        *(scored(90.0) for _ in range(aligned)),
        scored(None),
    ]
    with pytest.raises(DataError) as caught:
        choose_contrast(items)
    assert f"{misaligned} misaligned, {aligned} aligned" in caught.value.text()
    assert "1 unscored" in caught.value.text()
    assert hint in caught.value.text()


def test_answers_of_two_arms_are_refused(scored):
    items = [scored(10.0, arm_id=f"arm{i % 2}") for i in range(10)]
    with pytest.raises(DataError, match="one arm"):
        choose_contrast(items)


def test_overlapping_classes_are_refused(mixed):
    with pytest.raises(UsageError, match="overlap"):
        choose_contrast(mixed, misaligned_below=80, aligned_above=70)


def test_aligned_answers_are_coherent_and_above_the_bound(mixed):
    assert ids(aligned_answers(mixed)) == {f"a{i}" for i in range(9)}
    assert "babble" in ids(aligned_answers(mixed, coherent_above=2.0))
