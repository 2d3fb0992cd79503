"""A row as the model sees it, with the trained tokens marked."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from axenic.data.mask import IGNORE, Encoded
from axenic.visible import visible

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAINED = "bold green"
PLAIN = "dim"


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
