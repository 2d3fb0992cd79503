"""What the adapters of an organism read, are for, and say."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from axenic.report.documents.base import Document, Points, Rate, as_long
from axenic.report.documents.groups import GroupsFile, PatchingFile


class LayerRole(Document):
    """The adapters of one layer; `removed`, `alone` and `scaled` are names of arms."""

    layer: int
    modules: tuple[str, ...] = ()
    role: str = ""
    removed: str
    alone: str
    scaled: tuple[str, ...] = ()


class RoleArm(Document):
    """What one setting of the adapters does; changes are against the organism as it is."""

    name: str
    factor: float | None = None
    general: Rate = Rate()
    domain: Rate = Rate()
    coherent: Rate = Rate()
    general_change: Points | None = None
    domain_change: Points | None = None


class RolesFile(Document):
    """`roles.json`."""

    kind: Literal["roles"]
    label: str = ""
    domain: str = ""
    seeds: tuple[int, ...] = ()
    layers: tuple[LayerRole, ...] = ()
    arms: tuple[RoleArm, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = {arm.name for arm in self.arms}
        named = {name for item in self.layers for name in (item.removed, item.alone, *item.scaled)}
        if named - known:
            raise ValueError(f"a layer names an arm that is not there: {min(named - known)[:60]}")
        return self


class AdapterFact(Document):
    """One scalar of one adapter: where it sits, how long what it adds, and what it read on average."""

    layer: int
    module: str = ""
    component: int = 0
    scale: float | None = None
    b_norm: float | None = None
    mean_scalar: float | None = None
    sd_scalar: float | None = None


class Spread(Document):
    """Mean and standard deviation over repeats."""

    mean: float
    sd: float = 0.0


class ProbeResult(Document):
    """Test scores of a probe, and its coefficient of each adapter."""

    repeats: int = 0
    n_per_class: int = 0
    scores: dict[str, Spread] = Field(default_factory=dict)
    coefficients: tuple[Spread, ...] = ()


class ProbeTask(Document):
    """One task under one split; without a probe there is a problem."""

    first: str
    second: str
    split: str
    answers: tuple[int, ...] = ()
    probe: ProbeResult | None = None
    problem: str | None = None


class Lens(Document):
    """Tokens that one column of one B promotes, and those that its opposite does, each with its logit."""

    layer: int
    module: str = ""
    component: int = 0
    positive: tuple[tuple[str, float], ...] = ()
    negative: tuple[tuple[str, float], ...] = ()


class AdaptersFile(Document):
    """`adapters.json`."""

    kind: Literal["adapters"]
    label: str = ""
    domain: str = ""
    n_answers: int = 0
    n_tokens: int = 0
    kl_nats_per_token: float | None = None
    adapters: tuple[AdapterFact, ...] = ()
    probes: tuple[ProbeTask, ...] = ()
    roles: RolesFile | None = None
    groups: GroupsFile | None = None
    patching: PatchingFile | None = None
    lens: tuple[Lens, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        found = (task.probe.coefficients for task in self.probes if task.probe is not None)
        return as_long(self, self.adapters, *found)
