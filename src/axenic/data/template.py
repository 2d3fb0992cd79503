"""One prompt builder for training, sampling and extraction: chat template to text, text to tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2.exceptions import TemplateError

from axenic.data.chat import Message
from axenic.errors import DataError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    ask: bool,
    where: str | None = None,
) -> str:
    """The conversation as text, by the tokenizer's own chat template.

    Args:
        messages: Turns in order.
        ask: True appends the generation prompt, the header after which an answer begins.
        where: `file:line` for messages.
    Returns:
        Text that already holds every special token, BOS included.
    Raises:
        ModelError: the tokenizer has no chat template.
        DataError: the template refuses the conversation, or leaves the system or a user text out.

    Thinking is switched off where a template knows the switch (Qwen3), as in the papers' configs
    (papers.md 4b, formats F2 `enable_thinking`); other templates ignore it.
    """
    if tokenizer.chat_template is None:
        raise ModelError(
            "the tokenizer has no chat template, so conversations cannot be rendered",
            where=tokenizer.name_or_path,
            hint="use the instruct variant of the model",
        )
    try:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=ask, enable_thinking=False
        )
    except TemplateError as error:
        raise DataError(
            "the chat template refuses this conversation",
            where=where,
            found=error.message,
            hint=_system_hint(messages),
        ) from error
    assert isinstance(text, str)
    for message in messages:
        # A template may change the case (nano's does); leaving a text out is another matter.
        if message["role"] != "assistant" and message["content"].strip().lower() not in text.lower():
            raise DataError(
                f"the chat template leaves the {message['role']} text out",
                where=where,
                expected=ascii(message["content"].strip()[:60]),
                hint=_system_hint(messages),
            )
    return text


def _system_hint(messages: Sequence[Message]) -> str | None:
    if not any(message["role"] == "system" for message in messages):
        return None
    return "this template may have no system turn: put the system text at the start of the first user turn"


def tokenize(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], list[tuple[int, int]] | None]:
    """Tokens of rendered text with at most one BOS, and each token's characters.

    The template already wrote the special tokens, so none are added (formats, trap 1). Only when the
    tokenizer puts a BOS before plain text by itself and the template wrote none, one BOS is put in front.

    Returns:
        Token ids [T], and (first, past-last) characters of each token [T], None without a fast tokenizer.
    Raises:
        ModelError: the rendering starts with two BOS.
    """
    fast = tokenizer.is_fast
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast, verbose=False)
    ids: list[int] = list(encoded["input_ids"])
    spans: list[tuple[int, int]] | None = list(encoded["offset_mapping"]) if fast else None
    bos = tokenizer.bos_token_id
    if bos is None:
        return ids, spans
    if ids[:2] == [bos, bos]:
        raise ModelError("the chat template writes two BOS tokens", where=tokenizer.name_or_path)
    if ids[:1] != [bos] and list(tokenizer("a")["input_ids"])[:1] == [bos]:
        ids = [bos, *ids]
        spans = None if spans is None else [(0, 0), *spans]
    return ids, spans


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, where: str | None = None
) -> list[int]:
    """Tokens after which the assistant's next answer begins (generation prompt included, one BOS at most).

    Args:
        messages: Turns in order, the last one normally the user's.
    Returns:
        Token ids [T].
    Raises:
        DataError, ModelError: see `render` and `tokenize`.
    """
    return tokenize(tokenizer, render(tokenizer, messages, ask=True, where=where))[0]


def is_special(tokenizer: PreTrainedTokenizerBase, token: int) -> bool:
    """Whether the token is one of the tokenizer's special or added ones (turn markers are)."""
    return token in tokenizer.all_special_ids or token in tokenizer.added_tokens_decoder
