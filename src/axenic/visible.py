"""Text of models and strangers made safe to show: nothing invisible, nothing that moves the cursor.

An organism's answers are hostile input. Control characters can rewrite a terminal, bidirectional marks can make
a line read backwards, lone surrogates cannot be written as UTF-8 at all. Each of them is replaced by a sign that
can be seen: `‹U+001B›` for escape, `‹U+202E›` for a right-to-left override. Every font has
these marks. Line ends and tabs stay.
"""

from __future__ import annotations

import re

# Cc: C0 and C1 controls but not \n and \t; Cs: surrogates; Cf: marks that act without being seen; and the line
# separators, fillers, variation selectors and tag characters that render as nothing; non-characters last.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)


def visible(text: str) -> str:
    """The text with every invisible or acting character replaced by a visible sign. `visible` twice is once."""
    return _UNSEEN.sub(lambda match: sign(match.group()), text)


def sign(character: str) -> str:
    """The visible sign for one character, e.g. `‹U+0000›` for NUL."""
    return f"‹U+{ord(character):04X}›"


def pieces(text: str) -> list[tuple[bool, str]]:
    """The text cut into runs `(is_sign, shown)`, so that a page can set the signs off from the rest."""
    runs: list[tuple[bool, str]] = []
    start = 0
    for match in _UNSEEN.finditer(text):
        if match.start() > start:
            runs.append((False, text[start : match.start()]))
        runs.append((True, sign(match.group())))
        start = match.end()
    if start < len(text):
        runs.append((False, text[start:]))
    return runs


def one_line(text: str, width: int) -> str:
    """The visible text on one line of at most `width` characters; what is cut off is marked by `…`."""
    flat = " ".join(visible(text).split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"
