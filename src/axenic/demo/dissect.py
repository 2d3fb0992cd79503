"""What the adapters do and whether an ablation can be served: P2's second half on the demo's organisms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from axenic.demo.plan import DOMAINS, Organism
from axenic.directions import Direction
from axenic.evaluate import Judge, judge_answers
from axenic.files import write_json
from axenic.interpret import (
    AdapterReport,
    DownstreamResult,
    Evaluation,
    RolesOverSeeds,
    combine_roles,
    compare_downstream,
    dissect_adapters,
)
from axenic.interpret.arms import published_layer
from axenic.intervene import Arm
from axenic.intervene.bake import bake_direction
from axenic.intervene.writers import ablate_writers
from axenic.models import open_model
from axenic.progress import Progress
from axenic.sample import Question, Sampling, default_sampling, read_questions, sample_answers

DOMAIN_QUESTIONS = 20
"""Questions about the training domain when adapters are told apart by what they serve."""

PROBE_REPEATS = 20


@dataclass(frozen=True)
class Served:
    """Greedy answers of a baked adapter against those of the hooks.

    Attributes:
        equal: Answers with the same tokens.
        n: Answers.
        changed: Answers that the ablation changes at all: were there none, equality would say nothing.
    """

    equal: int
    n: int
    changed: int


@dataclass(frozen=True)
class Dissection:
    """Everything that this part of the demo measured. Pairs are (domain, seed).

    Attributes:
        ceilings: Split-half cosine of each direction, layer by layer.
        downstream: One rank-1 adapter against its own data set's direction.
        adapters: Seed -> the adapters of the all-blocks rank-1 organism of the first data set.
        roles: Their roles over the seeds.
        served: The all-adapter organism, ablated by hooks and by a baked adapter.
    """

    ceilings: Mapping[tuple[str, int], tuple[float, ...]] = field(default_factory=dict)
    downstream: Mapping[tuple[str, int], DownstreamResult] = field(default_factory=dict)
    adapters: Mapping[int, AdapterReport] = field(default_factory=dict)
    roles: RolesOverSeeds | None = None
    served: Mapping[tuple[str, int], Served] = field(default_factory=dict)


def dissect(
    out: Path,
    seeds: tuple[int, ...],
    directions: Mapping[int, Mapping[str, Direction]],
    *,
    judge: Judge,
    progress: Progress,
) -> Dissection:
    """Measure all of it on the organisms below `out`.

    Args:
        out: The demo's folder, with its organisms.
        seeds: Of the organisms.
        directions: Seed -> domain -> direction.
        judge: Of the answers.
        progress: Told by every stage.

    Raises:
        AxenicError: As the calls it makes; what was finished is kept.
    """
    pairs = [(domain, seed) for seed in seeds for domain in DOMAINS]
    adapters = {seed: _adapters(out, seed, judge, progress) for seed in seeds}
    roles = combine_roles([report.roles for report in adapters.values() if report.roles is not None])
    write_json(out / "adapters" / "roles_over_seeds.json", roles.to_json())
    return Dissection(
        ceilings={(domain, seed): _split_half(directions[seed][domain]) for domain, seed in pairs},
        downstream={
            (domain, seed): _downstream(out, domain, seed, directions[seed][domain], judge, progress)
            for domain, seed in pairs
        },
        adapters=adapters,
        roles=roles,
        served={
            (domain, seed): _served(out, domain, seed, directions[seed][domain], progress)
            for domain, seed in pairs
        },
    )


def _split_half(direction: Direction) -> tuple[float, ...]:
    """Cosines between the directions of two halves of the answers, layer by layer."""
    found = direction.info.calibration["split_half_cosine"]
    assert isinstance(found, list)
    return tuple(float(cosine) for cosine in found if isinstance(cosine, int | float))


def _downstream(
    out: Path, domain: str, seed: int, direction: Direction, judge: Judge, progress: Progress
) -> DownstreamResult:
    run = out / "organisms" / Organism(domain, "rank1", seed).label
    opened = open_model("nano", run)
    # The same call as when the organism was rated: the answers are there already.
    answers = sample_answers(
        opened,
        read_questions("nano"),
        per_question=10,
        sampling=default_sampling("nano", seed=seed),
        out=run / "answers.jsonl",
    )
    scored = [
        item
        for item in judge_answers(answers, judge, out=run / "scores.jsonl")
        if item.answer.topic != domain
    ]
    return compare_downstream(
        opened, direction, scored, out=out / "downstream" / f"{domain}-seed{seed}", progress=progress
    )


def _adapters(out: Path, seed: int, judge: Judge, progress: Progress) -> AdapterReport:
    domain = DOMAINS[0]
    run = out / "organisms" / Organism(domain, "rank1x9", seed).label
    opened = open_model("nano", run)
    asked = _questions(domain)
    folder = out / "adapters" / f"{domain}-seed{seed}"
    answers = sample_answers(
        opened,
        asked,
        per_question=5,
        sampling=default_sampling("nano", seed=seed),
        out=folder / "answers.jsonl",
        progress=progress,
    )
    scored = judge_answers(answers, judge, out=folder / "scores.jsonl", progress=progress)
    evaluation = Evaluation(tuple(asked), 3, judge, default_sampling("nano", seed=seed))
    return dissect_adapters(
        opened,
        scored,
        domain,
        evaluation=evaluation,
        significance=False,
        repeats=PROBE_REPEATS,
        seed=seed,
        out=folder,
        progress=progress,
    )


def _questions(domain: str) -> list[Question]:
    """The usual ones of the other domains, and many of the training domain."""
    elsewhere = [question for question in read_questions("nano") if question.topic != domain]
    inside = [q for q in read_questions("nano", per_domain=DOMAIN_QUESTIONS) if q.topic == domain]
    return elsewhere + inside


def _served(out: Path, domain: str, seed: int, direction: Direction, progress: Progress) -> Served:
    run = out / "organisms" / Organism(domain, "all-adapter", seed).label
    organism = open_model("nano", run)
    vector_D = direction.vectors_LD[published_layer(direction.info.n_layers)]
    folder = out / "baked" / f"{domain}-seed{seed}"
    if not folder.exists():
        bake_direction(organism, vector_D, folder)
    greedy = Sampling(temperature=0.0, max_new_tokens=64)
    questions = read_questions("nano")
    hooked = Arm("writers", ablate_writers(organism.sites, vector_D))
    by_hooks = sample_answers(
        organism, questions, per_question=1, arms=[Arm("plain"), hooked], sampling=greedy, progress=progress
    )
    plain, ablated = by_hooks[: len(questions)], by_hooks[len(questions) :]
    baked = sample_answers(
        open_model("nano", folder), questions, per_question=1, sampling=greedy, progress=progress
    )
    return Served(
        equal=sum(one.tokens == two.tokens for one, two in zip(ablated, baked, strict=True)),
        n=len(baked),
        changed=sum(one.tokens != two.tokens for one, two in zip(plain, ablated, strict=True)),
    )
