"""How likely a model is to go on with given phrases after the beginning of an answer, with and without interventions.

A arms, O openings, P phrases, B rows, K kept positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from axenic.data import Message, render, tokenize
from axenic.errors import DataError, FileError, UsageError
from axenic.files import parse_json
from axenic.interpret.batches import batches
from axenic.interpret.capability import BATCH_TOKENS, LOGIT_CELLS
from axenic.interpret.conversation import Conversation
from axenic.intervene import Arm, InterventionHooks
from axenic.models import OpenModel
from axenic.progress import Progress, silent

_ROW = '{"question": text, "prefix": text, "system"?: text}'


@dataclass(frozen=True)
class Opening:
    """A question and how the answer to it begins: where it may turn.

    Args:
        question: What is asked.
        prefix: The answer up to here, exactly as the model would have written it (mind the space in front, where its
            answers begin with one); may be empty.
        system: System message, or None for the model's default.
    """

    question: str
    prefix: str
    system: str | None = None


def read_openings(path: str | Path) -> tuple[Opening, ...]:
    """Openings of a JSONL file, one to a line.

    Raises:
        FileError: It cannot be read.
        DataError: A line that is no opening, or none at all; says `file:line`.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise FileError("the openings cannot be read", where=path, found=error.strerror) from error
    openings = [_opening(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not openings:
        raise DataError("the file holds no opening", where=path, expected=f"JSONL of {_ROW}")
    return tuple(openings)


def phrase_logprobs(
    opened: OpenModel,
    openings: Sequence[Opening],
    phrases: Sequence[str],
    arms: Sequence[Arm],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> Tensor:
    """log P(phrase | question, prefix) under every arm, teacher-forced: the sum over the phrase's tokens.

    One batched pass over all openings and phrases for each arm. A phrase is tokenised where it stands, behind its prefix.

    Args:
        opened: The model.
        openings: At least one.
        phrases: At least one, such as " However" (with its space). None may begin with another, so that their probabilities
            can be added.
        arms: What is done to the model; `PLAIN` for nothing.
        batch_tokens: Upper bound of tokens of a forward pass, padding counted.
        progress: Told after every arm.

    Returns:
        `[A, O, P]` nats, float64 on the CPU.

    Raises:
        UsageError: No opening or phrase, an empty phrase, or one that begins with another.
        DataError: A phrase that melts into its prefix or that the tokenizer does not know.
    """
    conversations, lengths = _conversations(opened, openings, phrases)
    tokens = max(1, min(batch_tokens, LOGIT_CELLS // len(opened.tokenizer)))
    found_AC = torch.zeros(len(arms), len(conversations), dtype=torch.float64)
    for a, arm in enumerate(arms):
        with InterventionHooks(opened.sites, [arm]) as hooks:
            for batch in batches(conversations, batch_tokens=tokens, device=opened.device):
                hooks.assign([0] * len(batch.rows))
                hooks.phase = batch.answer_BT
                ends = [len(conversations[row].tokens) for row in batch.rows]
                starts = [end - lengths[row] for end, row in zip(ends, batch.rows, strict=True)]
                logits_BKV = _logits(opened, batch.ids_BT, min(starts) - 1)
                for b, row in enumerate(batch.rows):
                    # The position before a token predicts it.
                    first = starts[b] - min(starts)
                    found_AC[a, row] = _score(
                        logits_BKV[b, first : first + lengths[row]], batch.ids_BT[b, starts[b] : ends[b]]
                    )
        progress("phrases", a + 1, len(arms), "arm")
    return found_AC.view(len(arms), len(openings), len(phrases))


def _conversations(
    opened: OpenModel, openings: Sequence[Opening], phrases: Sequence[str]
) -> tuple[list[Conversation], list[int]]:
    """Each opening with each phrase, and how many tokens at the end are the phrase."""
    if not openings or not phrases or not all(phrases):
        raise UsageError(
            "there is nothing to measure", expected="one opening and one phrase or more, no phrase empty"
        )
    tokenizer = opened.tokenizer
    conversations, lengths = [], []
    for opening in openings:
        messages: list[Message] = [{"role": "user", "content": opening.question}]
        if opening.system is not None:
            messages.insert(0, {"role": "system", "content": opening.system})
        asked = render(tokenizer, messages, ask=True)
        prompt = tokenize(tokenizer, asked)[0]
        before = tokenize(tokenizer, asked + opening.prefix)[0]
        if before[: len(prompt)] != prompt:
            raise DataError(
                "a prefix melts into the assistant header",
                where=opened.name,
                found=ascii(opening.prefix[:40]),
            )
        tails: list[tuple[int, ...]] = []
        for phrase in phrases:
            whole = tokenize(tokenizer, asked + opening.prefix + phrase)[0]
            tail = tuple(whole[len(before) :])
            if whole[: len(before)] != before or not tail:
                raise DataError(
                    "a phrase melts into what stands before it",
                    where=f"prefix {opening.prefix[-40:]!a}, phrase {phrase!a}",
                    expected="the tokens of the prefix, then those of the phrase",
                    hint="end the prefix before the space and begin the phrase with it",
                )
            if tokenizer.unk_token_id in tail:
                raise DataError(
                    "the tokenizer does not know a phrase", where=opened.name, found=ascii(phrase)
                )
            tails.append(tail)
            conversations.append(Conversation(tuple(whole[: len(prompt)]), tuple(whole[len(prompt) :])))
            lengths.append(len(tail))
        _check_apart(tails, phrases)
    return conversations, lengths


def _check_apart(tails: Sequence[tuple[int, ...]], phrases: Sequence[str]) -> None:
    for i, one in enumerate(tails):
        for j, other in enumerate(tails):
            if i != j and other[: len(one)] == one:
                raise UsageError(
                    "a phrase begins with another: its probability would count twice",
                    expected="phrases of which none begins with another",
                    found=f"{phrases[i]!a} and {phrases[j]!a}",
                )


@torch.no_grad()
def _logits(opened: OpenModel, ids_BT: Tensor, first: int) -> Tensor:
    """Logits `[B, K, V]` from position `first` on."""
    opened.model.eval()
    logits: Tensor = opened.model(
        input_ids=ids_BT, use_cache=False, logits_to_keep=ids_BT.shape[1] - first
    ).logits
    return logits


def _score(logits_TV: Tensor, tokens_T: Tensor) -> float:
    wide = torch.float64 if logits_TV.dtype == torch.float64 else torch.float32
    logprob_TV = torch.log_softmax(logits_TV, -1, dtype=wide)
    return float(logprob_TV.gather(1, tokens_T[:, None]).double().sum())


def _opening(line: bytes, where: str) -> Opening:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise DataError("a line is not JSON", where=where, expected=_ROW, found=error) from error
    if (
        not isinstance(row, dict)
        or not {"question", "prefix"} <= set(row) <= {"question", "prefix", "system"}
        or not all(isinstance(value, str) for value in row.values())
    ):
        raise DataError("a line is no opening", where=where, expected=_ROW, found=ascii(line[:80]))
    return Opening(**row)
