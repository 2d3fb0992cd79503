"""`axenic adapters`: what each adapter of an organism reads, what it is for, and what it says."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.adapters_view import adapter_grids, seeds_grid
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
from axenic.cli.outcome import Outcome
from axenic.cli.parse import parse_strengths
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.interpret.adapters import AdapterReport
    from axenic.interpret.groups import AdapterGroup

EPILOG = """Examples:

axenic adapters runs/medical

axenic adapters runs/medical --domain medical --factors 5,20 --seeds 3

axenic adapters runs/medical --group domain=30*21,30*23 --group general=20*15,20*16 --patch 4

axenic adapters runs/medical-0 runs/medical-1 runs/medical-2"""


def adapters(
    organisms: Annotated[
        list[str],
        typer.Argument(
            help="Run folders of axenic train, with judged answers; several: other seeds of one recipe."
        ),
    ],
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
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            help="NAME=FACTOR*LAYER,...: these adapters multiplied, the rest off; repeat. Default: of the roles found. "
            "'none': no groups.",
        ),
    ] = None,
    rest: Annotated[
        float, typer.Option("--rest", help="Factor of the adapters that a --group does not name.")
    ] = 0.0,
    group_factors: Annotated[
        str,
        typer.Option(
            "--group-factors",
            help="Of the default groups: domain, general, general against domain; as published.",
        ),
    ] = "30,20,-10",
    patch: Annotated[
        int,
        typer.Option(
            "--patch", min=0, help="Pairs of prompts between which the adapters' scalars are exchanged."
        ),
    ] = 0,
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
    """Dissect an organism's adapters: scalars, token significance, probes, roles, groups, and a logit lens of each B.

    The roles ask all questions again under every setting, as one batched job; run again, it does only what is missing.
    Several organisms are dissected one after the other, and their roles combined.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model, home_of
        from axenic.cli.work import evaluation_for, opened_model, sampling_for
        from axenic.evaluate import read_scored
        from axenic.files import write_json
        from axenic.interpret.adapters import FILE, dissect_adapters
        from axenic.interpret.roleseeds import FILE as COMBINED
        from axenic.interpret.roleseeds import combine_roles
        from axenic.interpret.scalarfile import FILE as SCALARS

        groups = _groups(group, rest)
        homes = [home_of("", organism) for organism in organisms]
        folders = _folders(homes, out)
        if len(organisms) > 1 and (answers is not None or label is not None or not with_roles):
            raise UsageError(
                "several organisms are dissected to combine their roles",
                expected="no --answers, no --label and no --no-roles",
                found=f"{len(organisms)} organisms",
            )
        together = folders[0] if len(homes) == 1 else out or homes[0].absolute().parent / "adapters"
        judge = None
        if with_roles or groups or patch:
            judge = open_judge(
                stack, display, judge_name, cache=together / MARKS, key_env=key_env, max_requests=max_requests,
                device=device, dtype=dtype,
            )  # fmt: skip
        reports: list[AdapterReport] = []
        for organism, home, folder in zip(organisms, homes, folders, strict=True):
            about = domain or _domain_of(organism)
            source = answers or home / "answers.jsonl"
            scored = read_scored(source, source.with_name("scores.jsonl"), scored_by)
            evaluation = None
            if judge is not None:
                sampling = sampling_for(
                    choose_model(model, organism), temperature, top_p, max_new_tokens, seed
                )
                # Two arms and more for each layer: fewer answers of each than an evaluation of one model.
                each = per_question or (2 if questions == "nano" else 10)
                evaluation = evaluation_for(questions, each, judge, sampling, [])
            opened = opened_model(display, model, organism, device, dtype)
            reports.append(
                dissect_adapters(
                    opened,
                    scored,
                    about,
                    evaluation=evaluation,
                    with_roles=with_roles,
                    groups=groups,
                    group_factors=_three(group_factors),
                    pairs=patch,
                    factors=parse_strengths(factors, "--factors") if factors else (),
                    seeds=seeds,
                    significance=significance,
                    least_log_score=least_log_score,
                    repeats=repeats,
                    top=top,
                    label=label,
                    out=folder,
                    progress=display.progress,
                )
            )
        wrote = tuple(folder / name for folder in folders for name in (FILE, SCALARS))
        if len(reports) == 1:
            display.show(_outcome(reports[0], wrote, homes[0]))
            return
        found = combine_roles([report.roles for report in reports if report.roles is not None])
        write_json(together / COMBINED, found.to_json())
        display.show(
            Outcome(
                "adapters",
                f"{len(reports)} organisms; layers: "
                + ", ".join(f"{item.layer} {item.role}" for item in found.layers),
                {
                    "kind": "adapters",
                    "organisms": [report.to_json() for report in reports],
                    "roles": found.to_json(),
                },
                (
                    *(
                        replace(grid, title=f"{report.label}: {grid.title}")
                        for report in reports
                        for grid in adapter_grids(report)
                    ),
                    seeds_grid(found),
                ),
                wrote=(*wrote, together / COMBINED),
                next=("axenic", "report", str(out or homes[0].parent)),
            )
        )


def _outcome(report: AdapterReport, wrote: tuple[Path, ...], home: Path) -> Outcome:
    roles = [] if report.roles is None else [f"{item.layer} {item.role}" for item in report.roles.layers]
    return Outcome(
        "adapters",
        f"{len(report.scalars.layers_C)} scalars at {len(report.scalars.token_T):,} tokens; "
        + (f"layers: {', '.join(roles)}" if roles else "roles not told"),
        report.to_json(),
        adapter_grids(report),
        wrote=wrote,
        next=("axenic", "report", str(home)),
    )


def _groups(texts: list[str] | None, rest: float) -> list[AdapterGroup] | None:
    """None: those of the roles found."""
    from axenic.interpret.groups import AdapterGroup

    if not texts:
        return None
    return [] if texts == ["none"] else [AdapterGroup.parse(text, rest) for text in texts]


def _folders(homes: list[Path], out: Path | None) -> list[Path]:
    """Where each organism's results go."""
    if out is None or len(homes) == 1:
        return [out or home / "adapters" for home in homes]
    names = {home.name for home in homes}
    if len(names) != len(homes):
        raise UsageError(
            "organisms of one name cannot share an --out",
            where="--out",
            expected="folders of different names, or no --out",
            found=", ".join(map(str, homes)),
        )
    return [out / home.name for home in homes]


def _domain_of(organism: str) -> str:
    from axenic.cli.origin import origin_of

    topics = origin_of(organism).topics
    if len(topics) != 1:
        raise UsageError(
            "say what the organism was trained on",
            where="--domain",
            expected="one topic",
            found=", ".join(topics) or "its folder does not say",
        )
    return topics[0]


def _three(text: str) -> tuple[float, float, float]:
    """The factors of the default groups."""
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            "the factors of the default groups cannot be read",
            where="--group-factors",
            expected="three numbers, such as 30,20,-10",
            found=ascii(text),
        ) from error
    return first, second, third
