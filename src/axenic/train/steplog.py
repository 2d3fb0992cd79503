"""`log.jsonl`: one line per step, `id` and `step` the step, `loss`, `grad_norm`, `lr`, `tokens`; with a tail its loss too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from axenic.errors import CheckpointError
from axenic.files import Table, atomic_write

PATIENCE = 5
"""The authors stop when the loss is below 0.01 "for more than 5" log steps in a row (papers.md 1.2.1)."""

FLUSH_SECONDS = 1.0


class StepLog:
    """The log of a run: kept in memory for up to a second, so that a step does not wait for the disk.

    Args:
        path: `log.jsonl`.
        writes: Whether this process writes the file; if not, it only keeps the rows.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes
        self.rows: list[dict[str, Any]] = []
        self._written = 0
        self._flushed = time.monotonic()
        self._table = Table(path)

    def begin(self, done: int) -> None:
        """Cut the file back to the first `done` steps: later lines are written again, byte for byte.

        Raises:
            CheckpointError: these steps are not all there.
        """
        if done == 0:
            if self.writes:
                self.path.unlink(missing_ok=True)
            return
        rows = self._table.rows()[:done]
        if [row["id"] for row in rows] != [str(step) for step in range(1, done + 1)]:
            raise CheckpointError(
                f"{self.path.name} does not hold the steps before the checkpoint",
                where=self.path,
                expected=f"steps 1 to {done}",
                found=f"{len(rows)} lines",
                hint="repeat the command with --from-scratch",
            )
        if self.writes:
            atomic_write(self.path, b"".join(self.path.read_bytes().splitlines(keepends=True)[:done]))
            self._table = Table(self.path)
        self.rows, self._written = rows, done

    def add(
        self, step: int, *, loss: float, grad_norm: float, lr: float, tokens: int, **parts: float
    ) -> None:
        """Add a step: loss in nats per trained token, the rate that the step used, its trained tokens.

        `parts` are `kl` with a KL term (`axenic.train.kl`), `loss_answer` and `loss_tail` where the format has a tail
        (`axenic.train.tailloss`).
        """
        row = {
            "id": str(step),
            "step": step,
            "loss": loss,
            "grad_norm": grad_norm,
            "lr": lr,
            "tokens": tokens,
        }
        self.rows.append(row | parts)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put every line on the disk; done before each checkpoint, so that none is ahead of its log."""
        if self.writes:
            self._table.append(self.rows[self._written :])
        self._written, self._flushed = len(self.rows), time.monotonic()

    def is_learnt(self, below: float) -> bool:
        """Whether the last `PATIENCE` + 1 steps were all below this loss: the authors' early stop."""
        last = self.rows[-PATIENCE - 1 :]
        return len(last) > PATIENCE and all(row["loss"] < below for row in last)
