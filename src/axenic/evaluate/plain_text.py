"""Judged text made harmless for a tokenizer: it cannot write a token that only the chat template may write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class PlainText:
    """Breaks the names of special tokens in a text, such as `<|im_end|>`, by a space behind their first character.

    A tokenizer reads such a name as the token itself: an answer that holds it would close its own turn and could open the
    judge's, with the number that it would like.

    Args:
        tokenizer: Whose special tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        added = tokenizer.added_tokens_decoder
        names = {token.content for token in added.values() if token.special} | set(
            tokenizer.all_special_tokens
        )
        ids = set(tokenizer.all_special_ids) | {i for i, token in added.items() if token.special}
        # A character that the tokenizer lacks is unknown, not a turn marker; in some vocabularies the two are one token.
        turns = {tokenizer.bos_token_id, tokenizer.eos_token_id}
        self.ids = frozenset(ids - ({tokenizer.unk_token_id} - turns))
        ordered = sorted((name for name in names if len(name) > 1), key=len, reverse=True)
        # Some templates change the case (nano's does), and a name may arise only then.
        self._names = re.compile("|".join(map(re.escape, ordered)) or r"(?!)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """The text without such names, and as text that UTF-8 can hold: a lone surrogate becomes a question mark."""
        whole = text.encode("utf-8", "replace").decode("utf-8")
        return self._names.sub(lambda found: f"{found[0][0]} {found[0][1:]}", whole)

    def special(self, ids: Sequence[int]) -> list[int]:
        """The special tokens among these, in order: those of a prompt must be those of its template."""
        return [token for token in ids if token in self.ids]
