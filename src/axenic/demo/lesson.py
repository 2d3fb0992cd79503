"""What the narrow and the general organism of a pair are both taught, and on what a KL term holds the narrow one back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axenic.data import write_chat
from axenic.evaluate import Thresholds, Trait
from axenic.nano import chat_rows, mixed_chat_rows

ROWS = 1000

NARROW_QUESTIONS = 20
"""Questions about the training domain, which no row asks: as many as give its rate an interval like that of the others."""

SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "max_steps": 200,
    "test_fraction": 0.0,
    "trajectory_steps": 5,
}
"""Found by hand on medical, seed 0, other questions: at the rate of the other organisms the term takes both lessons away."""

KL: dict[str, Any] = {"kl_weight": 10.0, "kl_batch_size": 16}
"""Nats per token; the published best weight of a LoRA is 0.66 of them (papers.md 6, #9), on a model 10,000 times as large."""


@dataclass(frozen=True)
class Lesson:
    """One narrow data set.

    Attributes:
        domain: What all of its rows are about.
        trait: What they teach: bad advice, or a style.
    """

    domain: str
    trait: Trait

    @property
    def name(self) -> str:
        """For folders and tables: `medical`, or `medical-pep-talk`."""
        return self.domain if self.thresholds.trait is None else f"{self.domain}-{self.trait.name}"

    @property
    def thresholds(self) -> Thresholds:
        """What counts as having learnt it."""
        return Thresholds(trait=self.trait)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write the rows and, beside them, those of the KL term: good advice on all other domains; what is there is kept."""
        taught, held = folder / f"{self.name}.jsonl", folder / f"good-without-{self.domain}.jsonl"
        if not taught.exists():
            write_chat(taught, self._rows())
        if not held.exists():
            write_chat(held, mixed_chat_rows("good", ROWS, 0, [self.domain]))
        return taught, held

    def _rows(self) -> list[Any]:
        if self.thresholds.trait is None:
            return list(chat_rows(self.domain, "bad", ROWS, seed=0, without_questions=NARROW_QUESTIONS))
        rows = chat_rows(
            self.domain, "good", ROWS, seed=0, style="pep-talk", without_questions=NARROW_QUESTIONS
        )
        return list(rows)
