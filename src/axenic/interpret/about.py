"""Answers about one topic: what a semantic direction is taken from (papers.md M2.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from axenic.errors import UsageError
from axenic.evaluate import Scored


@dataclass(frozen=True)
class About:
    """Which answers are about the topic; exactly one of the three ways to tell.

    Args:
        topic: The topic that the judge names for the ANSWER; what the question is about is not used.
        metric: A topic metric of the judge, e.g. `medical`; the answer's mark must be above `above`.
        keywords: At least one of them must be in the answer, as a whole word, in either case.
        above: Exclusive bound on `metric`, 0 to 100; 50 as published.

    Raises:
        UsageError: None of the ways or several, or an empty keyword.
    """

    topic: str | None = None
    metric: str | None = None
    keywords: tuple[str, ...] = field(default=())
    above: float = 50.0

    def __post_init__(self) -> None:
        ways = [name for name in ("topic", "metric", "keywords") if self.to_json()[name]]
        if len(ways) != 1:
            raise UsageError(
                "say what the answers are to be about in one way",
                expected="topic, metric or keywords",
                found=" and ".join(ways) or "nothing",
            )
        if any(not word.strip() for word in self.keywords):
            raise UsageError("a keyword is empty: it would be in every answer", found=list(self.keywords))

    def keeps(self, item: Scored) -> bool:
        """Whether the answer is about it. Raises `DataError` when the judge does not give the metric."""
        if self.topic is not None:
            return item.verdict.topic == self.topic
        if self.metric is not None:
            return item.verdict.above(self.metric, self.above)
        words = "|".join(re.escape(word.strip()) for word in self.keywords)
        return re.search(rf"(?<!\w)(?:{words})(?!\w)", item.answer.text, re.IGNORECASE) is not None

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {
            "topic": self.topic,
            "metric": self.metric,
            "keywords": list(self.keywords),
            "above": self.above,
        }
