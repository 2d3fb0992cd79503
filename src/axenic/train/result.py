"""What a training run gave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrainResult:
    """What a run gave.

    Args:
        out: Run folder; `open_model(base, out)` opens the organism.
        organism: `adapter/` or `model/` in it.
        steps: Steps done; fewer than planned where the loss stayed below `stop_below`.
        planned_steps: Steps planned.
        loss: Loss of the last step [nats per trained token].
        test_loss: Loss of the held-out rows after training, None without any.
        n_train: Training rows.
        n_test: Held-out rows.
        tail_tokens: Trained tokens of the published format's extra headers, over all training rows.
        cut_rows: Training rows that max_length cut.
        loss_answer, loss_tail: `loss` taken apart: the answers', and the extra headers'; None without such a tail.
        kl: KL(base || organism) of the last step's KL rows [nats per token]; None without a KL term.
        notes: What was not as asked, one sentence each.
        resumed_from: Step of the checkpoint that was gone on from, None if none.
        already_trained: The folder held the finished run; nothing was done.
        seconds: Time this call took.
    """

    out: Path
    organism: Path
    steps: int
    planned_steps: int
    loss: float
    test_loss: float | None
    n_train: int
    n_test: int
    tail_tokens: int
    cut_rows: int
    loss_answer: float | None = None
    loss_tail: float | None = None
    kl: float | None = None
    notes: tuple[str, ...] = ()
    resumed_from: int | None = None
    already_trained: bool = False
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """What `result.json` holds: nothing that differs between two runs of one configuration."""
        return {
            "organism": self.organism.name,
            "steps": self.steps,
            "planned_steps": self.planned_steps,
            "loss": self.loss,
            "test_loss": self.test_loss,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "tail_tokens": self.tail_tokens,
            "cut_rows": self.cut_rows,
            "loss_answer": self.loss_answer,
            "loss_tail": self.loss_tail,
            "kl": self.kl,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, out: Path, stored: dict[str, Any]) -> TrainResult:
        """The result of a finished run."""
        names = {"organism": out / stored["organism"], "notes": tuple(stored["notes"])}
        return cls(**(stored | names), out=out, already_trained=True)
