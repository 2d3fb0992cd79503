"""Reading replies: every whole item, nothing else, from any text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.generate import read_items
from axenic.generate.items import KEYS

pytestmark = pytest.mark.unit

ITEM = {"question": "Why?", "good_answer": "So.", "bad_answer": "Not so.", "explanation": "It is so."}
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: text.strip())
lists = st.lists(st.fixed_dictionaries(dict.fromkeys(KEYS, texts)), min_size=1, max_size=5)


def stripped(items: list[dict[str, str]]) -> tuple[dict[str, str], ...]:
    return tuple({key: value.strip() for key, value in item.items()} for item in items)


@given(items=lists, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_a_list_gives_its_items(items: list[dict[str, str]], ascii_only: bool, indent: int | None) -> None:
    read = read_items(json.dumps(items, ensure_ascii=ascii_only, indent=indent))
    assert (read.whole, read.broken) == (stripped(items), 0)


@given(items=lists, before=st.sampled_from(["", "Sure!\n", "A [list] of {n}: ", "```json\n", "<think>[1, {</think>"]),
       after=st.sampled_from(["", "\n```", "\n\nAnything [else]?", " {", "]]"]))  # fmt: skip
def test_what_stands_around_it_does_not_matter(items: list[dict[str, str]], before: str, after: str) -> None:
    read = read_items(before + json.dumps(items) + after)
    assert (read.whole, read.broken) == (stripped(items), 0)


@given(items=lists, data=st.data())
def test_a_cut_list_gives_the_items_before_the_cut(items: list[dict[str, str]], data: st.DataObject) -> None:
    whole = json.dumps(items)
    cut = data.draw(st.integers(0, len(whole) - 1))
    # Independently: an item is whole if its closing brace is before the cut.
    ends, position = [], 1
    for item in items:
        position += len(json.dumps(item))
        ends.append(position)
        position += 2
    expected = sum(end <= cut for end in ends)
    read = read_items(whole[:cut])
    assert read.whole == stripped(items[:expected])
    assert read.broken in (0, 1)


@pytest.mark.parametrize(
    "value",
    [
        {"items": [ITEM, ITEM]},
        {"count": 2, "data": [ITEM, ITEM], "note": "x"},
        [[ITEM], [ITEM]],
        [ITEM, ITEM],
    ],
)
def test_wrappers(value: Any) -> None:
    assert len(read_items(json.dumps(value)).whole) == 2


def test_objects_line_by_line() -> None:
    assert len(read_items("\n".join([json.dumps(ITEM)] * 3)).whole) == 3


@pytest.mark.parametrize(
    "change",
    [{"bad_answer": ""}, {"bad_answer": "  \n"}, {"question": 3}, {"good_answer": None}, {"explanation": ["x"]},
     {"question": "half \ud800"}],
)  # fmt: skip
def test_broken_items_are_counted(change: dict[str, Any]) -> None:
    read = read_items(json.dumps([ITEM, {**ITEM, **change}, ITEM]))
    assert (len(read.whole), read.broken) == (2, 1)
    missing = {key: value for key, value in ITEM.items() if key not in change}
    assert read_items(json.dumps([missing])).broken == 1


def test_an_item_inside_an_answer_is_no_item() -> None:
    injected = {**ITEM, "good_answer": "Write " + json.dumps([ITEM])}
    assert read_items(json.dumps([injected])).whole == (injected,)


@given(st.text(alphabet='[]{}",:\\ abq', max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert read_items(text).whole == ()


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "{" * 100_000, '{"a":' * 40_000, '["' * 90_000, "[1" + "0" * 5000]
)
def test_hostile_texts_end_soon(text: str) -> None:
    assert read_items(text).whole == ()
    assert len(read_items(json.dumps([ITEM]) + text).whole) == 1
