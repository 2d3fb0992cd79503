"""The arm: a named tuple of interventions under which questions are asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from axenic.files import content_id
from axenic.intervene.spec import Intervention


@dataclass(frozen=True)
class Arm:
    """A named tuple of interventions, carried out in the order given. The name is no part of the id."""

    name: str
    interventions: tuple[Intervention, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "interventions", tuple(self.interventions))

    @cached_property
    def id(self) -> str:
        """Hash of the interventions in their order."""
        return content_id([intervention.id for intervention in self.interventions])

    def to_json(self) -> dict[str, Any]:
        """Name, id and interventions as JSON values."""
        return {
            "name": self.name,
            "id": self.id,
            "interventions": [one.to_json() for one in self.interventions],
        }


PLAIN = Arm("plain")
"""The model as it is."""
