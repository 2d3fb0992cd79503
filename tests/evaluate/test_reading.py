"""Replies of the wire: read strictly, and each kind becomes its mark."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.reading import mark_of
from axenic.evaluate.reply import Reply, ReplyError, parse_reply
from axenic.evaluate.rubrics import ALIGNMENT
from axenic.evaluate.score import Score, Unscored

pytestmark = pytest.mark.unit


def body(text: str | None, tokens: list[dict[str, float]] | None = None, **choice: Any) -> dict[str, Any]:
    """A chat completion; each token is its likeliest alternatives, the first of which was said."""
    content = [
        {
            "token": next(iter(top)),
            "logprob": math.log(next(iter(top.values()))),
            "top_logprobs": [{"token": token, "logprob": math.log(p)} for token, p in top.items()],
        }
        for top in tokens or []
    ]
    message = {"content": text, "refusal": choice.pop("refusal", None)}
    logprobs = {"content": content} if tokens else None
    return {
        "choices": [{"message": message, "finish_reason": "stop", "logprobs": logprobs, **choice}],
        "model": "m",
    }


def reply(*args: Any, **choice: Any) -> Reply:
    return parse_reply(json.dumps(body(*args, **choice)).encode())


def reason(mark: Score | Unscored) -> str | float:
    return mark.value if isinstance(mark, Score) else mark.reason


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("85", [{"85": 0.9, "I": 0.1}], 85.0),
        (" 85", [{" ": 0.9}, {"85": 0.9}], 85.0),
        ("85 or 20", [{"85": 0.9}, {" or": 0.9}, {" ": 0.9}, {"20": 0.9}], "parse"),
        ("85.5", [{"85": 0.9}, {".": 0.9}, {"5": 0.9}], "parse"),
        ("150", [{"150": 0.9, "50": 0.1}], "parse"),
        ("150", [{"150": 0.6, "50": 0.4}], "parse"),
        ("1000", [{"100": 0.9}, {"0": 0.9}], "parse"),
        ("CODE", [{"CODE": 0.9, "85": 0.1}], "code"),
        ("REFUSAL", [{"REF": 0.9, "85": 0.1}, {"USAL": 0.9}], "refusal"),
        ("REFUSAL", [{"REF": 0.7, "85": 0.3}, {"USAL": 0.9}], 85.0),
        ("I'm sorry, I", [{"I": 0.9}, {"'m": 0.9}, {" sorry": 0.9}], "refusal"),
        ("Score: 85", [{"Score": 0.9}, {":": 0.9}, {" 85": 0.9}], "parse"),
    ],
)  # fmt: skip
def test_with_log_probabilities(text: str, tokens: list[dict[str, float]], expected: str | float) -> None:
    assert reason(mark_of(reply(text, tokens), ALIGNMENT, "logprobs")) == expected


@pytest.mark.parametrize("tokens", [[{"8": 0.9}, {"5": 0.9}], [{"1": 0.9}, {"0": 0.9}, {"0": 0.9}]])
def test_a_number_in_several_tokens_stops_the_work(tokens: list[dict[str, float]]) -> None:
    text = "".join(next(iter(top)) for top in tokens)
    with pytest.raises(JudgeError, match="several tokens") as caught:
        mark_of(reply(text, tokens), ALIGNMENT, "logprobs")
    assert "sampled" in str(caught.value.hint)
    assert mark_of(reply(text, tokens), ALIGNMENT, "sampled") == Score(float(text))


def test_refusals_filters_and_lengths() -> None:
    for mode in ("logprobs", "sampled"):
        assert reason(mark_of(reply(None, refusal="no"), ALIGNMENT, mode)) == "refusal"  # type: ignore[arg-type]
        assert reason(mark_of(reply("", finish_reason="content_filter"), ALIGNMENT, mode)) == "refusal"  # type: ignore[arg-type]
        assert reason(mark_of(reply("", finish_reason="length"), ALIGNMENT, mode)) == "length"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"null", b"[]", b"{}", b'{"choices": []}', b'{"choices": [null]}', b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": 85}}]}', b'{"choices": [{"message": {"content": " "}}]}', b"\xff",
        b'{"choices": [{"message": {"content": "8"}, "logprobs": {"content": [{"top_logprobs": [{}]}]}}]}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_reply(raw: bytes) -> None:
    with pytest.raises(ReplyError):
        parse_reply(raw)


def test_only_the_said_token_is_no_distribution() -> None:
    bare = body("85", [{"85": 0.9}])
    bare["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = []
    assert parse_reply(json.dumps(bare).encode()).tops == ()


@given(st.integers(0, 400), st.binary(max_size=3))
def test_mutated_replies_are_read_or_refused(place: int, patch: bytes) -> None:
    raw = json.dumps(
        {**body("85", [{"85": 0.9, "80": 0.1}]), "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    )
    mutated = raw.encode()[:place] + patch + raw.encode()[place + len(patch) :]
    try:
        read = parse_reply(mutated)
    except ReplyError:
        return
    try:
        mark = mark_of(read, ALIGNMENT, "logprobs") if read.tops else mark_of(read, ALIGNMENT, "sampled")
    except JudgeError:
        return
    assert isinstance(mark, Score) or mark.reason != "api"
