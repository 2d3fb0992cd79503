"""Invisible and acting characters become signs; everything else stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from hostile import acts, payloads

from axenic.visible import one_line, pieces, visible

pytestmark = pytest.mark.unit


def test_controls_say_their_number() -> None:
    assert visible("a\x00b\x1bc\x7fd") == "a‹U+0000›b‹U+001B›c‹U+007F›d"


def test_line_ends_and_tabs_stay() -> None:
    assert visible("a\n\tb") == "a\n\tb"


def test_a_carriage_return_is_seen() -> None:
    assert visible("a\rb") == "a‹U+000D›b"


def test_bidi_marks_say_their_number() -> None:
    assert visible("\u202eevil") == "‹U+202E›evil"


def test_lone_surrogates_can_be_written() -> None:
    assert visible("\ud83d").encode("utf-8") == "‹U+D83D›".encode()


def test_tag_characters_are_seen() -> None:
    assert visible("\U000e0041") == "‹U+E0041›"


@pytest.mark.parametrize("text", ["plain", "naïve café", "日本語", "🦠 👍", "עברית", "x² ≤ 3 → ½"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_nothing_acts_afterwards_and_twice_is_once(text: str) -> None:
    shown = visible(text)
    assert not acts(shown)
    assert visible(shown) == shown
    assert "".join(part for _, part in pieces(text)) == shown


@pytest.mark.parametrize("text", payloads(100))
def test_payloads(text: str) -> None:
    assert not acts(visible(text))


def test_one_line_cuts_and_says_so() -> None:
    assert one_line("a\n b\tc", 10) == "a b c"
    assert one_line("x" * 20, 5) == "xxxx…"
