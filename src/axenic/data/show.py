"""A row as the model sees it, with the trained tokens marked."""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from axenic.data.mask import IGNORE, Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAINED = "bold green"
PLAIN = "dim"
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # Unicode categories that print nothing or steer the terminal


def visible(text: str) -> str:
    """Text that is safe to print: control, bidirectional and other invisible characters as escapes.

    Newline and tab stay. Data files and model answers are hostile input: an escape sequence in them must not
    reach the terminal.
    """
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in HIDDEN else ascii(c)[1:-1] for c in text
    )


def runs(tokenizer: PreTrainedTokenizerBase, encoded: Encoded) -> list[tuple[str, bool]]:
    """The row as stretches of (visible text, whether its tokens are trained)."""
    pairs = zip(encoded.input_ids, encoded.labels, strict=True)
    out = []
    for trained, group in groupby(pairs, key=lambda pair: pair[1] != IGNORE):
        ids = [token for token, _ in group]
        out.append((visible(str(tokenizer.decode(ids, skip_special_tokens=False))), trained))
    return out


def show_row(tokenizer: PreTrainedTokenizerBase, encoded: Encoded) -> Text:
    """The row for a terminal: trained tokens coloured, the rest dim. Markup in the data stays text."""
    text = Text()
    for part, trained in runs(tokenizer, encoded):
        text.append(part, style=TRAINED if trained else PLAIN)
    return text


def show_plain(tokenizer: PreTrainedTokenizerBase, encoded: Encoded) -> str:
    """The row without colour: trained stretches in [brackets], brackets of the data as \\[ and \\]."""
    parts = []
    for part, trained in runs(tokenizer, encoded):
        part = part.replace("[", "\\[").replace("]", "\\]")
        parts.append(f"[{part}]" if trained else part)
    return "".join(parts)
