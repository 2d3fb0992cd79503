"""Steer with groups of adapters: some multiplied, the rest off, as arms of one batched job (papers.md M2.11)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from axenic.errors import DataError, UsageError
from axenic.evaluate import paired_difference
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.askarms import Inside, ask_arms, rate_inside
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.label import label_of
from axenic.interpret.relaxed import RelaxedShares, relaxed_shares
from axenic.interpret.roleresult import Points, RolesResult, Share, share_of
from axenic.intervene import PLAIN, Arm, scale_adapter
from axenic.models import OpenModel
from axenic.progress import Progress, silent

FILE = "groups.json"

DOMAIN_FACTOR, GENERAL_FACTOR, AGAINST_FACTOR = 30.0, 20.0, -10.0
"""Published for nine rank-1 adapters of alpha 256 on Qwen2.5-14B; what a smaller model bears is less."""

_TERM = re.compile(r"\s*(?P<factor>[^*\s]+)\s*\*\s*(?P<layer>\d+)\s*")


@dataclass(frozen=True)
class AdapterGroup:
    """Adapters of some layers, each multiplied by its factor, the others by `rest`.

    Args:
        name: Of the arm.
        factors: (layer, factor) pairs, layers ascending.
        rest: Factor of all other layers' adapters; 0 switches them off, as published.

    Raises:
        UsageError: No name or no layer, a layer twice, or a factor that is not finite.
    """

    name: str
    factors: tuple[tuple[int, float], ...]
    rest: float = 0.0

    def __post_init__(self) -> None:
        layers = [layer for layer, _ in self.factors]
        numbers = [self.rest, *(factor for _, factor in self.factors)]
        if (
            not self.name
            or not layers
            or len(set(layers)) != len(layers)
            or not all(map(math.isfinite, numbers))
        ):
            raise UsageError(
                "this is no group of adapters",
                expected="a name, and one layer or more, each once, with finite factors",
                found=str(self),
            )
        object.__setattr__(self, "factors", tuple(sorted((l, float(f)) for l, f in self.factors)))
        object.__setattr__(self, "rest", float(self.rest))

    @classmethod
    def parse(cls, text: str, rest: float = 0.0) -> Self:
        """`domain=30*21,30*23`: the adapters of layers 21 and 23 times 30. Raises `UsageError`."""
        name, equals, terms = text.partition("=")
        factors = []
        for term in terms.split(","):
            match = _TERM.fullmatch(term)
            try:
                factors.append((int(match["layer"]), float(match["factor"])) if match else None)
            except ValueError:
                factors.append(None)
        if not equals or not name.strip() or None in factors:
            raise UsageError(
                "a group of adapters cannot be read",
                where=text,
                expected="NAME=FACTOR*LAYER,FACTOR*LAYER, such as domain=30*21,30*23",
                found=text,
            )
        return cls(name.strip(), tuple(pair for pair in factors if pair is not None), rest)

    def __str__(self) -> str:
        return f"{self.name}=" + ",".join(f"{factor!r}*{layer}" for layer, factor in self.factors)

    def arm(self, layers: Sequence[int]) -> Arm:
        """The interventions on an adapter that has modules at these layers."""
        factor_of = dict(self.factors)
        by_factor: dict[float, list[int]] = {}
        for layer in layers:
            by_factor.setdefault(factor_of.get(layer, self.rest), []).append(layer)
        return Arm(
            self.name, tuple(scale_adapter(factor, at) for factor, at in by_factor.items() if factor != 1)
        )


@dataclass(frozen=True)
class GroupArm:
    """What one group does.

    Attributes:
        name, factors, rest: See `AdapterGroup`; of the organism as it is no factors, and rest 1.
        general: EM on questions outside the domain.
        domain: Misaligned and coherent answers to questions of the domain.
        coherent: Outside the domain.
        general_change, domain_change: Against the organism as it is; None of that itself.
        classes: Relaxed classes of the answers to questions outside the domain; None where the judge names no topic.
    """

    name: str
    factors: tuple[tuple[int, float], ...]
    rest: float
    general: Share
    domain: Share
    coherent: Share
    general_change: Points | None
    domain_change: Points | None
    classes: RelaxedShares | None


@dataclass(frozen=True)
class GroupsResult:
    """What `steer_groups` found.

    Attributes:
        label: The organism.
        domain: What it was trained on.
        seeds: Of the sampling; answers of all are pooled.
        arms: The organism first, then the groups.
    """

    label: str
    domain: str
    seeds: tuple[int, ...]
    arms: tuple[GroupArm, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "groups"`."""
        row: dict[str, Any] = plain_lists({"kind": "groups", **asdict(self)})
        return row

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "groups", row)


