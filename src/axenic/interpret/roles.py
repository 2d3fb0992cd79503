"""What each adapter of an organism is for: removed, kept alone and scaled, all in one batched job (papers.md 5.5, M2.11)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axenic.errors import DataError, UsageError
from axenic.evaluate import paired_difference
from axenic.files import write_json
from axenic.interpret.askarms import Inside, ask_arms, rate_inside
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.label import label_of
from axenic.interpret.roleresult import LayerRole, Points, RoleArm, RolesResult, role_of, share_of
from axenic.intervene import PLAIN, Arm, scale_adapter
from axenic.models import OpenModel
from axenic.progress import Progress, silent

FILE = "roles.json"


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
    scored = ask_arms(opened, list(arms.values()), evaluation, seeds=seeds, out=folder, progress=progress)
    rated = {
        arm_id: rate_inside([of[arm.name] for of in scored], domain, evaluation)
        for arm_id, arm in arms.items()
    }
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


def _role_arm(name: str, arm: Arm, layers: Sequence[int], rated: Inside, plain: Inside | None) -> RoleArm:
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
        general=share_of(rated.general, [general.em_all.percent for general, _ in by_seed]),
        domain=share_of(rated.domain, [inside.em_all.percent for _, inside in by_seed]),
        coherent=share_of(
            rated.general, [general.coherent_all.percent for general, _ in by_seed], coherent=True
        ),
        general_change=None if plain is None else Points.of(paired_difference(plain.general, rated.general)),
        domain_change=None if plain is None else Points.of(paired_difference(plain.domain, rated.domain)),
    )
