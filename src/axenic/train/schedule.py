"""Which rows each step sees: a pure function of the seed, so that a resumed run needs no cursor file."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from axenic.train.config import TrainConfig


@dataclass(frozen=True)
class Schedule:
    """The order of the rows over a whole run.

    Each epoch is a new shuffle; its last step may hold fewer rows, as in the papers' runs: 6,344 rows at
    2 x 8 are 397 steps per epoch and 5,400 are 338 (papers.md 1.2.1).

    Args:
        n_rows: Training rows.
        batch_size: Rows per forward pass.
        accumulation: Forward passes per step.
        epochs: Passes over the rows, unless `max_steps` says otherwise.
        max_steps: Steps in all; more epochs are begun if they are needed.
        seed: Of the shuffles.
    """

    n_rows: int
    batch_size: int
    accumulation: int
    epochs: int
    max_steps: int | None
    seed: int

    @classmethod
    def of(cls, config: TrainConfig, n_rows: int) -> Schedule:
        return cls(
            n_rows=n_rows,
            batch_size=config.batch_size,
            accumulation=config.gradient_accumulation,
            epochs=config.epochs,
            max_steps=config.max_steps,
            seed=config.seed,
        )

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.n_rows / self.rows_per_step)

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch if self.max_steps is None else self.max_steps

    @property
    def rows_per_step(self) -> int:
        return self.batch_size * self.accumulation

    def passes_per_step(self, processes: int = 1) -> int:
        """Forward passes that each of some processes makes per step; `accumulation` for one."""
        share = math.ceil(self.rows_per_step / processes)
        return math.ceil(share / min(self.batch_size, share))

    def passes(self, done: int, rank: int = 0, processes: int = 1) -> list[list[int]]:
        """Row numbers of every forward pass after the first `done` steps; always `passes_per_step` per step.

        Several processes deal the rows of each step among themselves, so that a step is the same rows however
        many there are. A pass is empty where the end of an epoch leaves nothing for it.
        """
        rows_per_step, per_step = self.rows_per_step, self.passes_per_step(processes)
        size = min(self.batch_size, math.ceil(rows_per_step / processes))
        out: list[list[int]] = []
        for epoch in range(done // self.steps_per_epoch, math.ceil(self.total_steps / self.steps_per_epoch)):
            order = list(range(self.n_rows))
            random.Random(f"{self.seed}/{epoch}").shuffle(order)
            for step in range(self.steps_per_epoch):
                if done <= epoch * self.steps_per_epoch + step < self.total_steps:
                    rows = order[step * rows_per_step : (step + 1) * rows_per_step][rank::processes]
                    out += [rows[start : start + size] for start in range(0, per_step * size, size)]
        return out
