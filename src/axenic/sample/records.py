"""The records of sampling: what is asked, how, and what came back. Files hold one JSON object per line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from axenic.errors import AxenicError, DataError, FileError, UsageError
from axenic.files.table import Table

Stop = Literal["eos", "length"]
"""Why an answer ended: the model ended its turn, or `max_new_tokens` was reached."""

_Record = TypeVar("_Record", "Question", "Answer")


@dataclass(frozen=True)
class Question:
    """One question as it is put to a model.

    Args:
        id: Unique within a set of questions; intervals are clustered by it.
        question: The user's turn; not blank.
        topic: What it is about, or None when nobody said.
        system: The system prompt, or None for the model's own default.

    Raises:
        DataError: A field has the wrong type or is blank.
    """

    id: str
    question: str
    topic: str | None = None
    system: str | None = None

    def __post_init__(self) -> None:
        _text(self.id, "id", blank=False)
        _text(self.question, "question", blank=False)
        _optional_text(self.topic, "topic")
        _optional_text(self.system, "system")

    def to_json(self) -> dict[str, Any]:
        """All four fields, None included."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`; `topic` and `system` may be left out. Raises `DataError`."""
        known = _known_keys(row, cls, required=("id", "question"))
        return cls(known["id"], known["question"], known.get("topic"), known.get("system"))


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn. The defaults are the papers' (papers.md 1.3.2).

    Args:
        temperature: At least 0; 0 takes the likeliest token.
        top_p: In (0, 1]; 1 keeps the whole distribution.
        max_new_tokens: At least 1; the token that ends the turn counts.
        seed: Part of the id of every answer. At least 0.

    Raises:
        UsageError: A value outside these ranges.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 600
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p"):
            value = asdict(self)[name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise UsageError(f"{name} must be a number", expected="a finite number", found=repr(value))
            # 1 and 1.0 must give the same bytes, and so the same answer ids.
            object.__setattr__(self, name, float(value))
        for name in ("max_new_tokens", "seed"):
            value = asdict(self)[name]
            if isinstance(value, bool) or not isinstance(value, int):
                raise UsageError(f"{name} must be a whole number", expected="an integer", found=repr(value))
        if self.temperature < 0:
            raise UsageError("temperature is negative", expected="0 or more", found=self.temperature)
        if not 0 < self.top_p <= 1:
            raise UsageError("top_p is out of range", expected="above 0, at most 1", found=self.top_p)
        if self.max_new_tokens < 1:
            raise UsageError("max_new_tokens is too small", expected="1 or more", found=self.max_new_tokens)
        if self.seed < 0:
            raise UsageError("seed is negative", expected="0 or more", found=self.seed)

    def to_json(self) -> dict[str, Any]:
        """The four fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`; fields left out take their default. Raises `DataError`, `UsageError`."""
        return cls(**_known_keys(row, cls, required=()))


@dataclass(frozen=True)
class Answer:
    """One answer of a model under an arm.

    Args:
        id: Hash of everything the answer depends on; unique in a file.
        arm: The arm's name, for people.
        arm_id: The arm's content id; `answers.arms.json` says what it means.
        question_id: `Question.id`.
        question: The user's turn.
        topic: The question's topic (not the answer's), or None.
        system: The system prompt, or None for the model's default.
        sample: 0-based index among the answers to this question under this arm.
        text: The answer, special tokens removed; may be empty.
        tokens: Ids of the generated tokens, the end-of-turn token included when there is one.
        stop: Why it ended.

    Raises:
        DataError: A field has the wrong type.
    """

    id: str
    arm: str
    arm_id: str
    question_id: str
    question: str
    topic: str | None
    system: str | None
    sample: int
    text: str
    tokens: list[int]
    stop: Stop

    def __post_init__(self) -> None:
        for name, value in (("id", self.id), ("question_id", self.question_id)):
            _text(value, name, blank=False)
        for name, value in (
            ("arm", self.arm),
            ("arm_id", self.arm_id),
            ("question", self.question),
            ("text", self.text),
        ):
            _text(value, name, blank=True)
        _optional_text(self.topic, "topic")
        _optional_text(self.system, "system")
        if type(self.sample) is not int or self.sample < 0:
            raise DataError(
                "sample is not a sample index", expected="an integer >= 0", found=repr(self.sample)
            )
        if type(self.tokens) is not list or not all(
            type(token) is int and token >= 0 for token in self.tokens
        ):
            raise DataError("tokens is not a list of token ids", expected="a list of integers >= 0")
        if self.stop not in ("eos", "length"):
            raise DataError("stop is unknown", expected='"eos" or "length"', found=repr(self.stop))

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {field.name: self.__dict__[field.name] for field in fields(self)}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`; every field must be there. Raises `DataError`."""
        return cls(**_known_keys(row, cls, required=tuple(field.name for field in fields(cls))))


def read_answers(path: str | Path) -> list[Answer]:
    """The answers of an `answers.jsonl`, in file order, without a last line that is being written.

    Raises:
        FileError: There is no such file.
        DataError: A line is not an answer, or an id comes twice; says `file:line`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError("there is no such answers file", where=path, hint="axenic sample")
    # A table has no blank lines, so that the n-th row stands on the n-th line.
    return [_located(Answer, row, f"{path}:{line}") for line, row in enumerate(Table(path).rows(), start=1)]


def _located(kind: type[_Record], row: object, place: str) -> _Record:
    """`kind.from_json(row)`, with the place added to what goes wrong."""
    try:
        return kind.from_json(row)
    except AxenicError as error:
        raise DataError(
            error.what, where=place, expected=error.expected, found=error.found, hint=error.hint
        ) from error


def _known_keys(row: object, kind: type, required: tuple[str, ...]) -> dict[str, Any]:
    """The row itself, checked: an object with the required keys and no key that `kind` does not have."""
    if not isinstance(row, Mapping):
        raise DataError(f"a {kind.__name__.lower()} must be a JSON object", found=type(row).__name__)
    known = [field.name for field in fields(kind)]
    missing = [name for name in required if name not in row]
    unknown = [str(name) for name in row if name not in known]
    if missing or unknown:
        raise DataError(
            f"these are not the keys of a {kind.__name__.lower()}",
            expected=", ".join(known),
            found=", ".join([*(f"no {name}" for name in missing), *(f"unknown {name}" for name in unknown)]),
        )
    return dict(row)


def _text(value: object, name: str, *, blank: bool) -> None:
    """Refuse what is not text, what cannot be written as UTF-8, and (unless `blank`) what is blank."""
    if not isinstance(value, str):
        raise DataError(f"{name} must be text", expected="a string", found=type(value).__name__)
    if not blank and not value.strip():
        raise DataError(f"{name} is empty", expected="text", found=repr(value))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{name} holds half of a surrogate pair", expected="valid Unicode") from error


def _optional_text(value: object, name: str) -> None:
    """`_text`, or None."""
    if value is not None:
        _text(value, name, blank=True)