def default_groups(
    roles: RolesResult,
    *,
    domain_factor: float = DOMAIN_FACTOR,
    general_factor: float = GENERAL_FACTOR,
    against: float = AGAINST_FACTOR,
) -> list[AdapterGroup]:
    """The published conditions with the layers whose roles were found; those of both roles belong to neither group.

    Returns:
        `domain`, `general` and `domain but aligned`, as far as there are layers for them; perhaps none.
    """
    inside = [item.layer for item in roles.layers if item.role == "domain"]
    general = [item.layer for item in roles.layers if item.role == "general"]
    groups = []
    if inside:
        groups.append(AdapterGroup("domain", tuple((layer, domain_factor) for layer in inside)))
    if general:
        groups.append(AdapterGroup("general", tuple((layer, general_factor) for layer in general)))
    if inside and general:
        both = [(layer, domain_factor) for layer in inside] + [(layer, against) for layer in general]
        groups.append(AdapterGroup("domain but aligned", tuple(both)))
    return groups


def steer_groups(
    opened: OpenModel,
    groups: Sequence[AdapterGroup],
    evaluation: Evaluation,
    domain: str,
    *,
    seeds: int = 1,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> GroupsResult:
    """Ask all questions under every group and as the organism is, as one batched job; count by both sets of bounds.

    Published for nine rank-1 adapters (80 answers each): medical adapters times 30, 7.7 % misaligned and medical; general ones
    times 20, 52 % misaligned, none medical; medical times 30 with general times -10, 87 % aligned (papers.md 3c rows 22-24).

    Args:
        opened: The organism.
        groups: Different names and contents; at least one.
        evaluation: How answers are got and judged; its questions must be of the domain and of others.
        domain: Topic of the training data.
        seeds: So many sampling seeds from that of `evaluation` on, pooled.
        label: What the organism is called in the result; None: its folder's name.
        out: A folder for answers and scores of each seed and `groups.json`. Run again = what is missing.
        progress: Told by every stage.

    Raises:
        UsageError: No group, a layer without an adapter, two groups that do the same, or fewer than one seed.
        DataError: No question of the domain, or none of another topic.
        What `sample_answers`, `judge_answers` and `rate_answers` raise; finished work is kept.
    """
    layers = sorted({site.layer for site in opened.sites.lora_modules().values()})
    missing = sorted({layer for group in groups for layer, _ in group.factors} - set(layers))
    if not groups or missing:
        raise UsageError(
            "there is no such group of adapters",
            expected="one group or more, of layers "
            + (", ".join(map(str, layers)) or "(there is no adapter)"),
            found=f"layer {missing[0]}" if missing else "no group",
        )
    topics = {question.topic for question in evaluation.asked(())}
    if domain not in topics or len(topics) < 2:
        raise DataError(
            "the questions do not tell the domain from the rest",
            expected=f"questions of topic {domain} and of others",
            found=", ".join(sorted(topic or "no topic" for topic in topics)),
        )
    organism = Arm("organism", PLAIN.interventions)
    arms = [organism, *(group.arm(layers) for group in groups)]
    folder = None if out is None else Path(out)
    found = ask_arms(opened, arms, evaluation, seeds=seeds, out=folder, progress=progress)
    rated = [rate_inside([of[arm.name] for of in found], domain, evaluation) for arm in arms]
    classes = [
        relaxed_shares(
            [[item for item in of[arm.name] if item.answer.topic != domain] for of in found],
            domain,
            seed=evaluation.sampling.seed,
        )
        for arm in arms
    ]
    told = [((), 1.0), *((group.factors, group.rest) for group in groups)]
    result = GroupsResult(
        label=label_of(opened) if label is None else label,
        domain=domain,
        seeds=tuple(evaluation.sampling.seed + number for number in range(seeds)),
        arms=tuple(
            _group_arm(arm.name, factors, rest, own, None if arm is organism else rated[0], shares)
            for arm, (factors, rest), own, shares in zip(arms, told, rated, classes, strict=True)
        ),
    )
    if folder is not None:
        write_json(folder / FILE, result.to_json())
    return result


def _group_arm(
    name: str,
    factors: tuple[tuple[int, float], ...],
    rest: float,
    rated: Inside,
    plain: Inside | None,
    classes: RelaxedShares | None,
) -> GroupArm:
    by_seed = rated.by_seed
    return GroupArm(
        name=name,
        factors=factors,
        rest=rest,
        general=share_of(rated.general, [general.em_all.percent for general, _ in by_seed]),
        domain=share_of(rated.domain, [inside.em_all.percent for _, inside in by_seed]),
        coherent=share_of(
            rated.general, [general.coherent_all.percent for general, _ in by_seed], coherent=True
        ),
        general_change=None if plain is None else Points.of(paired_difference(plain.general, rated.general)),
        domain_change=None if plain is None else Points.of(paired_difference(plain.domain, rated.domain)),
        classes=classes,
    )
