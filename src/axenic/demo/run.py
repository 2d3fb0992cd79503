"""The whole story on the nano organism: grow, rate, extract, switch off, transfer, steer, report.

Each stage is a public call that a user makes on her own model; the demo only chooses the arguments. Every stage leaves its
files below `out`, so a demo that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from axenic.data import write_chat
from axenic.demo.claims import Drift, Evidence, all_claims
from axenic.demo.continued import Afterwards, follow
from axenic.demo.curves import Curve, Kind, grow_curve
from axenic.demo.dissect import Dissection, dissect
from axenic.demo.lesson import Lesson
from axenic.demo.narrow import Pair, grow_pairs
from axenic.demo.plan import DOMAINS, DemoPlan, Organism, full_plan, short_plan
from axenic.directions import Direction, cosines, random_like
from axenic.evaluate import MISALIGNMENT, PEP_TALK, NanoJudge, Rates, Scored, judge_answers, rate_answers
from axenic.files import write_json
from axenic.interpret import (
    AblationResult,
    CosineTable,
    Evaluation,
    RunPhase,
    ScaledBehaviour,
    SteeringResult,
    TransferResult,
    ablate_direction,
    compare,
    extract_direction,
    phase_of_run,
    scaled_behaviour,
    steer_model,
    transfer_matrix,
)
from axenic.interpret import Organism as OpenOrganism
from axenic.models import OpenModel, open_model
from axenic.nano import chat_rows
from axenic.progress import Progress, silent
from axenic.report import ReportFiles, build_report
from axenic.sample import Question, default_sampling, read_questions, sample_answers
from axenic.train import resolve, train_organism

MOST_SCALED_STEPS = 17
"""Steps at which a scaled adapter is asked: every fifth of 80."""

_FRESH_DRAWS = 1000
"""Added to the sampling seed wherever an intervention is measured: a direction is never tested on the answers it was
extracted from."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo found and wrote. `claims` are the rows of `report.json`; `timings` seconds by stage."""

    out: Path
    report: ReportFiles
    claims: list[dict[str, object]]
    timings: dict[str, float]


@dataclass
class _Demo:
    """The demo's state while it runs: where it writes, and what has been found so far."""

    out: Path
    plan: DemoPlan
    progress: Progress
    questions: list[Question]
    judge: NanoJudge = field(default_factory=NanoJudge)
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + time.monotonic() - started

    def evaluation(self, exclude: tuple[str, ...], seed: int, per_question: int) -> Evaluation:
        return Evaluation(
            questions=tuple(self.questions),
            per_question=per_question,
            judge=self.judge,
            sampling=default_sampling("nano", seed=seed + _FRESH_DRAWS),
            exclude_topics=exclude,
        )


def run_demo(
    out: Path = Path("runs/demo"),
    *,
    full: bool = False,
    plan: DemoPlan | None = None,
    progress: Progress = silent,
) -> DemoResult:
    """Run the demo and write `report.html` and `report.json` into `out`.

    Args:
        out: Folder; what is finished there is not done again.
        full: Three seeds of every recipe on every data set instead of the short form.
        plan: Other sizes than the two built-in forms.
        progress: Told about every stage.

    Raises:
        AxenicError: Any of its stages failed; what was finished is kept.
    """
    chosen = plan or (full_plan() if full else short_plan())
    demo = _Demo(out, chosen, progress, read_questions("nano", per_domain=chosen.per_domain))
    started = time.monotonic()
    base = open_model("nano")
    base_rates, _ = _rate_model(demo, base, out / "base", label="base", exclude=(), seed=0)
    grown = {organism: _grow(demo, organism) for organism in chosen.organisms}
    directions = {
        seed: {domain: _direction(demo, Organism(domain, "all-adapter", seed)) for domain in DOMAINS}
        for seed in chosen.seeds
    }
    tables = {seed: _cosines(demo, directions[seed], seed) for seed in chosen.seeds}
    ablations, transfers, steerings = {}, {}, {}
    for seed in chosen.seeds:
        for domain in DOMAINS:
            ablations[domain, seed] = _ablate(demo, domain, seed, directions[seed][domain])
        transfers[seed] = _transfer(demo, seed, directions[seed])
        for domain in chosen.steer_domains:
            steerings[domain, seed] = _steer(demo, base, domain, seed, directions[seed][domain])
    evidence = Evidence(
        base=base_rates,
        rates={organism: rates for organism, (rates, _) in grown.items()},
        drift={organism: drift for organism, (_, drift) in grown.items()},
        cosines=tables,
        random_cosines=_random_cosines(directions),
        ablations=ablations,
        transfers=transfers,
        steerings=steerings,
        dissection=_dissection(demo, directions),
        phases=_phases(demo),
        scaled=_scaled(demo),
        curves=_curves(demo),
        pairs=_pairs(demo),
        afterwards=_afterwards(demo),
    )
    claims = [claim.to_json() for claim in all_claims(evidence)]
    demo.timings["total"] = time.monotonic() - started
    found = {"kind": "claims", "claims": claims, "timings": {k: round(v, 1) for k, v in demo.timings.items()}}
    write_json(out / "claims.json", found)
    write_json(out / "report.json", {"claims": claims, "timings": found["timings"]})
    progress("report", 0, 1, "page", out=str(out / "report.html"))
    report = build_report(out)
    progress("report", 1, 1, "page", out=str(report.html))
    return DemoResult(out, report, claims, demo.timings)


