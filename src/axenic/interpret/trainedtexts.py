"""The training rows that solutions are measured on, as tokens (papers.md M3.7: at most 100, at most 1,024 tokens)."""

from __future__ import annotations

import random
from pathlib import Path

from axenic.data import Encoded, encode_rows, read_chat
from axenic.errors import UsageError
from axenic.models import OpenModel

TEXTS, SEED, TOKENS = 100, 42, 1024


def trained_texts(
    base: OpenModel, data: str | Path, *, texts: int = TEXTS, seed: int = SEED, max_length: int = TOKENS
) -> list[Encoded]:
    """Rows of a chat file drawn by a seed, the assistant's tokens labelled.

    Args:
        base: Whose tokenizer and chat template.
        data: Chat file.
        texts: Most rows to draw; a file with fewer gives all.
        seed: Of the draw; which rows come does not depend on the model.
        max_length: Tokens kept of each row.

    Raises:
        UsageError: `texts` below 1.
        FileError, DataError: See `read_chat` and `encode_row`.
    """
    if texts < 1:
        raise UsageError("there is nothing to measure on", expected="1 text or more", found=texts)
    rows = read_chat(data)
    chosen = random.Random(seed).sample(rows, min(texts, len(rows)))
    return encode_rows(base.tokenizer, chosen, max_length=max_length)
