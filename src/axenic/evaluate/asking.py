"""How an endpoint judge is asked: everything, beside the rubric, that can change a score."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from axenic.errors import UsageError
from axenic.evaluate.expected import LEAST_MASS, MOST_DOUBT
from axenic.evaluate.rubric import Rubric
from axenic.files import content_id

Mode = Literal["logprobs", "sampled"]

READING_VERSION = "1"
"""Raised by hand when a reply could be read as another mark than before (expected.py, sampled.py, reading.py)."""


@dataclass(frozen=True)
class Asking:
    """Which model is asked, and how; hashed into the judge's fingerprint.

    The address of the server is not here: the same model on another host, with another concurrency or time-out, is
    the same judge (style.md 4.5 F). Two servers that serve different weights under one model name are told
    apart by `revision`.

    Args:
        model: As the endpoint calls it, e.g. `gpt-4o-2024-08-06`. A dated name is one judge; an alias may change.
        revision: Whatever else tells this judge apart: revision of the weights, quantisation, provider.
        mode: `logprobs`: expected score over the first token (papers.md 1.3.3). `sampled`: the number that the
            judge writes. Marks of the two are not one scale and are never mixed: a server without
            log-probabilities is an error in the first mode.
        samples: Replies per mark, averaged; only in mode `sampled`.
        temperature: 0 to 2; 0 in the papers. Several samples need more than 0.
        seed: Sent to the server; sample i is asked with seed + i.
        top_logprobs: 1 to 20; 20 in the papers.
        answer_tokens: Reply tokens at most. The papers ask for one; eight show whether a number went on. With four,
            100 in single digits would be cut where a server counts the stop token as one (transformers serve does), and
            the best answers would lose their score. A model that reasons before it answers needs hundreds, in mode
            `sampled`.

    Raises:
        UsageError: A value cannot be meant.
    """

    model: str
    revision: str = ""
    mode: Mode = "logprobs"
    samples: int = 1
    temperature: float = 0.0
    seed: int = 0
    top_logprobs: int = 20
    answer_tokens: int = 8

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UsageError(
                "the judge's model has no name", expected="a model of the endpoint", found=repr("")
            )
        if self.mode not in ("logprobs", "sampled"):
            raise UsageError(
                "unknown way to ask a judge", expected="logprobs or sampled", found=repr(self.mode)
            )
        for name, value, low, high in (
            ("samples", self.samples, 1, 1000),
            ("temperature", self.temperature, 0, 2),
            ("top_logprobs", self.top_logprobs, 1, 20),
            ("answer_tokens", self.answer_tokens, 1, 100_000),
        ):
            if not low <= value <= high:
                raise UsageError(
                    f"the judge's {name} is out of range", expected=f"{low} to {high}", found=value
                )
        if self.samples > 1 and (self.mode == "logprobs" or self.temperature == 0):
            raise UsageError(
                "several samples need mode sampled and a temperature above 0",
                expected="samples=1, or mode='sampled' and temperature > 0",
                found=f"samples={self.samples}, mode={self.mode!r}, temperature={self.temperature}",
            )

    def facts(self) -> dict[str, Any]:
        """Everything that can change a score, to be hashed and recorded."""
        return {
            "judge": "api",
            "reading": READING_VERSION,
            "least_mass": LEAST_MASS,
            "most_doubt": MOST_DOUBT,
            # 0 and 0.0 are one temperature and must hash alike.
            **{**asdict(self), "temperature": float(self.temperature)},
        }

    def fingerprint(self, rubric: Rubric) -> str:
        """Of the marks under one rubric: changes whenever the same answer could get another mark."""
        return content_id({**self.facts(), "rubric": rubric.to_json()})