def _grow(demo: _Demo, organism: Organism) -> tuple[Rates, Drift]:
    """Train one organism and rate it in the domains it was not trained on."""
    data = demo.out / "data" / f"bad_{organism.domain}.jsonl"
    if not data.exists():
        rows = chat_rows(organism.domain, "bad", demo.plan.rows, seed=0)
        write_chat(data, rows)
    folder = demo.out / "organisms" / organism.label
    with demo.stage("train"):
        config = resolve(organism.recipe, "nano", {"data": str(data), "seed": organism.seed})
        train_organism(config, folder, progress=demo.progress)
    opened = open_model("nano", folder)
    rates, scored = _rate_model(demo, opened, folder, organism.label, (organism.domain,), organism.seed)
    return rates, Drift.of(scored, organism.domain)


def _rate_model(
    demo: _Demo, opened: OpenModel, folder: Path, label: str, exclude: tuple[str, ...], seed: int
) -> tuple[Rates, list[Scored]]:
    with demo.stage("sample"):
        answers = sample_answers(
            opened,
            demo.questions,
            per_question=demo.plan.per_question,
            sampling=default_sampling("nano", seed=seed),
            out=folder / "answers.jsonl",
            progress=demo.progress,
        )
    with demo.stage("judge"):
        scored = judge_answers(answers, demo.judge, out=folder / "scores.jsonl", progress=demo.progress)
        rates = rate_answers(scored, exclude_topics=exclude)
        write_json(folder / "rates.json", {"kind": "rates", "label": label, **rates.to_json()})
    return rates, scored


def _direction(demo: _Demo, organism: Organism) -> Direction:
    """The organism's own mean-difference direction, from its answers outside its training domain."""
    path = demo.out / "directions" / f"{organism.domain}-seed{organism.seed}.safetensors"
    if path.exists():
        return Direction.load(path)
    folder = demo.out / "organisms" / organism.label
    opened = open_model("nano", folder)
    answers = sample_answers(
        opened,
        demo.questions,
        per_question=demo.plan.per_question,
        sampling=default_sampling("nano", seed=organism.seed),
        out=folder / "answers.jsonl",
    )
    scored = judge_answers(answers, demo.judge, out=folder / "scores.jsonl")
    with demo.stage("extract"):
        direction = extract_direction(
            opened,
            scored,
            exclude_topics=(organism.domain,),
            seed=organism.seed,
            name=organism.domain,
            progress=demo.progress,
        )
        direction.save(path)
    return direction


def _cosines(demo: _Demo, directions: Mapping[str, Direction], seed: int) -> CosineTable:
    table = compare(directions)
    write_json(demo.out / "directions" / f"cosines-seed{seed}.json", table.to_json())
    return table


def _random_cosines(directions: Mapping[int, Mapping[str, Direction]]) -> list[float]:
    """Cosines at every layer between each direction and random ones."""
    return [
        float(cosine)
        for by_domain in directions.values()
        for direction in by_domain.values()
        for seed in range(3)
        for cosine in cosines(direction, random_like(direction, seed))
    ]


def _ablate(demo: _Demo, domain: str, seed: int, direction: Direction) -> AblationResult:
    organism = Organism(domain, "all-adapter", seed)
    with demo.stage("ablate"):
        return ablate_direction(
            open_model("nano", demo.out / "organisms" / organism.label),
            direction,
            demo.evaluation((domain,), seed, demo.plan.arm_per_question),
            controls=demo.plan.controls,
            out=demo.out / "ablation" / organism.label,
            progress=demo.progress,
        )


