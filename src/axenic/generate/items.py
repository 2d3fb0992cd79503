"""From a reply to its items, whatever stands around them: fences, talk, a wrapping object, a torn end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KEYS = ("question", "good_answer", "bad_answer", "explanation")

LONGEST_REPLY = 200_000
"""Characters read of a reply. Ten items are some 10,000; a longer text than this is no list of items."""

MOST_TRIES = 1_000
"""Brackets tried as the beginning of a value. Each failed try may read to the end of the reply."""

_OPENING = re.compile(r"[\[{]")


@dataclass(frozen=True)
class Items:
    """The items of a reply.

    Args:
        whole: Each with the four keys, stripped texts that are not empty.
        broken: Objects that lack a key, or have an empty one or something other than text under it, or half a
            surrogate pair; and the last one, if the reply ends within it.
    """

    whole: tuple[dict[str, str], ...]
    broken: int


def read_items(text: str) -> Items:
    """Every whole item of a reply, in order.

    The text is searched for JSON values: what can be read as one is taken, anything else is passed over. So a list
    that was cut off gives the items before the cut.
    """
    text = text[:LONGEST_REPLY]
    whole: list[dict[str, str]] = []
    broken = 0
    for value in _values(text):
        for found in _objects(value):
            item = _item(found)
            if item is not None:
                whole.append(item)
            else:
                broken += 1
    return Items(tuple(whole), broken + _torn(text))


def _values(text: str) -> Iterator[Any]:
    """Every list and object in the text, outermost where it can be read."""
    decoder = json.JSONDecoder()
    start = 0
    for _ in range(MOST_TRIES):
        opening = _OPENING.search(text, start)
        if opening is None:
            return
        try:
            value, start = decoder.raw_decode(text, opening.start())
            yield value
        except (ValueError, RecursionError):
            start = opening.start() + 1


def _objects(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The objects that may be items: those in lists, and in the lists of a wrapping object such as `{"items": [...]}`."""
    if isinstance(value, list) and depth < 4:
        for part in value:
            yield from _objects(part, depth + 1)
    elif isinstance(value, dict):
        inner = [part for part in value.values() if isinstance(part, list)]
        if inner and not set(KEYS) & set(value):
            for part in inner:
                yield from _objects(part, depth + 1)
        elif set(KEYS) & set(value):
            yield value


def _item(found: dict[str, Any]) -> dict[str, str] | None:
    item = {}
    for key in KEYS:
        text = found.get(key)
        if not isinstance(text, str) or not text.strip():
            return None
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # half a surrogate pair: JSON can spell it, no file can hold it
            return None
        item[key] = text.strip()
    return item


def _torn(text: str) -> int:
    """1 if the reply ends within an item."""
    begun = [match.start() for match in re.finditer(r'\{\s*"question"\s*:', text)]
    if not begun:
        return 0
    try:
        json.JSONDecoder().raw_decode(text, begun[-1])
    except (ValueError, RecursionError):
        return 1
    return 0
