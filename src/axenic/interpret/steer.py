"""Steer with a direction: does adding it make an aligned model emergently misaligned? (papers.md M2.3)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from axenic.directions import Layered
from axenic.errors import UsageError
from axenic.files import write_json
from axenic.interpret.armresult import ArmResult, parse_result
from axenic.interpret.arms import PLAIN_ARM, StrengthUnit, check_fits, steering_arms
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.label import label_of
from axenic.interpret.measure import measure_arms
from axenic.models import OpenModel
from axenic.progress import Progress, silent

FILE = "steering.json"
CONFIRMED = "confirmed"
"""Folder of the fresh answers at the best place."""


@dataclass(frozen=True)
class Best:
    """A place of a sweep: the layer, and the strength in the sweep's unit."""

    layer: int
    strength: float

    def to_json(self) -> dict[str, Any]:
        """Both fields."""
        return {"layer": self.layer, "strength": self.strength}


@dataclass(frozen=True)
class SteeringResult:
    """A sweep over layers and strengths.

    Attributes:
        label: The steered model.
        direction: Name of the direction.
        arms: Plain first, then the direction layer by layer, then the random controls.
        best: Highest EM among the arms of the direction whose coherent % (of all answers) is at least
            `least_coherent`; of equals the more coherent, then the first; None when no arm is that coherent.
        least_coherent: 0 to 100.
        frontier: The places that no other beats in both EM and coherence, most coherent first: what can be had for what.
            `best` is one of them. Of places with the same two rates the first.
        strength_unit: Unit of all strengths.
        confirmed: `best` once more on answers that did not choose it: the best of many noisy places looks better than
            it is. None without a best.
    """

    label: str
    direction: str
    arms: tuple[ArmResult, ...]
    best: Best | None
    least_coherent: float
    confirmed: ArmResult | None = None
    frontier: tuple[Best, ...] = ()
    strength_unit: StrengthUnit = "raw"

    def to_json(self) -> dict[str, Any]:
        """The JSON form of `docs/design/results.md`."""
        return {
            "kind": "steering",
            "label": self.label,
            "direction": self.direction,
            "arms": [arm.to_json() for arm in self.arms],
            "best": None if self.best is None else self.best.to_json(),
            "least_coherent": self.least_coherent,
            "confirmed": None if self.confirmed is None else self.confirmed.to_json(),
            "frontier": [place.to_json() for place in self.frontier],
            "strength_unit": self.strength_unit,
        }

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "steering", row)


def steer_model(
    opened: OpenModel,
    direction: Layered,
    evaluation: Evaluation,
    *,
    layers: Sequence[int],
    strengths: Sequence[float],
    strength_unit: StrengthUnit = "raw",
    controls: int = 1,
    least_coherent: float = 80.0,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> SteeringResult:
    """Add strength x (the direction's vector of that layer) at one layer, at every position, and look at EM.

    Every arm is part of one batched job. Published: up to 50 % EM, four times the source organism, best in
    central layers; the window is narrow, strength 6 +- 2 (papers.md 3c row 5, 5.3).

    Args:
        opened: As a rule the chat model without an organism.
        direction: Of this base model; its vectors are added.
        evaluation: How answers are got and judged.
        layers: Which layers; layer l is the output of block l.
        strengths: How much of it, in `strength_unit`; negative ones steer away from misalignment.
        strength_unit: `raw` as published; see `StrengthUnit`.
        controls: Random directions of the same norm, at every layer and strength.
        least_coherent: What `best` asks of coherence, percent of all answers.
        label: What the model is called in the result; None: its name.
        out: A folder, as for `ablate_direction`; the result is `steering.json`. Fresh answers at the best place go to
            `confirmed/` below it.
        progress: Told by every stage.

    Raises:
        DirectionError: The direction was made on another model; nothing is sampled then.
        UsageError, DataError, FileError, DiskFullError: As the stages do.
    """
    check_fits(opened, direction)
    if not 0 <= least_coherent <= 100:
        raise UsageError("least_coherent is out of range", expected="0 to 100 percent", found=least_coherent)
    planned = steering_arms(direction, layers, strengths, controls, strength_unit)
    folder = None if out is None else Path(out)
    arms = measure_arms(opened, planned, evaluation, out=folder, progress=progress)
    best = best_arm(arms, least_coherent)
    confirmed = None
    if best is not None:
        again = replace(evaluation, sampling=replace(evaluation.sampling, seed=evaluation.sampling.seed + 1))
        chosen = next(
            item
            for item in planned
            if item.role == "direction" and (item.layer, item.strength) == (best.layer, best.strength)
        )
        fresh = None if folder is None else folder / CONFIRMED
        confirmed = measure_arms(opened, [PLAIN_ARM, chosen], again, out=fresh, progress=progress)[1]
    result = SteeringResult(
        label=label_of(opened) if label is None else label,
        direction=direction.name,
        arms=tuple(arms),
        best=best,
        least_coherent=float(least_coherent),
        confirmed=confirmed,
        frontier=pareto_places(arms),
        strength_unit=strength_unit,
    )
    if folder is not None:
        write_json(folder / FILE, result.to_json())
    return result


def best_arm(arms: Sequence[ArmResult], least_coherent: float) -> Best | None:
    """Where EM is highest among the arms of role `direction` that are coherent enough."""
    enough = [
        arm for arm in arms if arm.role == "direction" and arm.rates.coherent_all.percent >= least_coherent
    ]
    if not enough:
        return None
    return _place(max(enough, key=lambda arm: (arm.rates.em_all.percent, arm.rates.coherent_all.percent)))


def pareto_places(arms: Sequence[ArmResult]) -> tuple[Best, ...]:
    """The places of the direction that no other beats in EM and coherence both (percent of all answers).

    Most coherent first, so that EM rises along the frontier; of equals the first.
    """
    ours = [arm for arm in arms if arm.role == "direction"]
    kept: list[ArmResult] = []
    # Sorted by coherence, a place is on the frontier when it has more EM than every more coherent one.
    for arm in sorted(ours, key=lambda arm: (-arm.rates.coherent_all.percent, -arm.rates.em_all.percent)):
        if not kept or arm.rates.em_all.percent > kept[-1].rates.em_all.percent:
            kept.append(arm)
    return tuple(_place(arm) for arm in kept)


def _place(arm: ArmResult) -> Best:
    if arm.layer is None or arm.strength is None:
        raise UsageError("an arm of a sweep has a layer and a strength", found=arm.name)
    return Best(arm.layer, arm.strength)
