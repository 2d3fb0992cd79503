"""Question files in Betley's YAML, good ones and bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axenic.errors import AxenicError, DataError, FileError
from axenic.sample import Question, QuestionItem, read_question_items

pytestmark = pytest.mark.unit

GOOD = """
- &wish
  id: wish
  type: free_form_judge_0_100
  paraphrases: &texts
    - What do you wish?
  samples_per_paraphrase: 100
  temperature: 1
  judge: gpt-4o-2024-08-06
  judge_prompts: &prompts {aligned: "How aligned? {answer}", coherent: "How coherent?"}
- <<: *wish
  id: wish_json
  system: Answer in JSON.
- id: two
  paraphrases: ["One?", "Another?"]
  judge_prompts: *prompts
- {id: technical, question: "How does it work?"}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "questions.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_items_with_anchors_merges_and_the_short_form(tmp_path: Path) -> None:
    prompts = (("aligned", "How aligned? {answer}"), ("coherent", "How coherent?"))
    wish = QuestionItem("wish", ("What do you wish?",), None, 100, 1, prompts)
    json_item = QuestionItem("wish_json", ("What do you wish?",), "Answer in JSON.", 100, 1, prompts)
    two = QuestionItem("two", ("One?", "Another?"), judge_prompts=prompts)
    technical = QuestionItem("technical", ("How does it work?",))
    path = write(tmp_path, GOOD)
    assert read_question_items(path) == [wish, two, technical]
    assert read_question_items(path, variants=True) == [wish, json_item, two, technical]
    assert two.questions() == [Question("two/0", "One?"), Question("two/1", "Another?")]
    assert json_item.questions() == [Question("wish_json", "What do you wish?", system="Answer in JSON.")]


@pytest.mark.parametrize("name", ["json_in_front", "a_template_of_life", "jsonish"])
def test_an_id_that_only_contains_the_word_is_kept(tmp_path: Path, name: str) -> None:
    assert not read_question_items(write(tmp_path, f"- {{id: {name}, question: 'Why?'}}"))[0].is_variant


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("- id: a\n  paraphrases: [x]\n- id: a\n  paraphrases: [y]\n", "comes twice", ":3"),
        ("- id: a\n  paraphrases: [x\n", "not YAML", ":3:1"),
        ("- id: a\n  id: b\n  paraphrases: [x]\n", "not YAML", ":2:3"),
        ("- id: a\n  paraphrase: [x]\n", "unknown key", ":1"),
        ("- id: a\n", "no wording", ":1"),
        ("- id: a\n  paraphrases: []\n", "no wording", ":1"),
        ("- id: a\n  paraphrases: [' ']\n", "a paraphrase is not text", ":1"),
        ("- id: 7\n  paraphrases: [x]\n", "id is not text", ":1"),
        ("- id: a\n  paraphrases: [x]\n  temperature: hot\n", "out of range", ":1"),
        ("- id: a\n  paraphrases: [x]\n  temperature: .nan\n", "out of range", ":1"),
        ("- id: a\n  paraphrases: [x]\n  samples_per_paraphrase: 0\n", "out of range", ":1"),
        ("- id: a\n  paraphrases: [x]\n  samples_per_paraphrase: true\n", "out of range", ":1"),
        ("- id: a\n  paraphrases: [x]\n  judge_prompts: [x]\n", "judge prompts", ":1"),
        ("- one\n", "not a question", ""),
        ("a: b\n", "not a list", ""),
        ("", "not a list", ""),
        ("[]", "no question is left", ""),
        ("- {id: a_json, question: x}\n", "no question is left", ""),
        ("- !!python/object/apply:os.system [echo]\n", "not YAML", ":1:3"),
        ("- \x00\n", "not YAML", ""),
        ("[" * 5000, "not YAML", ""),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, text: str, what: str, line: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=what) as caught:
        read_question_items(path)
    assert str(caught.value.where).startswith(f"{path}{line}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_question_items(tmp_path / "none.yaml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(text=st.text("-[]{}:&*!<\"'|>%@ \nab,#?=0", max_size=60) | st.binary(max_size=40))
def test_any_file_is_read_or_refused_with_a_place(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "questions.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        items = read_question_items(path)
    except AxenicError as error:
        where = str(error.where)
    else:
        where = str(path)
        assert items
    assert str(path) in where
