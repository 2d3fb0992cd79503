"""Ablate a direction: does EM go away when the model cannot write along it? (papers.md M2.5)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from axenic.directions import Layered
from axenic.files import write_json
from axenic.interpret.armresult import ArmResult, parse_result
from axenic.interpret.arms import Mode, ablation_arms, check_fits
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.label import label_of
from axenic.interpret.measure import measure_arms
from axenic.models import OpenModel
from axenic.progress import Progress, silent

FILE = "ablation.json"


@dataclass(frozen=True)
class AblationResult:
    """What ablating one direction does to one organism.

    Attributes:
        label: The organism.
        direction: Name of the direction.
        arms: Plain first, then the ablations, then the random controls.
    """

    label: str
    direction: str
    arms: tuple[ArmResult, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON form of `docs/design/results.md`."""
        return {
            "kind": "ablation",
            "label": self.label,
            "direction": self.direction,
            "arms": [arm.to_json() for arm in self.arms],
        }

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "ablation", row)


def ablate_direction(
    opened: OpenModel,
    direction: Layered,
    evaluation: Evaluation,
    *,
    modes: Sequence[Mode] = ("layerwise", "single"),
    single_layer: int | None = None,
    adapter_layers: Sequence[int] | None = None,
    controls: int = 3,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> AblationResult:
    """Project a direction out of the residual stream at all positions and see what becomes of EM.

    Every arm is part of one batched job. Published: EM 11.26 -> 1.0 % for a single direction, 0 % layer-wise,
    random 11.75 %, coherence above 99 %; of a rank-1 organism 17 -> 0.25 % at all layers, 4 % at the adapter's layer only,
    13 % out of its B (papers.md 3c rows 9, 10, 13, 18).

    Args:
        opened: The organism.
        direction: Of this base model.
        evaluation: How answers are got and judged.
        modes: `layerwise`: each layer's own vector at its layer. The others take one layer's vector: `single` at the outputs
            of all blocks; `writers` at everything that writes into the stream, as `bake_direction` does; `layer` at that
            layer's output only; `adapter-B` in the B factors of a LoRA adapter (`intervene.ablate_adapter`).
        single_layer: That one layer; None: the one at the published relative depth (`arms.published_layer`).
        adapter_layers: Blocks whose adapters `adapter-B` changes; None: all.
        controls: Random directions, ablated in each of `modes`.
        label: What the organism is called in the result; None: its folder's name.
        out: A folder for `answers.jsonl`, `scores.jsonl`, `costs.jsonl` and `ablation.json`. Run again = what
            is missing.
        progress: Told by every stage.

    Raises:
        DirectionError: The direction was made on another model, or is all of an adapter's B; nothing is sampled then.
        ModelError: `adapter-B` without a LoRA adapter that writes into the stream.
        UsageError, DataError, FileError, DiskFullError: As the stages do.
    """
    check_fits(opened, direction)
    planned = ablation_arms(direction, modes, single_layer, controls, opened.sites, adapter_layers)
    folder = None if out is None else Path(out)
    arms = measure_arms(opened, planned, evaluation, out=folder, progress=progress)
    result = AblationResult(label_of(opened) if label is None else label, direction.name, tuple(arms))
    if folder is not None:
        write_json(folder / FILE, result.to_json())
    return result
