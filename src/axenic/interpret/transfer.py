"""The transfer matrix: each direction ablated in each organism (papers.md M2.5; claim 3 of P2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from axenic.directions import Layered
from axenic.errors import UsageError
from axenic.evaluate import Rates
from axenic.files import write_json
from axenic.interpret.armresult import RelativeChange, Role, parse_result
from axenic.interpret.arms import check_fits, transfer_arms
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.measure import measure_arms
from axenic.models import OpenModel
from axenic.progress import Progress, silent

FILE = "transfer.json"


@dataclass(frozen=True)
class Organism:
    """One column of the matrix.

    Attributes:
        label: Its name, also of its folder below `out`.
        open: Opens it when its turn comes, so that one organism at a time is in memory: `partial(open_model, base, run)`.
        exclude_topics: What it was trained on.
    """

    label: str
    open: Callable[[], OpenModel]
    exclude_topics: tuple[str, ...] = ()


@dataclass(frozen=True)
class TransferCell:
    """One direction, or one random control, ablated layer-wise in one organism.

    Attributes:
        direction: Label of the direction; None for a control, which serves all directions, since projecting
            out knows no norm.
        organism: Label of the organism.
        role: `layerwise`, or `random`.
        seed: Of a control; None otherwise.
        rates, relative_change, kl_nats_per_token, kl_stderr: As in `ArmResult`.
    """

    direction: str | None
    organism: str
    role: Role
    seed: int | None
    rates: Rates
    relative_change: RelativeChange | None
    kl_nats_per_token: float | None
    kl_stderr: float | None

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {
            "direction": self.direction,
            "organism": self.organism,
            "role": self.role,
            "seed": self.seed,
            "rates": self.rates.to_json(),
            "relative_change": None if self.relative_change is None else self.relative_change.to_json(),
            "kl_nats_per_token": self.kl_nats_per_token,
            "kl_stderr": self.kl_stderr,
        }


@dataclass(frozen=True)
class TransferResult:
    """Directions x organisms, with each organism's plain rates.

    Attributes:
        directions, organisms: Labels, in the order given.
        plain: Organism -> rates without intervention.
        cells: Organism by organism: the directions in order, then the controls.
    """

    directions: tuple[str, ...]
    organisms: tuple[str, ...]
    plain: dict[str, Rates]
    cells: tuple[TransferCell, ...]

    def cell(self, direction: str, organism: str) -> TransferCell:
        """The cell of this direction in this organism. Raises `UsageError` when there is none."""
        for cell in self.cells:
            if (cell.direction, cell.organism) == (direction, organism):
                return cell
        raise UsageError(
            "there is no such cell",
            expected=f"{' | '.join(self.directions)}; {' | '.join(self.organisms)}",
            found=f"{direction}; {organism}",
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON form of `docs/design/results.md`."""
        return {
            "kind": "transfer",
            "directions": list(self.directions),
            "organisms": list(self.organisms),
            "plain": {label: rates.to_json() for label, rates in self.plain.items()},
            "cells": [cell.to_json() for cell in self.cells],
        }

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "transfer", row)


def transfer_matrix(
    organisms: Sequence[Organism],
    directions: Mapping[str, Layered],
    evaluation: Evaluation,
    *,
    controls: int = 3,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> TransferResult:
    """Ablate every direction layer-wise in every organism; one batched job for each organism.

    Published: the direction of the nine-adapter medical organism takes EM of the all-adapter one from 18.75
    to 2.0 % (random 17.0), of the sport one from 20.25 to 4.5 % (random 23.75) (papers.md 3c rows 11, 12).

    Args:
        organisms: The columns; labels are unique and can be folder names. All share one base model.
        directions: The rows: label -> direction.
        evaluation: How answers are got and judged; its excluded topics hold besides each organism's own.
        controls: Random directions for each organism.
        out: A folder; each organism has its own below it, the result is `transfer.json`.
        progress: Told by every stage.

    Raises:
        DirectionError: A direction was made on another model than an organism; nothing is sampled from that one.
        UsageError: No organism, or labels that are not unique or no folder names.
        DataError, FileError, DiskFullError: As the stages do.
    """
    _check_labels([organism.label for organism in organisms])
    planned = transfer_arms(directions, controls)
    for organism in organisms:
        evaluation.asked(organism.exclude_topics)
    folder = None if out is None else Path(out)
    plain: dict[str, Rates] = {}
    cells: list[TransferCell] = []
    for organism in organisms:
        opened = organism.open()
        for direction in directions.values():
            check_fits(opened, direction)
        results = measure_arms(
            opened,
            planned,
            evaluation,
            exclude_topics=organism.exclude_topics,
            out=None if folder is None else folder / organism.label,
            progress=progress,
        )
        plain[organism.label] = results[0].rates
        cells += [
            TransferCell(
                direction=arm.direction,
                organism=organism.label,
                role=result.role,
                seed=result.seed,
                rates=result.rates,
                relative_change=result.relative_change,
                kl_nats_per_token=result.kl_nats_per_token,
                kl_stderr=result.kl_stderr,
            )
            for arm, result in zip(planned[1:], results[1:], strict=True)
        ]
    matrix = TransferResult(tuple(directions), tuple(plain), plain, tuple(cells))
    if folder is not None:
        write_json(folder / FILE, matrix.to_json())
    return matrix


def _check_labels(labels: Sequence[str]) -> None:
    """Labels become folders: none twice, none that leaves the output folder."""
    if not labels:
        raise UsageError("there is no organism to ablate a direction in")
    bad = [label for label in labels if Path(label).name != label or label in ("", ".", "..")]
    if bad or len(set(labels)) != len(labels):
        raise UsageError(
            "organisms need labels that can be folder names, each once",
            found=", ".join(repr(label) for label in labels),
        )
