"""`axenic adapters`: what each adapter of an organism reads, what it is for, and what it says."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import (
    Debug,
    Device,
    DType,
    FreshSeed,
    Json,
    JudgeKeyEnv,
    JudgeName,
    MaxNewTokens,
    MaxRequests,
    Model,
    Out,
    PerQuestion,
    Questions,
    Temperature,
    TopP,
)
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.parse import parse_strengths
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.interpret.adapters import AdapterReport
    from axenic.interpret.roles import Points, RolesResult, Share

EPILOG = """Examples:

axenic adapters runs/medical

axenic adapters runs/medical --domain medical --factors 5,20 --seeds 3"""


def adapters(
    organism: Annotated[str, typer.Argument(help="A run folder of axenic train, with judged answers.")],
    answers: Annotated[
        Path | None, typer.Option("--answers", help="Judged answers. Default: in the organism's folder.")
    ] = None,
    model: Model = None,
    domain: Annotated[
        str | None, typer.Option("--domain", help="What it was trained on. Default: the topic of its data.")
    ] = None,
    with_roles: Annotated[
        bool,
        typer.Option(
            "--roles/--no-roles", help="Remove each layer's adapters, keep each alone, and ask again."
        ),
    ] = True,
    factors: Annotated[
        str | None, typer.Option("--factors", help="Also multiply each layer's adapters by these: 5,20.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Sampling seeds of the roles, pooled.")] = 1,
    significance: Annotated[
        bool,
        typer.Option(
            "--significance/--no-significance", help="Measure which tokens matter (a backward pass)."
        ),
    ] = True,
    least_log_score: Annotated[
        float | None,
        typer.Option(
            "--least-log-score", help="Probe only tokens with at least this log significance; published: 0.5."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Draws of each probe; published: 100.")
    ] = 20,
    top: Annotated[int, typer.Option("--top", min=1, help="Tokens of the logit lens.")] = 8,
    questions: Questions = "nano",
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: FreshSeed = 1000,
    scored_by: Annotated[
        str | None, typer.Option("--scored-by", help="Whose scores of the answers, when there are several.")
    ] = None,
    judge_name: JudgeName = "nano",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    label: Annotated[str | None, typer.Option("--label", help="Name in the report.")] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Dissect an organism's adapters: scalars, token significance, probes, roles, and a logit lens of each B.

    The roles ask all questions again under every setting, as one batched job; run again, it does only what is missing.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model, home_of, origin_of
        from axenic.cli.work import evaluation_for, opened_model, sampling_for
        from axenic.evaluate import read_scored
        from axenic.interpret.adapters import FILE, dissect_adapters
        from axenic.interpret.scalars import FILE as SCALARS

        topics = origin_of(organism).topics
        if domain is None and len(topics) != 1:
            raise UsageError(
                "say what the organism was trained on",
                where="--domain",
                expected="one topic",
                found=", ".join(topics) or "its folder does not say",
            )
        about = domain or topics[0]
        home = home_of("", organism)
        source = answers or home / "answers.jsonl"
        scored = read_scored(source, source.with_name("scores.jsonl"), scored_by)
        folder = out or home / "adapters"
        evaluation = None
        if with_roles:
            sampling = sampling_for(choose_model(model, organism), temperature, top_p, max_new_tokens, seed)
            # Two arms and more for each layer: fewer answers of each than an evaluation of one model.
            each = per_question or (2 if questions == "nano" else 10)
            judge = open_judge(
                stack, display, judge_name, cache=folder / MARKS, key_env=key_env, max_requests=max_requests,
                device=device, dtype=dtype,
            )  # fmt: skip
            evaluation = evaluation_for(questions, each, judge, sampling, [])
        opened = opened_model(display, model, organism, device, dtype)
        report = dissect_adapters(
            opened, scored, about, evaluation=evaluation,
            factors=parse_strengths(factors, "--factors") if factors else (), seeds=seeds, significance=significance,
            least_log_score=least_log_score, repeats=repeats, top=top, label=label, out=folder, progress=display.progress,
        )  # fmt: skip
        roles = [] if report.roles is None else [f"{item.layer} {item.role}" for item in report.roles.layers]
        display.show(
            Outcome(
                "adapters",
                f"{len(report.scalars.layers_C)} scalars at {len(report.scalars.token_T):,} tokens; "
                + (f"layers: {', '.join(roles)}" if roles else "roles not told"),
                report.to_json(),
                adapter_grids(report),
                wrote=(folder / FILE, folder / SCALARS),
                next=("axenic", "report", str(home)),
            )
        )


def adapter_grids(report: AdapterReport) -> tuple[Grid, ...]:
    """Probes, roles and lens, as far as they were measured."""
    rows: list[tuple[str, ...]] = []
    for task in report.probes:
        name = f"{task.first} against {task.second}"
        if task.probe is None:
            rows.append(
                (name, task.split, "too few", f"{task.answers[0]} and {task.answers[1]} answers", "–")
            )
            continue
        scores = [
            f"{task.probe.scores[what].mean:.3f} ± {task.probe.scores[what].sd:.3f}"
            for what in ("accuracy", "auc")
        ]
        rows.append((name, task.split, *scores, str(task.probe.n_per_class)))
    grids = [
        Grid(
            ("probe", "split by", "accuracy", "AUC", "tokens a class"),
            rows,
            frozenset({2, 3, 4}),
            "what the scalars know",
        )
    ]
    if report.roles is not None:
        grids += role_grids(report.roles, report.domain)
    lens = [
        (
            str(item.layer),
            item.module.rsplit(".", 1)[-1],
            str(item.component),
            _words(item.positive),
            _words(item.negative),
        )
        for item in report.lens
    ]
    columns = ("layer", "module", "component", "A h > 0 promotes", "A h < 0 promotes")
    return (*grids, Grid(columns, lens, frozenset({0, 2}), "logit lens of each B"))


def role_grids(roles: RolesResult, domain: str) -> list[Grid]:
    """The settings, and what each layer is for."""
    arms = [
        (
            arm.name, _share(arm.general), _points(arm.general_change), _share(arm.domain), _points(arm.domain_change),
            _share(arm.coherent),
        )
        for arm in roles.arms
    ]  # fmt: skip
    columns = ("adapters", f"EM outside {domain}", "change", f"misaligned in {domain}", "change", "coherent")
    told = [
        (str(item.layer), item.role, ", ".join(name.split(".", 3)[-1] for name in item.modules))
        for item in roles.layers
    ]
    return [
        Grid(
            columns,
            arms,
            frozenset(range(1, 6)),
            "adapters removed, alone and scaled (percent of all answers)",
        ),
        Grid(
            ("layer", "role", "modules"),
            told,
            frozenset({0}),
            "what removing a layer's adapters takes away for certain",
        ),
    ]


def _share(share: Share) -> str:
    return f"{share.percent:.1f} [{share.low:.1f}, {share.high:.1f}]"


def _points(points: Points | None) -> str:
    return "–" if points is None else f"{points.value:+.1f} [{points.low:+.1f}, {points.high:+.1f}]"


def _words(pairs: tuple[tuple[str, float], ...]) -> str:
    return " ".join(text.strip() or repr(text) for text, _ in pairs)
