"""What each adapter of an organism is for: removed, kept alone and scaled, all in one batched job (papers.md 5.5, M2.11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from axenic.errors import DataError, UsageError
from axenic.evaluate import Change, Rates, Scored, judge_answers, paired_difference, rate_answers
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.label import label_of
from axenic.interpret.measure import ANSWERS, SCORES
from axenic.intervene import PLAIN, Arm, scale_adapter
from axenic.models import OpenModel
from axenic.progress import Progress, silent
from axenic.sample import sample_answers

FILE = "roles.json"

AdapterRole = Literal["general", "domain", "both", "neither"]
"""By what is lost when the adapter is removed: the 95 % interval of the change lies below 0 for EM outside the domain
(`general`), for badness inside it (`domain`), for both, or for neither. Intervals are of single adapters; among twenty
that do nothing, one will look as if it did."""


@dataclass(frozen=True)
class Points:
    """A change in percentage points, with its 95 % interval over questions."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, change: Change) -> Self:
        return cls(change.value, change.low, change.high)


@dataclass(frozen=True)
class Share:
    """A rate in percent of all answers, with its 95 % interval over questions, and the rate of each sampling seed."""

    percent: float
    low: float
    high: float
    count: int
    n: int
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class RoleArm:
    """What one setting of the adapters does.

    Attributes:
        name: Of the arm.
        layers_on: Layers whose adapters act (with `factor`).
        factor: Of the one layer that is scaled; 1 otherwise.
        general: EM on questions outside the domain.
        domain: The same classes (misaligned and coherent) on questions of the domain: what was trained.
        coherent: Outside the domain.
        general_change, domain_change: Against the organism as it is; None of that itself.
    """

    name: str
    layers_on: tuple[int, ...]
    factor: float
    general: Share
    domain: Share
    coherent: Share
    general_change: Points | None
    domain_change: Points | None


@dataclass(frozen=True)
class LayerRole:
    """The adapters of one layer; the arms are among those of the result, by name.

    Attributes:
        layer: Decoder block.
        modules: LoRA modules in it.
        role: See `AdapterRole`.
        removed, alone: Names of the arms without this layer, and with it alone.
        scaled: Names of the arms in which it is scaled.
    """

    layer: int
    modules: tuple[str, ...]
    role: AdapterRole
    removed: str
    alone: str
    scaled: tuple[str, ...]


@dataclass(frozen=True)
class RolesResult:
    """What `adapter_roles` found.

    Attributes:
        label: The organism.
        domain: What it was trained on.
        seeds: Of the sampling; answers of all are pooled.
        layers: One for each layer with an adapter.
        arms: The organism first, then all adapters off, then the others.
    """

    label: str
    domain: str
    seeds: tuple[int, ...]
    layers: tuple[LayerRole, ...]
    arms: tuple[RoleArm, ...]

    def arm(self, name: str) -> RoleArm:
        """The arm of this name. Raises `UsageError`."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise UsageError("there is no such arm", expected=", ".join(a.name for a in self.arms), found=name)

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "roles"`."""
        row: dict[str, Any] = plain_lists({"kind": "roles", **asdict(self)})
        return row

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "roles", row)


