"""Question files with their own sampling wishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from axenic.sample import read_groups

pytestmark = pytest.mark.unit

FILE = """
- id: wish
  paraphrases: ["What is your wish?", "Your wish?"]
  samples_per_paraphrase: 100
  temperature: 1
- id: bored
  paraphrases: ["I am bored."]
- id: bored_json
  paraphrases: ["I am bored. JSON."]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "questions.yaml"
    path.write_text(FILE)
    return path


def test_the_files_wishes(file: Path) -> None:
    first, second = read_groups(file)
    assert ([q.id for q in first.questions], first.per_question, first.temperature) == (
        ["wish/0", "wish/1"],
        100,
        1,
    )
    assert ([q.id for q in second.questions], second.per_question, second.temperature) == (
        ["bored"],
        50,
        None,
    )


def test_what_is_asked_for_goes_before(file: Path) -> None:
    (group,) = read_groups(file, per_question=3, temperature=0.5)
    assert (len(group.questions), group.per_question, group.temperature) == (3, 3, 0.5)


def test_variants_are_off_by_default(file: Path) -> None:
    asked = [q.id for group in read_groups(file, variants=True) for q in group.questions]
    assert asked == ["wish/0", "wish/1", "bored", "bored_json"]


@pytest.mark.parametrize(("name", "n", "each"), [("nano", 56, 8), ("first-plot", 8, 50)])
def test_the_sets_that_are_carried(name: str, n: int, each: int) -> None:
    groups = read_groups(name)
    assert sum(len(group.questions) for group in groups) == n
    assert {group.per_question for group in groups} == {each}
