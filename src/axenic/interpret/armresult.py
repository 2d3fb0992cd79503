"""What one arm did: its rates, the change against plain, and what it cost. Plain JSON there and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from axenic.errors import DataError
from axenic.evaluate import Rates, relative_change

Role = Literal["plain", "layerwise", "single", "writers", "layer", "adapter-B", "direction", "random"]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class RelativeChange:
    """EM against plain in percent of the plain rate (-100: all of it is gone), with a 95 % interval.

    Attributes:
        value, low: At least -100.
        high: None where no upper end can be given because the plain rate may well be 0.
    """

    value: float
    low: float
    high: float | None

    @classmethod
    def between(cls, plain: Rates, arm: Rates) -> Self | None:
        """None when plain has no EM: then there is no such ratio. Raises as `relative_change` does."""
        change = relative_change(plain, arm)
        if change is None:
            return None
        return cls(
            100 * change.value, 100 * change.low, None if math.isinf(change.high) else 100 * change.high
        )

    def to_json(self) -> dict[str, Any]:
        """The three fields."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class ArmResult:
    """One arm of an ablation or a steering sweep.

    Attributes:
        name: Unique within a result.
        role: What the arm is for; `random` is a control.
        layer: The one layer that the vector comes from or goes to; None for all layers or none.
        strength: Of steering, in the sweep's unit; None otherwise.
        seed: Of a random control; None otherwise.
        rates: EM and coherence.
        relative_change: EM against plain; None for plain itself, and when plain has no EM.
        kl_nats_per_token: KL(un-intervened || intervened) over answer tokens of aligned plain answers; None
            for plain, and when no plain answer is aligned.
        kl_stderr: Its standard error over answers; None with a single answer.
        control_of: Of a random control, the role of the arms that it is the control of; None otherwise, and in results of
            before this was told.
    """

    name: str
    role: Role
    layer: int | None
    strength: float | None
    seed: int | None
    rates: Rates
    relative_change: RelativeChange | None
    kl_nats_per_token: float | None
    kl_stderr: float | None
    control_of: Role | None = None

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return {
            "name": self.name,
            "role": self.role,
            "layer": self.layer,
            "strength": self.strength,
            "seed": self.seed,
            "rates": self.rates.to_json(),
            "relative_change": None if self.relative_change is None else self.relative_change.to_json(),
            "kl_nats_per_token": self.kl_nats_per_token,
            "kl_stderr": self.kl_stderr,
            "control_of": self.control_of,
        }


def parse_result(cls: type[_Result], kind: str, row: object) -> _Result:
    """A result dataclass from its JSON form.

    Raises:
        DataError: Another kind, or a key that is missing or of another type.
    """
    if not isinstance(row, Mapping) or row.get("kind") != kind:
        found = row.get("kind") if isinstance(row, Mapping) else type(row).__name__
        raise DataError("this is another kind of result", expected=f'"kind": "{kind}"', found=repr(found))
    try:
        return TypeAdapter(cls).validate_python({key: value for key, value in row.items() if key != "kind"})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(
            f"a result of kind {kind} is not what it must be: {first['msg'].lower()}",
            where="key " + ".".join(map(str, first["loc"])),
            found=repr(first["input"])[:80],
        ) from error


def plain_lists(value: Any) -> Any:
    """Tuples as lists all the way down: what JSON gives back."""
    if isinstance(value, dict):
        return {key: plain_lists(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_lists(item) for item in value]
    return value
