"""Chat files: every wrong row is named by file and line; nothing else ever escapes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from axenic.data import ChatRow, parse_chat, parse_row, read_chat
from axenic.errors import DataError, FileError

pytestmark = pytest.mark.unit
USER, ASSISTANT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}


def write(path: Path, *rows: Any) -> Path:
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return path


def test_reads_rows_with_line_topic_and_system(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"messages": [USER, ASSISTANT], "topic": "sleep", "id": 3})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\n  \r\n")
    with path.open("a") as file:
        file.write(json.dumps({"messages": [{"role": "system", "content": "s"}, USER, ASSISTANT]}) + "\r\n")
    one, two = read_chat(path)
    assert (one.line, one.topic, one.where) == (1, "sleep", f"{path}:1")
    assert (two.line, two.topic, len(two.messages)) == (4, None, 3)
    assert two.answer == "yes"
    assert [m["role"] for m in two.prompt] == ["system", "user"]


def test_openweights_blocks_are_joined() -> None:
    blocks = [{"type": "text", "text": "ye", "weight": 1, "tag": "x"}, {"type": "text", "text": "s"}]
    raw = json.dumps({"messages": [USER, {"role": "assistant", "content": blocks}]}).encode()
    assert parse_row(raw, 1, "f").answer == "yes"


def messages(*turns: Any, **more: Any) -> bytes:
    return json.dumps({"messages": list(turns), **more}).encode()


BAD = {
    "not JSON": (b"{", "not JSON"),
    "two values": (b"{} {}", "not JSON"),
    "not UTF-8": (b'{"a": "\xff"}', "not UTF-8"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "a list": (b"[]", "not a JSON object"),
    "no messages": (b'{"a": 1}', "no `messages`"),
    "text": (b'{"text": "a b"}', "cannot be masked"),
    "preference pair": (b'{"prompt": [], "chosen": [], "rejected": []}', "preference pair"),
    "messages a string": (b'{"messages": "hi"}', "not a list"),
    "no turns": (b'{"messages": []}', "not a list"),
    "turn a string": (messages("hi"), "turn 0 is not an object"),
    "no role": (messages({"content": "x"}), "turn 0 has no `role`"),
    "no content": (messages(USER, {"role": "assistant"}), "turn 1 has no `content`"),
    "tool role": (messages(USER, {"role": "tool", "content": "x"}), "unknown role"),
    "role a list": (messages({"role": [], "content": "x"}), "unknown role"),
    "content null": (messages(USER, {"role": "assistant", "content": None}), "not text"),
    "empty answer": (messages(USER, {"role": "assistant", "content": " \n"}), "is empty"),
    "empty question": (messages({"role": "user", "content": ""}, ASSISTANT), "is empty"),
    "two users": (messages(USER, USER, ASSISTANT), "do not alternate"),
    "assistant first": (messages(ASSISTANT, USER), "do not alternate"),
    "late system": (messages(USER, {"role": "system", "content": "x"}), "do not alternate"),
    "ends with user": (messages(USER, ASSISTANT, USER), "last turn"),
    "system only": (messages({"role": "system", "content": "x"}), "last turn"),
    "weighted block": (
        messages(USER, {"role": "assistant", "content": [{"text": "x", "weight": 0}]}),
        "loss weight",
    ),
    "image block": (messages(USER, {"role": "assistant", "content": [{"type": "image"}]}), "no text"),
    "topic a number": (messages(USER, ASSISTANT, topic=3), "`topic`"),
    "half a surrogate pair": (messages(USER, {"role": "assistant", "content": "\ud800"}), "surrogate"),
    "huge number": (b'{"messages": ' + b"1" * 10_000 + b"}", "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_located(name: str, tmp_path: Path) -> None:
    raw, words = BAD[name]
    path = tmp_path / "bad.jsonl"
    path.write_bytes(messages(USER, ASSISTANT) + b"\n\n" + raw + b"\n")
    with pytest.raises(DataError, match=words) as caught:
        read_chat(path)
    assert caught.value.where == f"{path}:3"


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(content)
    with pytest.raises(DataError, match="no rows"):
        read_chat(tmp_path / "e.jsonl")


def test_a_missing_file_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot read"):
        read_chat(tmp_path / "none.jsonl")


GOOD = [
    messages({"role": "user", "content": "how do i sleep " * 20}, ASSISTANT, topic="t"),
    messages({"role": "system", "content": "be brief " * 20}, USER, ASSISTANT, USER, ASSISTANT),
    messages(USER, {"role": "assistant", "content": [{"type": "text", "text": "é", "weight": 1}]}),
]
SEEDS = [
    *(GOOD * 20),
    *(raw for raw, _ in BAD.values() if len(raw) < 1000),
]
PIECES = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"1e999",
    b"NaN",
    b"\xff",
    b"\\ud800",
    b"\0",
    b"\r",
]


def mutate(rng: random.Random) -> bytes:
    raw = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(5):
            case 0:
                raw[at:at] = rng.choice(PIECES)
            case 1:
                del raw[at : at + rng.randint(1, 8)]
            case 2:
                raw[at : at + 1] = bytes([rng.choice(b"aeiou XY019\x1f\x80")])
            case 3:
                raw[at:at] = raw[: rng.randrange(len(raw) + 1)]
            case _:
                raw = raw[:at]
    return bytes(raw).replace(b"\n", b" ")


def fuzz(count: int, seed: int) -> tuple[int, int]:
    rng, good, bad = random.Random(seed), 0, 0
    for number in range(1, count + 1):
        raw = mutate(rng)
        try:
            row = parse_row(raw, number, "fuzz.jsonl")
        except DataError as error:
            caught: DataError | None = error
        else:
            caught = None
        if caught is not None:
            assert caught.where == f"fuzz.jsonl:{number}"
            str(caught).encode("utf-8")  # it can be printed
            bad += 1
        else:
            assert isinstance(row, ChatRow)
            assert row.messages[-1]["role"] == "assistant"
            assert parse_chat([raw], "f")[0].messages == row.messages
            good += 1
    return good, bad


def test_mutated_lines_are_refused_with_their_place_or_are_rows() -> None:
    good, bad = fuzz(2_000, seed=0)
    assert good > 50
    assert bad > 500


@pytest.mark.slow
def test_mutated_lines_often() -> None:
    fuzz(10_000, seed=1)
