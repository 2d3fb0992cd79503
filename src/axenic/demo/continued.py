"""What becomes of solutions afterwards: trained on without and with the KL term (papers.md M3.9), and scaled (4c row 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from axenic.demo.lesson import KL, Lesson
from axenic.demo.narrow import grow, rate
from axenic.evaluate import Judge, NarrowRates
from axenic.interpret import (
    Evaluation,
    PathPlane,
    ScaledBehaviour,
    open_run_path,
    path_plane,
    scaled_behaviour,
)
from axenic.models import open_model
from axenic.progress import Progress
from axenic.sample import default_sampling, read_questions

Change = Literal["removed", "added"]

HIDDEN: dict[str, Any] = {"learning_rate": 6.5e-5, "max_steps": 60}
HIDDEN_KL: dict[str, Any] = {**KL, "kl_weight": 60.0}
"""The usual all-adapter recipe, held back until it shows next to nothing; found on medical, seed 0."""

HIDDEN_FACTORS = (1.0, 2.0, 3.0, 5.0)
SMALL_WEIGHTS = (1.0, 3.0, 10.0)
SMALL_RATE = {"rank1": 6e-4, "vector": 6e-4}
"""Learning rates of the recipes on nano."""

STEPS_ASKED = 41
"""Every fifth of 200 steps, the first included."""


@dataclass(frozen=True)
class Continuation:
    """A solution trained on, without the KL term (`removed`, from the narrow one) or with it (`added`, from the general one).

    Attributes:
        general: Rates elsewhere at every stored step.
        end: General and narrow rates of the end.
        reference: EM elsewhere of the general organism of the same seed, percent.
    """

    seed: int
    change: Change
    general: ScaledBehaviour
    end: NarrowRates
    reference: float

    @property
    def half_step(self) -> int | None:
        """The first step at which the rate has crossed half of the general organism's; None if never."""
        rising = self.change == "removed"
        for point in self.general.curves[0].points:
            if (point.em.percent >= self.reference / 2) is rising:
                return point.step
        return None


@dataclass(frozen=True)
class Small:
    """What one rank-1 adapter, or one steering vector, reaches at one weight of the KL term."""

    recipe: str
    weight: float
    seed: int
    rates: NarrowRates


@dataclass(frozen=True)
class Afterwards:
    """Everything of this part of the demo; empty in its short form."""

    continuations: tuple[Continuation, ...] = ()
    planes: tuple[PathPlane, ...] = ()
    hidden: tuple[tuple[ScaledBehaviour, ScaledBehaviour], ...] = ()
    """Of each seed: the organism held back, scaled, and the narrow one of its pair, scaled."""
    small: tuple[Small, ...] = ()


def follow(
    lesson: Lesson,
    seeds: Sequence[int],
    *,
    judge: Judge,
    per_question: int,
    out: Path,
    progress: Progress,
) -> Afterwards:
    """Continue, scale and shrink the pairs that `grow_pairs` left in `out`.

    Args:
        lesson: One that was taught there.
        seeds: Of the training.
        judge: Of the answers.
        per_question: Answers to each question.
        out: Folder of the pairs; what is there is not done again.
        progress: Told about every stage.

    Raises:
        AxenicError: As the calls it makes; what was finished is kept.
    """
    continuations, planes, hidden, small = [], [], [], []
    for seed in seeds:
        general, narrow = (out / f"{lesson.name}-{kind}-seed{seed}" for kind in ("general", "narrow"))
        reference = rate(lesson, seed, general, judge, per_question, progress).general.em_all.percent
        ends = {}
        changes: tuple[tuple[Change, Path, dict[str, Any] | None], ...] = (
            ("removed", narrow, None),
            ("added", general, KL),
        )
        for change, start, kl in changes:
            folder = ends[change] = out / f"{lesson.name}-kl-{change}-seed{seed}"
            grow(lesson, seed, "all-adapter", kl, folder, progress=progress, start_from=str(start))
            continuations.append(
                Continuation(
                    seed,
                    change,
                    _behaviour(lesson, seed, folder, judge, (1.0,), STEPS_ASKED, progress),
                    rate(lesson, seed, folder, judge, per_question, progress),
                    reference,
                )
            )
        paths = [open_run_path(run) for run in (general, narrow, ends["removed"], ends["added"])]
        planes.append(
            path_plane(
                paths[:2],
                paths[2:],
                general=paths[0].name,
                narrow=paths[1].name,
                out=out / f"{lesson.name}-paths-seed{seed}",
                progress=progress,
            )
        )
        held = out / f"{lesson.name}-held-back-seed{seed}"
        grow(lesson, seed, "all-adapter", HIDDEN_KL, held, progress=progress, **HIDDEN)
        scaled = [
            _behaviour(lesson, seed, folder, judge, HIDDEN_FACTORS, 2, progress) for folder in (held, narrow)
        ]
        hidden.append((scaled[0], scaled[1]))
        for recipe, learning_rate in SMALL_RATE.items():
            for weight in SMALL_WEIGHTS:
                folder = out / f"{lesson.name}-{recipe}-kl{weight:g}-seed{seed}"
                kl = {**KL, "kl_weight": weight}
                grow(lesson, seed, recipe, kl, folder, progress=progress, learning_rate=learning_rate)
                rates = rate(lesson, seed, folder, judge, per_question, progress)
                small.append(Small(recipe, weight, seed, rates))
    return Afterwards(tuple(continuations), tuple(planes), tuple(hidden), tuple(small))


def _behaviour(
    lesson: Lesson,
    seed: int,
    folder: Path,
    judge: Judge,
    factors: tuple[float, ...],
    steps: int,
    progress: Progress,
) -> ScaledBehaviour:
    """EM elsewhere at steps along a run, its adapter multiplied by factors; the last step is the finished organism."""
    asked = [question for question in read_questions("nano", per_domain=2) if question.topic != lesson.domain]
    evaluation = Evaluation(
        questions=tuple(asked),
        per_question=2 if steps > 2 else 6,
        judge=judge,
        sampling=replace(default_sampling("nano", seed=seed), seed=1000 + seed),
        thresholds=lesson.thresholds,
    )
    return scaled_behaviour(
        open_model("nano", folder),
        folder,
        evaluation,
        factors=factors,
        most=steps,
        out=folder,
        progress=progress,
    )