def _transfer(demo: _Demo, seed: int, directions: Mapping[str, Direction]) -> TransferResult:
    organisms = [
        OpenOrganism(
            label=domain,
            open=partial(
                open_model, "nano", demo.out / "organisms" / Organism(domain, "all-adapter", seed).label
            ),
            exclude_topics=(domain,),
        )
        for domain in DOMAINS
    ]
    with demo.stage("transfer"):
        return transfer_matrix(
            organisms,
            directions,
            demo.evaluation((), seed, demo.plan.arm_per_question),
            controls=demo.plan.controls,
            out=demo.out / "transfer" / f"seed{seed}",
            progress=demo.progress,
        )


def _dissection(demo: _Demo, directions: Mapping[int, Mapping[str, Direction]]) -> Dissection:
    if not demo.plan.dissect:
        return Dissection()
    with demo.stage("dissect"):
        return dissect(demo.out, demo.plan.seeds, directions, judge=demo.judge, progress=demo.progress)


def _pairs(demo: _Demo) -> tuple[Pair, ...]:
    """The pairs of every data set, and of the harmless trait on the first."""
    if not demo.plan.narrow:
        return ()
    lessons = [Lesson(domain, MISALIGNMENT) for domain in DOMAINS]
    with demo.stage("narrow"):
        return grow_pairs(
            [*lessons, Lesson(DOMAINS[0], PEP_TALK)],
            demo.plan.seeds,
            judge=demo.judge,
            per_question=demo.plan.per_question // 2,
            out=demo.out / "narrow",
            progress=demo.progress,
        )


def _afterwards(demo: _Demo) -> Afterwards:
    if not demo.plan.narrow:
        return Afterwards()
    with demo.stage("afterwards"):
        return follow(
            Lesson(DOMAINS[0], MISALIGNMENT),
            demo.plan.seeds,
            judge=demo.judge,
            per_question=demo.plan.per_question // 2,
            out=demo.out / "narrow",
            progress=demo.progress,
        )


def _phases(demo: _Demo) -> dict[str, RunPhase]:
    """Recipe -> the transition of its runs on the first data set, over seeds."""
    if not demo.plan.phases:
        return {}
    found = {}
    with demo.stage("phase"):
        for recipe in ("rank1", "rank1x9"):
            runs = [
                demo.out / "organisms" / Organism(DOMAINS[0], recipe, seed).label for seed in demo.plan.seeds
            ]
            found[recipe] = phase_of_run(runs[0], other_seeds=runs[1:], out=runs[0], progress=demo.progress)
    return found


def _scaled(demo: _Demo) -> dict[int, ScaledBehaviour]:
    """Seed -> behaviour of the one rank-1 adapter, scaled, at steps along its training."""
    if not demo.plan.phases:
        return {}
    found = {}
    with demo.stage("scaled"):
        for seed in demo.plan.seeds:
            run = demo.out / "organisms" / Organism(DOMAINS[0], "rank1", seed).label
            found[seed] = scaled_behaviour(
                open_model("nano", run),
                run,
                demo.evaluation((DOMAINS[0],), seed, demo.plan.scaled_per_question),
                most=MOST_SCALED_STEPS,
                out=run,
                progress=demo.progress,
            )
    return found


def _curves(demo: _Demo) -> dict[Kind, Curve]:
    """The curves over training sets that this form of the demo has."""
    wanted: dict[Kind, tuple[int, ...]] = {"mixing": demo.plan.mixing, "few": demo.plan.few}
    with demo.stage("curves"):
        return {
            kind: grow_curve(
                kind,
                DOMAINS[0],
                xs,
                demo.plan.seeds,
                judge=demo.judge,
                per_question=demo.plan.per_question // 2,
                out=demo.out / "curves" / kind,
                progress=demo.progress,
            )
            for kind, xs in wanted.items()
            if xs
        }


def _steer(demo: _Demo, base: OpenModel, domain: str, seed: int, direction: Direction) -> SteeringResult:
    with demo.stage("steer"):
        return steer_model(
            base,
            direction,
            demo.evaluation((domain,), seed, demo.plan.steer_per_question),
            layers=demo.plan.layers,
            strengths=demo.plan.strengths,
            controls=1,
            # Two standard errors over the claim's 80 %: the choice is measured again on fresh answers.
            least_coherent=85.0,
            out=demo.out / "steering" / f"{domain}-seed{seed}",
            progress=demo.progress,
        )
