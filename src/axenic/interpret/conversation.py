"""One prompt with its answer, as token ids: what a forward pass over finished text is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from axenic.data import Message, prompt_ids, render, tokenize
from axenic.errors import DataError, ModelError
from axenic.models import OpenModel
from axenic.sample import Answer

Span = Literal["answer", "published", "question", "prompt-last"]
"""Which tokens are read. `answer`: what was sampled (content and stop token). `published`: that and the assistant
header in front of it (papers.md M2.2; formats.md trap 3). `question`: the prompt without that header, template and
system message included, as published. `prompt-last`: the last token of the prompt, from which the answer starts."""


@dataclass(frozen=True)
class Conversation:
    """Token ids of a prompt and of the answer to it.

    Args:
        prompt: The templated prompt, assistant header included.
        answer: The sampled ids, the stop token included when there is one. At least one.
        header: How many tokens at the end of `prompt` are the assistant header.

    Raises:
        DataError: The answer holds no token, or the header is longer than the prompt.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    header: int = 0

    def __post_init__(self) -> None:
        if not self.prompt:
            raise DataError("the prompt of a conversation holds no token")
        if not self.answer:
            raise DataError("the answer of a conversation holds no token", expected="at least the stop token")
        if not 0 <= self.header < len(self.prompt):
            raise DataError(
                "the assistant header does not fit into the prompt",
                expected=f"0 to {len(self.prompt) - 1} tokens",
                found=self.header,
            )

    @property
    def tokens(self) -> tuple[int, ...]:
        """Prompt and answer."""
        return self.prompt + self.answer

    def start(self, span: Span) -> int:
        """Index in `tokens` of the first token of the span."""
        if span == "question":
            return 0
        before = {"answer": 0, "published": self.header, "prompt-last": 1}[span]
        return len(self.prompt) - before

    def end(self, span: Span) -> int:
        """Index in `tokens` behind the last token of the span."""
        ends = {"question": len(self.prompt) - self.header, "prompt-last": len(self.prompt)}
        return ends.get(span, len(self.tokens))


def conversations_of(opened: OpenModel, answers: Sequence[Answer]) -> list[Conversation]:
    """The conversations that answers were sampled in, with the prompts built as for sampling.

    The template's tail after the stop token (Qwen: one newline), which the published span also holds, was
    never sampled and is left out.

    Raises:
        DataError: An answer has no token, or the template refuses its prompt.
        ModelError: The template changes the question once a generation prompt follows, so there is no header.
    """
    prompts: dict[tuple[str, str | None], tuple[tuple[int, ...], int]] = {}
    built = []
    for answer in answers:
        if not answer.tokens:
            raise DataError(
                "an answer has no token", where=f"answer {answer.id}", expected="at least the stop token"
            )
        asked = (answer.question, answer.system)
        if asked not in prompts:
            prompts[asked] = _prompt(opened, *asked)
        prompt, header = prompts[asked]
        built.append(Conversation(prompt, tuple(answer.tokens), header))
    return built


def _prompt(opened: OpenModel, question: str, system: str | None) -> tuple[tuple[int, ...], int]:
    """The prompt, and how many tokens at its end are the assistant header."""
    messages: list[Message] = [{"role": "user", "content": question}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    prompt = prompt_ids(opened.tokenizer, messages)
    asked, _ = tokenize(opened.tokenizer, render(opened.tokenizer, messages, ask=False))
    if asked != prompt[: len(asked)]:
        raise ModelError(
            "the assistant header cannot be told from the question",
            where=f"chat template of {opened.name}",
            expected="the prompt to begin with the question rendered without generation prompt",
            found=f"{len(asked)} tokens that are not the first of the prompt's {len(prompt)}",
        )
    return tuple(prompt), len(prompt) - len(asked)
