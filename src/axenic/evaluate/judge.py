"""What a judge is: anything that marks question-answer pairs on 0-100 metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from axenic.evaluate.verdict import Verdict


class Judge(Protocol):
    """Marks answers.

    A failure on one answer is an `Unscored` in its verdict; only what stops all work is raised.

    Attributes:
        name: For people, e.g. `nano`, `gpt-4o-2024-08-06`.
        fingerprint: Changes whenever the same answer could get other marks (rule, model, prompts, settings).
        metrics: Names of the marks that every verdict has.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def metrics(self) -> tuple[str, ...]: ...

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One verdict for each `(question, answer)`, in order."""
        ...
