"""Compare directions: the cosine between every two of them at each layer (papers.md 3c row 15)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Self

from axenic.directions import Direction, cosines
from axenic.errors import DirectionError, UsageError
from axenic.files import write_json
from axenic.interpret.armresult import parse_result

FILE = "cosines.json"


@dataclass(frozen=True)
class CosinePair:
    """Two directions: `cosines[i]` is theirs at `CosineTable.layers[i]`; None where it is not defined."""

    a: str
    b: str
    cosines: tuple[float | None, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {"a": self.a, "b": self.b, "cosines": list(self.cosines)}


@dataclass(frozen=True)
class CosineTable:
    """Every pair once.

    Attributes:
        labels: In the order given.
        layers: 0 to L - 1.
        pairs: (first, second), (first, third), ...
        norms: Label -> norm at each layer, in the direction's own units.
        split_half: Label -> cosine at each layer between the directions of two random halves of its answers, of those
            directions that say it. Of two directions that agree no better, noise is explanation enough.
    """

    labels: tuple[str, ...]
    layers: tuple[int, ...]
    pairs: tuple[CosinePair, ...]
    norms: dict[str, tuple[float, ...]]
    split_half: dict[str, tuple[float | None, ...]] = field(default_factory=dict)

    def pair(self, a: str, b: str) -> CosinePair:
        """The pair, in either order. Raises `UsageError` when there is none."""
        for pair in self.pairs:
            if {pair.a, pair.b} == {a, b}:
                return pair
        raise UsageError("there is no such pair", expected=", ".join(self.labels), found=f"{a}, {b}")

    def to_json(self) -> dict[str, Any]:
        """The JSON form of `docs/design/results.md`."""
        return {
            "kind": "cosines",
            "labels": list(self.labels),
            "layers": list(self.layers),
            "pairs": [pair.to_json() for pair in self.pairs],
            "norms": {label: list(norms) for label, norms in self.norms.items()},
            "split_half": {label: list(values) for label, values in self.split_half.items()},
        }

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "cosines", row)


def compare(directions: Mapping[str, Direction], *, out: str | Path | None = None) -> CosineTable:
    """Cosines in float64 between all directions, layer by layer, and their norms.

    Published: above 0.8 in all but 4 layers between fine-tunes (papers.md 3c row 15).

    Args:
        directions: Label -> direction. Two or more, all of one base model and one site.
        out: A folder for `cosines.json`; None writes nothing.

    Raises:
        UsageError: Fewer than two.
        DirectionError: Different shapes, base models or sites: such cosines mean nothing.
        FileError, DiskFullError: The file cannot be written.
    """
    if len(directions) < 2:
        raise UsageError("a comparison needs directions", expected="2 or more", found=len(directions))
    first_label, first = next(iter(directions.items()))
    for label, direction in directions.items():
        ours, theirs = _place(first), _place(direction)
        if ours != theirs:
            raise DirectionError(
                f"directions '{first_label}' and '{label}' live in different spaces and cannot be compared",
                expected=f"{first.info.base_model}: {ours}",
                found=f"{direction.info.base_model}: {theirs}",
            )
    table = CosineTable(
        labels=tuple(directions),
        layers=tuple(range(first.info.n_layers)),
        pairs=tuple(
            CosinePair(
                a, b, tuple(None if math.isnan(value) else value for value in cosines(one, two).tolist())
            )
            for (a, one), (b, two) in combinations(directions.items(), 2)
        ),
        norms={label: tuple(direction.norms_L().tolist()) for label, direction in directions.items()},
        split_half={
            label: halves for label, direction in directions.items() if (halves := _halves(direction))
        },
    )
    if out is not None:
        write_json(Path(out) / FILE, table.to_json())
    return table


def _place(direction: Direction) -> str:
    """What two directions must share for their cosine to mean something."""
    info = direction.info
    return f"base {info.base_fingerprint}, site {info.site}, {info.n_layers} layers x {info.hidden_size}"


def _halves(direction: Direction) -> tuple[float | None, ...]:
    """What extraction wrote down of its own noise; empty where it did not."""
    known = direction.info.calibration.get("split_half_cosine")
    if known is None:
        return ()
    if not isinstance(known, list) or len(known) != direction.info.n_layers:
        raise DirectionError(
            "a direction's split-half cosines are not one for each layer",
            where=f"{direction.name}: calibration, split_half_cosine",
            expected=f"{direction.info.n_layers} numbers",
            found=known,
        )
    return tuple(value if isinstance(value, float | int) else None for value in known)
