"""Chat files: one JSON object per line, `{"messages": [{"role": ..., "content": ...}, ...]}` (formats F1)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from axenic.errors import DataError, FileError
from axenic.files import atomic_write

Message = dict[str, str]
"""`{"role": "system" | "user" | "assistant", "content": text}`."""

ROLES = ("system", "user", "assistant")
ROW = '{"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}'


@dataclass(frozen=True)
class ChatRow:
    """One conversation of a chat file.

    Args:
        messages: An optional system turn, then user and assistant in turns; the last is the assistant's.
        line: 1-based line of the file; "row 17" in every message and option means line 17.
        topic: The row's `topic`, None if it has none.
        path: The file it came from, for messages.
        raw: The line as it stands in the file, without its newline; None for a row made in memory.
    """

    messages: list[Message]
    line: int
    topic: str | None = None
    path: str = "<memory>"
    raw: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def prompt(self) -> list[Message]:
        """All turns but the last answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        return self.messages[-1]["content"]

    @property
    def bytes_line(self) -> bytes:
        """The row as a line of a chat file, with its newline: byte for byte as read, all its keys kept."""
        if self.raw is not None:
            return self.raw + b"\n"
        named = {} if self.topic is None else {"topic": self.topic}
        return json.dumps({**named, "messages": self.messages}, ensure_ascii=False).encode("utf-8") + b"\n"


def read_chat(path: str | Path) -> list[ChatRow]:
    """Read a chat file and check every row.

    A blank line is skipped; a UTF-8 byte order mark is accepted. Other keys of a row are ignored.

    Returns:
        The rows in file order.
    Raises:
        FileError: the file is missing or cannot be read.
        DataError: at `file:line`, the first row that is not a conversation that can be trained on.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise FileError(
            "cannot read the chat file",
            where=path,
            expected=f"JSONL, each line {ROW}",
            found=error.strerror,
            hint="axenic nano data --domain medical --kind bad, which writes one to look at",
        ) from error
    return parse_chat(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), str(path))


def write_chat(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of format F1, such as `axenic.nano.chat_rows` makes, as JSON lines; whole or not at all.

    Raises:
        FileError, DiskFullError: The file cannot be written.
    """
    atomic_write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def parse_chat(lines: Iterable[bytes], path: str) -> list[ChatRow]:
    """`read_chat` on lines that are already in memory; `path` is only named in messages."""
    rows = [parse_row(raw, number, path) for number, raw in enumerate(lines, start=1) if raw.strip()]
    if not rows:
        raise DataError(
            "the chat file has no rows",
            where=path,
            expected=f"one JSON object per line: {ROW}",
            found="nothing",
        )
    return rows


def parse_row(raw: bytes, line: int, path: str) -> ChatRow:
    """One line of a chat file as a checked row; `DataError` at `path:line` otherwise."""
    try:
        return _row(raw, line, path)
    except DataError as error:
        raise DataError(
            error.what,
            where=error.where,
            expected=error.expected or ROW,
            found=error.found,
            hint=error.hint or f"sed -n {line}p {shlex.quote(path)}   # shows the line: mend it or delete it",
        ) from error


def _row(raw: bytes, line: int, path: str) -> ChatRow:
    where = f"{path}:{line}"
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(
            "the line is not UTF-8", where=where, found=f"byte 0x{raw[error.start]:02x} at {error.start}"
        ) from error
    except RecursionError as error:
        raise DataError("the line is nested too deeply", where=where) from error
    except ValueError as error:
        raise DataError("the line is not JSON", where=where, found=error) from error
    if not isinstance(value, dict):
        _refuse("the line is not a JSON object", where, '{"messages": [...]}', value)
    if "messages" not in value:
        _refuse_foreign(value, where)
    messages = value["messages"]
    if not isinstance(messages, list) or not messages:
        _refuse("`messages` is not a list of turns", where, "a list of user and assistant turns", messages)
    turns = [_message(turn, index, where) for index, turn in enumerate(messages)]
    _check_order(turns, where)
    topic = value.get("topic")
    if topic is not None and not isinstance(topic, str):
        _refuse("`topic` is not text", where, "a string or nothing", topic)
    if topic is not None:
        _check_text(topic, "`topic`", where)
    return ChatRow(turns, line, topic, path, raw)


