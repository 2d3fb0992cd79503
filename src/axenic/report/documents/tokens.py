"""Answers token by token."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from axenic.report.documents.base import Document, as_long


class Reading(Document):
    """What a number at every token is: `projection`, `scalar` or `significance`, and of what."""

    quantity: str
    name: str = ""
    layer: int | None = None


class TokenAnswer(Document):
    """One answer: its tokens as text, and for each reading one number at each of them."""

    answer_id: str = ""
    question: str = ""
    note: str = ""
    tokens: tuple[str, ...] = ()
    values: tuple[tuple[float, ...], ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.tokens, *self.values)


class TokensFile(Document):
    """`tokens.json`."""

    kind: Literal["tokens"]
    label: str = ""
    readings: tuple[Reading, ...] = ()
    answers: tuple[TokenAnswer, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return as_long(self, self.readings, *(answer.values for answer in self.answers))
