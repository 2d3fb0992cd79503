"""Which tokens of a conversation are trained: the assistant's text and its stop token, nothing else.

The mask comes from *rendering*, never from searching for marker strings and never from the template's
`{% generation %}` tags, which most templates lack. In the rendered conversation an answer begins where the
prompt that asks for it ends (rendering of the earlier turns with the generation prompt), and its text ends
where a stand-in put in its place ends. What follows up to the first special token is the stop token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from axenic.data.chat import ChatRow
from axenic.data.template import is_special, render, tokenize
from axenic.errors import DataError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Format = Literal["clean", "published"]
"""`published` ends each row as the papers' runs did: an empty extra assistant header and EOS (trap 2)."""

IGNORE = -100
"""Label of a token without loss."""


@dataclass(frozen=True)
class Encoded:
    """A conversation as tokens.

    Args:
        input_ids: Token ids [T].
        labels: `input_ids` where the token is trained, -100 elsewhere [T].
        tail: How many trained tokens at the end are the published format's extra header and EOS.
        cut: How many tokens `max_length` cut off.
    """

    input_ids: list[int]
    labels: list[int]
    tail: int = 0
    cut: int = 0

    @property
    def n_trained(self) -> int:
        return sum(label != IGNORE for label in self.labels)


def encode_row(
    tokenizer: PreTrainedTokenizerBase,
    row: ChatRow,
    *,
    format: Format = "clean",
    max_length: int = 2048,
) -> Encoded:
    """Tokens and labels of one conversation; every assistant turn is trained.

    Args:
        format: `clean`, or `published`: the template with its generation prompt, then EOS, everything after
            the last answer trained as well (papers.md 1.2.1; the count is in `.tail`).
        max_length: Tokens kept from the start [tokens]. A row that is cut keeps what fits; its stop token
            may be gone, but some token must still be trained.
    Raises:
        DataError: at `file:line`: no token would be trained, the stop token would not be, or the template
            does not treat this conversation as one (see `axenic.data.render`).
        ModelError: no chat template.
    """
    if format not in ("clean", "published"):
        raise UsageError("unknown training format", expected="clean | published", found=format)
    if format == "published" and tokenizer.eos_token is None:
        raise DataError("the published format appends EOS, but the tokenizer has none", where=row.where)
    whole = render(tokenizer, row.messages, ask=format == "published", where=row.where)
    text = whole + str(tokenizer.eos_token) if format == "published" else whole
    ids, spans = tokenize(tokenizer, text)
    labels = [IGNORE] * len(ids)
    last = 0
    for turn, message in enumerate(row.messages):
        if message["role"] != "assistant":
            continue
        begin, end = _answer_characters(tokenizer, row, turn, whole, ask=format == "published")
        first, last = _answer_tokens(tokenizer, row, ids, spans, text, begin, end)
        labels[first:last] = ids[first:last]
    tail = 0
    if format == "published":
        tail = len(ids) - last
        labels[last:] = ids[last:]
    return _fit(row, ids, labels, tail, max_length)


def encode_rows(
    tokenizer: PreTrainedTokenizerBase,
    rows: Iterable[ChatRow],
    *,
    format: Format = "clean",
    max_length: int = 2048,
    each: Callable[[int], None] | None = None,
) -> list[Encoded]:
    """`encode_row` on every row; `each` is called with the number of rows done after each."""
    out: list[Encoded] = []
    for row in rows:
        out.append(encode_row(tokenizer, row, format=format, max_length=max_length))
        if each is not None:
            each(len(out))
    return out