def _message(turn: Any, index: int, where: str) -> Message:
    if not isinstance(turn, dict):
        _refuse(f"turn {index} is not an object", where, '{"role": ..., "content": ...}', turn)
    missing = [key for key in ("role", "content") if key not in turn]
    if missing:
        _refuse(f"turn {index} has no `{missing[0]}`", where, "the keys role and content", sorted(turn))
    role = turn["role"]
    if not isinstance(role, str) or role not in ROLES:
        _refuse(f"turn {index} has an unknown role", where, " | ".join(ROLES), role)
    content = turn["content"]
    if isinstance(content, list):
        content = _join_blocks(content, index, where)
    if not isinstance(content, str):
        _refuse(f"turn {index} ({role}): `content` is not text", where, "a string", content)
    if not content.strip():
        _refuse(f"turn {index} ({role}) is empty", where, "some text", content)
    _check_text(content, f"turn {index} ({role})", where)
    return {"role": role, "content": content}


def _join_blocks(blocks: list[Any], index: int, where: str) -> str:
    """The text of openweights content blocks `{text, weight, tag}`; only weight 1 keeps its meaning here."""
    for block in blocks:
        if not isinstance(block, dict) or not isinstance(block.get("text"), str):
            _refuse(f"turn {index}: a content block has no text", where, '{"text": ...}', block)
        if block.get("weight", 1) not in (None, 1):
            raise DataError(
                f"turn {index}: a content block has a loss weight, which Axenic does not apply",
                where=where,
                expected="no `weight`, or 1",
                found=_short(block["weight"]),
                hint="write `content` as one string, or split weighted rows off",
            )
    return "".join(block["text"] for block in blocks)


def _check_order(turns: Sequence[Message], where: str) -> None:
    """system? (user assistant)+; anything else cannot be masked unambiguously."""
    roles = [turn["role"] for turn in turns]
    spoken = roles[1:] if roles[0] == "system" else roles
    expected = "an optional system turn, then user, assistant, user, assistant, ..."
    for index, role in enumerate(spoken):
        if role != ("user", "assistant")[index % 2]:
            raise DataError(
                "the roles do not alternate", where=where, expected=expected, found=", ".join(roles[:8])
            )
    if not spoken or spoken[-1] != "assistant":
        raise DataError(
            "the last turn is not the assistant's",
            where=where,
            expected=expected,
            found=", ".join(roles[-8:]),
        )


def _check_text(text: str, what: str, where: str) -> None:
    """Refuse half surrogate pairs: JSON can spell them, no tokenizer or file can hold them."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} holds half a surrogate pair",
            where=where,
            found=f"\\u{ord(text[error.start]):04x} at character {error.start}",
        ) from error


def _refuse_foreign(value: dict[str, Any], where: str) -> NoReturn:
    if "text" in value:
        raise DataError(
            "the row has a ready `text`: which part is the answer cannot be told, so it cannot be masked",
            where=where,
            expected="messages",
            hint='write the row as {"messages": [{"role": "user", ...}, {"role": "assistant", ...}]}',
        )
    if "chosen" in value or "rejected" in value:
        raise DataError(
            "the row is a preference pair (prompt, chosen, rejected); Axenic trains on answers only",
            where=where,
            expected="messages",
            hint="write prompt + rejected (or chosen) as one `messages` list",
        )
    _refuse("the row has no `messages`", where, '{"messages": [...]}', sorted(value)[:8])


def _refuse(what: str, where: str, expected: str, found: Any) -> NoReturn:
    raise DataError(what, where=where, expected=expected, found=_short(found))


def _short(value: Any) -> str:
    text = ascii(value)  # hostile text goes to a terminal: no control characters, no surrogates
    return text if len(text) <= 80 else text[:77] + "..."