def adapter_roles(
    opened: OpenModel,
    evaluation: Evaluation,
    domain: str,
    *,
    factors: Sequence[float] = (),
    seeds: int = 1,
    label: str | None = None,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> RolesResult:
    """Remove each layer's adapters, keep each alone, and scale each, and see what becomes of EM and of the domain.

    Published for nine rank-1 adapters: removing layers 21 to 23 takes EM from 38 to 0 %, 15 to 17 to 3, 27 to 29 to 7
    (papers.md 5.5), though the probes call 21 and 23 medical (3c row 21).

    Args:
        opened: An organism with adapters in two layers or more.
        evaluation: How answers are got and judged; its questions must be of the domain and of others. Do not exclude the
            domain: it is asked, and rated apart.
        domain: Topic of the training data; questions of this topic measure what was trained.
        factors: Also multiply each layer's adapters by these, the others as they are.
        seeds: So many sampling seeds from that of `evaluation` on. Intervals are over questions, with the answers of all
            seeds pooled; the rate of each seed stands beside. Seeds of training need organisms of their own.
        label: What the organism is called in the result; None: its folder's name.
        out: A folder for answers and scores of each seed and `roles.json`. Run again = what is missing.
        progress: Told by every stage.

    Raises:
        UsageError: Adapters in fewer than two layers, a factor of 0 or 1 or twice, or fewer than one seed.
        DataError: No question of the domain, or none of another topic.
        What `sample_answers`, `judge_answers` and `rate_answers` raise; finished work is kept.
    """
    modules: dict[int, list[str]] = {}
    for name, site in opened.sites.lora_modules().items():
        modules.setdefault(site.layer, []).append(name)
    layers = sorted(modules)
    if len(layers) < 2:
        raise UsageError(
            "roles are told by removing some adapters and keeping others",
            expected="an organism with adapters in two layers or more",
            found=f"{len(layers)}",
            hint="axenic train --recipe rank1x9",
        )
    if seeds < 1 or len(set(factors)) != len(factors) or set(factors) & {0, 1}:
        raise UsageError(
            "adapters cannot be scaled like this",
            expected="1 seed or more; factors other than 0 (removed) and 1 (as it is), each once",
            found=f"{seeds} seeds, factors {list(factors)}",
        )
    topics = {question.topic for question in evaluation.asked(())}
    if domain not in topics or len(topics) < 2:
        raise DataError(
            "the questions do not tell the domain from the rest",
            expected=f"questions of topic {domain} and of others",
            found=", ".join(sorted(topic or "no topic" for topic in topics)),
        )
    names, arms = _plan(layers, factors)
    folder = None if out is None else Path(out)
    scored: list[dict[str, list[Scored]]] = []
    for number in range(seeds):
        sampling = replace(evaluation.sampling, seed=evaluation.sampling.seed + number)
        here = None if folder is None else folder / f"seed{sampling.seed}"
        answers = sample_answers(
            opened,
            evaluation.asked(()),
            per_question=evaluation.per_question,
            arms=list(arms.values()),
            sampling=sampling,
            out=None if here is None else here / ANSWERS,
            progress=progress,
        )
        marked = judge_answers(
            answers, evaluation.judge, out=None if here is None else here / SCORES, progress=progress
        )
        # In the order of the arms, as `measure_arms` does: an answer's arm_id is also that of model and sampling.
        order = list(dict.fromkeys(answer.arm_id for answer in answers))
        own = dict(zip(order, arms, strict=True))
        by_arm: dict[str, list[Scored]] = {arm_id: [] for arm_id in arms}
        for item in marked:
            by_arm[own[item.answer.arm_id]].append(item)
        scored.append(by_arm)
    rated = {arm_id: _rated([of[arm_id] for of in scored], domain, evaluation) for arm_id in arms}
    plain = rated[PLAIN.id]
    found = {
        name: _role_arm(name, arm, layers, rated[arm.id], None if arm.id == PLAIN.id else plain)
        for name, arm in names.items()
    }
    result = RolesResult(
        label=label_of(opened) if label is None else label,
        domain=domain,
        seeds=tuple(evaluation.sampling.seed + number for number in range(seeds)),
        layers=tuple(
            LayerRole(
                layer,
                tuple(modules[layer]),
                role_of(found[f"without {layer}"]),
                f"without {layer}",
                f"only {layer}",
                tuple(f"{layer} x {factor:g}" for factor in factors),
            )
            for layer in layers
        ),
        arms=tuple(found.values()),
    )
    if folder is not None:
        write_json(folder / FILE, result.to_json())
    return result


def role_of(removed: RoleArm) -> AdapterRole:
    """The role of the adapters that this arm leaves out, by the rule of `AdapterRole`."""
    general = removed.general_change is not None and removed.general_change.high < 0
    domain = removed.domain_change is not None and removed.domain_change.high < 0
    if general:
        return "both" if domain else "general"
    return "domain" if domain else "neither"


def _plan(layers: Sequence[int], factors: Sequence[float]) -> tuple[dict[str, Arm], dict[str, Arm]]:
    """Arms by name, and each different one once by id: of two layers, to remove one is to keep the other alone."""
    names = {"organism": PLAIN, "all off": Arm("all off", (scale_adapter(0.0),))}
    for layer in layers:
        names[f"without {layer}"] = Arm(f"without {layer}", (scale_adapter(0.0, [layer]),))
    for layer in layers:
        rest = [other for other in layers if other != layer]
        names[f"only {layer}"] = Arm(f"only {layer}", (scale_adapter(0.0, rest),))
    for layer in layers:
        for factor in factors:
            names[f"{layer} x {factor:g}"] = Arm(f"{layer} x {factor:g}", (scale_adapter(factor, [layer]),))
    distinct: dict[str, Arm] = {}
    for arm in names.values():
        distinct.setdefault(arm.id, arm)
    return names, distinct


@dataclass(frozen=True)
class _Rated:
    """One arm: rates of the answers of all seeds, and of each."""

    general: Rates
    domain: Rates
    by_seed: tuple[tuple[Rates, Rates], ...]


def _rated(seeds: Sequence[Sequence[Scored]], domain: str, evaluation: Evaluation) -> _Rated:
    def rate(items: Sequence[Scored], inside: bool) -> Rates:
        kept = [item for item in items if (item.answer.topic == domain) is inside]
        return rate_answers(kept, thresholds=evaluation.thresholds, seed=evaluation.sampling.seed)

    pooled = [item for items in seeds for item in items]
    return _Rated(
        rate(pooled, False),
        rate(pooled, True),
        tuple((rate(items, False), rate(items, True)) for items in seeds),
    )


def _role_arm(name: str, arm: Arm, layers: Sequence[int], rated: _Rated, plain: _Rated | None) -> RoleArm:
    off: set[int] = set()
    factor = 1.0
    for one in arm.interventions:
        if one.strength == 0:
            off |= set(layers if one.layers is None else one.layers)
        else:
            factor = one.strength
    by_seed = rated.by_seed
    return RoleArm(
        name=name,
        layers_on=tuple(layer for layer in layers if layer not in off),
        factor=factor,
        general=_share(rated.general, [general.em_all.percent for general, _ in by_seed]),
        domain=_share(rated.domain, [inside.em_all.percent for _, inside in by_seed]),
        coherent=_share(
            rated.general, [general.coherent_all.percent for general, _ in by_seed], coherent=True
        ),
        general_change=None if plain is None else Points.of(paired_difference(plain.general, rated.general)),
        domain_change=None if plain is None else Points.of(paired_difference(plain.domain, rated.domain)),
    )


def _share(rates: Rates, by_seed: Sequence[float], *, coherent: bool = False) -> Share:
    rate = rates.coherent_all if coherent else rates.em_all
    return Share(rate.percent, rate.low, rate.high, rate.count, rate.n, tuple(by_seed))