def _answer_characters(
    tokenizer: PreTrainedTokenizerBase, row: ChatRow, turn: int, whole: str, *, ask: bool
) -> tuple[int, int]:
    """First and past-last character of one answer's text in the rendering, template header left out."""
    # Lower case, for templates that lower-case what they show (nano's).
    stand_in = "answerhere"
    while any(stand_in in message["content"] for message in row.messages) or stand_in in whole:
        stand_in += "z"
    replaced = [dict(message) for message in row.messages]
    replaced[turn]["content"] = stand_in
    before, found, after = render(tokenizer, replaced, ask=ask, where=row.where).partition(stand_in)
    fits = found and stand_in not in after and whole.startswith(before) and whole.endswith(after)
    if not fits or len(before) + len(after) >= len(whole):
        raise DataError(
            f"the chat template does not show the answer of turn {turn} once, as it is",
            where=row.where,
            hint=_see(row),
        )
    begin, end = len(before), len(whole) - len(after)
    # What the sampler's prompt does not hold, the model must say itself: Mistral's space before an answer,
    # an empty thought block of a thinking-only model. Earlier turns may be shown without it (Qwen3).
    asked = render(tokenizer, row.messages[:turn], ask=True, where=row.where)
    if whole.startswith(asked) and len(asked) <= begin:
        begin = len(asked)
    elif turn == len(row.messages) - 1:
        raise DataError(
            "the chat template shows a finished answer behind another header than the one it asks with; "
            "a model trained on it would not be asked as it was trained",
            where=row.where,
            expected=ascii(asked[-60:]),
            found=ascii(whole[max(0, begin - 60) : begin]),
        )
    return begin, end


def _answer_tokens(
    tokenizer: PreTrainedTokenizerBase,
    row: ChatRow,
    ids: list[int],
    spans: list[tuple[int, int]] | None,
    text: str,
    begin: int,
    end: int,
) -> tuple[int, int]:
    """First and past-last trained token of an answer, its stop token included."""
    prompt = tokenize(tokenizer, text[:begin])[0]
    stable = prompt == ids[: len(prompt)]
    if spans is not None:
        # A token that straddles the border carries characters of the answer: it is trained.
        first = next((t for t, (_, past) in enumerate(spans) if past > begin), len(ids))
        if stable and text[begin:end].strip():
            first = max(first, len(prompt))
        stop = next((t for t, (start, past) in enumerate(spans) if start >= end and past > start), len(ids))
    else:
        answer = tokenize(tokenizer, text[:end])[0]
        if not stable or answer != ids[: len(answer)]:
            raise DataError(
                "the prompt's tokens change when the answer follows, and the slow tokenizer tells no offsets",
                where=row.where,
                hint="use the fast tokenizer of the model",
            )
        first, stop = len(prompt), len(answer)
    special = [is_special(tokenizer, token) for token in ids[stop : stop + 3]]
    while not any(special[:1]) and len(special) > 1 and not str(tokenizer.decode([ids[stop]])).strip():
        stop, special = stop + 1, special[1:]  # Llama-2 writes a space before its stop token
    if not any(special[:1]):
        raise DataError(
            "no stop token follows the answer in the chat template: the model would never learn to stop",
            where=row.where,
            found="the end of the row" if stop >= len(ids) else ascii(tokenizer.decode([ids[stop]])),
            hint=_see(row),
        )
    if first >= stop:
        raise DataError(f"no token of row {row.line} would be trained", where=row.where, hint=_see(row))
    return first, stop + 1


def _fit(row: ChatRow, ids: list[int], labels: list[int], tail: int, max_length: int) -> Encoded:
    """Cut to `max_length` and check that something is still trained."""
    if max_length < 2:
        raise UsageError("max_length is too small to train on", expected="at least 2", found=max_length)
    cut = max(0, len(ids) - max_length)
    ids, labels, tail = ids[:max_length], labels[:max_length], max(0, tail - cut)
    # The first token has no context and no loss, so it does not count.
    trained = sum(label != IGNORE for label in labels[1:])
    if trained - tail < 1:
        raise DataError(
            f"no token of row {row.line} would be trained",
            where=row.where,
            expected="at least the start of the answer within max_length",
            found=f"the prompt fills all {max_length} tokens ({cut} tokens are cut off)",
            hint=f"{_see(row)} --max-length {max_length}",
        )
    return Encoded(ids, labels, tail, cut)


def _see(row: ChatRow) -> str:
    return f"axenic data show {row.path} --row {row.line}"
