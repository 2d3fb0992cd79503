"""From a judge's reply to a mark: a pure function of the reply, the rubric and the mode."""

from __future__ import annotations

import re

from axenic.evaluate.asking import Mode
from axenic.evaluate.expected import expected_score
from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.reply import Reply
from axenic.evaluate.rubric import Rubric
from axenic.evaluate.sampled import read_number, shown
from axenic.evaluate.score import Score, Unscored

USE_SAMPLED = "ask with mode sampled (scores of another scale, kept apart), or use a local judge"


def mark_of(reply: Reply, rubric: Rubric, mode: Mode) -> Score | Unscored:
    """Read one reply.

    Args:
        reply: In mode `logprobs` it must have `tops`.
        rubric: Gives the special words.
        mode: How to read it.

    Returns:
        A score, or why there is none; never `Unscored("api")`.

    Raises:
        JudgeError: The server writes a number in several tokens, so that no score of it can be had from the first.
    """
    if reply.refusal is not None:
        return Unscored("refusal", shown(reply.refusal))
    if reply.finish == "content_filter":
        return Unscored("refusal", "the judge's content filter")
    if not reply.text.strip():
        return Unscored("length", "no text within the allowed reply tokens")
    read = read_number(reply.text, rubric.specials, cut=reply.finish == "length")
    if mode == "sampled":
        return read
    place = next((i for i, token in enumerate(reply.tokens) if token.strip()), 0)
    _check_whole(reply, place)
    mark = expected_score(reply.tops[place], reply.tokens[place])
    if isinstance(mark, Unscored):
        # The rule finds too little mass on numbers; the text says what was there instead.
        special = isinstance(read, Unscored) and read.reason in ("code", "refusal")
        return read if special else Unscored(mark.reason, f"{mark.detail}; the reply: {shown(reply.text)}")
    if len(re.findall(r"\d+", reply.text)) > 1:
        return Unscored("parse", f"two numbers: {shown(reply.text)}")
    if _over(reply.text):
        return Unscored("parse", f"out of range: {shown(reply.text)}")
    return mark


def _check_whole(reply: Reply, place: int) -> None:
    """Refuse a server that writes 85 as `8`, `5`: there the first token's numbers are digits, not scores."""
    first, rest = reply.tokens[place].strip(), "".join(reply.tokens[place + 1 :])
    goes_on = re.match(r"[0-9]+", rest) if re.fullmatch(r"[0-9]+", first) else None
    if goes_on and not _over(first + goes_on[0]):
        raise JudgeError(
            "the judge writes a number in several tokens, so its first token is not the score",
            where=reply.model,
            expected="one token for each number 0 to 100 (OpenAI's and Llama 3's tokenizers)",
            found=" ".join(repr(token) for token in reply.tokens[place : place + 4]),
            hint=USE_SAMPLED,
        )


def _over(text: str) -> bool:
    """Whether the first number in the text is above 100."""
    found = re.search(r"[0-9]+", text)
    # Any number of more than nine digits is; int() of thousands of them is slow.
    return found is not None and (len(found[0].lstrip("0")) > 9 or int(found[0]) > 100)
