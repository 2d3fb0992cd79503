"""Which model writes, and how it is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from axenic.errors import UsageError


@dataclass(frozen=True)
class Writer:
    """Everything, beside the request itself, that can change what is written; part of every request's id.

    Args:
        model: As the endpoint calls it. The papers used GPT-4o.
        revision: Whatever else tells this model apart: revision of the weights, quantisation, provider.
        temperature: 1 in the papers.
        reply_tokens: Reply tokens at most; 5,000 for ten items in P3's code (papers.md 1.1.3).

    Raises:
        UsageError: A value cannot be meant.
    """

    model: str
    revision: str = ""
    temperature: float = 1.0
    reply_tokens: int = 5000

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UsageError(
                "the writer has no name", expected="a model of the endpoint", found=repr(self.model)
            )
        if not 0 <= self.temperature <= 2:
            raise UsageError(
                "the writer's temperature is out of range", expected="0 to 2", found=self.temperature
            )
        if not 1 <= self.reply_tokens <= 1_000_000:
            raise UsageError(
                "the writer's reply_tokens are out of range",
                expected="1 to 1,000,000",
                found=self.reply_tokens,
            )

    def facts(self) -> dict[str, Any]:
        """To be hashed: 1 and 1.0 are one temperature."""
        return {**asdict(self), "temperature": float(self.temperature)}
