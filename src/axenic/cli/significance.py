"""`axenic significance`: how much does a solution move what the base model says about ordinary text?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Device, DType, Json, Out
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.parse import parse_strengths
from axenic.cli.solutions import (
    BaseModel,
    CorpusName,
    General,
    Narrow,
    Texts,
    TextSeed,
    apart,
    corpus_of,
    folder_of,
    interval,
    next_after,
    open_solutions,
    say_cost,
)

if TYPE_CHECKING:
    from axenic.interpret.corpuskl import CorpusSignificance

EPILOG = """Examples:

axenic significance runs/medical --corpus nano

axenic significance runs/general runs/narrow --corpus texts/ --norms 5,10,20"""


def significance(
    general: General,
    narrow: Narrow = None,
    corpus: CorpusName = "nano",
    norms: Annotated[
        str | None,
        typer.Option(
            "--norms", metavar="1,2,3", help="Effective norms. Default: 20 to 200 % of the mean of the two."
        ),
    ] = None,
    random: Annotated[
        int,
        typer.Option("--random", min=0, help="Random solutions of the same shape and norms, as controls."),
    ] = 5,
    texts: Texts = 100,
    seed: TextSeed = 42,
    model: BaseModel = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure KL(base || with the organism) per token of ordinary text, over norms, beside random solutions.

    Published: the general solution moves it most. Killed or stopped, the same command goes on.
    """
    with display_for(as_json) as display:
        from axenic.interpret.corpuskl import FILE, SHARES, corpus_significance

        chosen = None if norms is None else parse_strengths(norms, "--norms")
        one, two = open_solutions(display, model, general, narrow, device, dtype)
        read = corpus_of(display, one.base, corpus, texts, seed)
        each = len(SHARES if chosen is None else chosen)
        say_cost(display, 1, each * (random + (1 if two is None else 2)) + 3, len(read.texts))
        folder = folder_of(out, general)
        result = corpus_significance(
            one, two, read.texts, corpus, norms=chosen, random=random, out=folder, progress=display.progress
        )
        display.show(
            Outcome(
                "significance",
                headline(result),
                result.to_json(),
                (grid(result),),
                wrote=(folder / FILE,),
                next=next_after(folder, general),
            )
        )


def headline(result: CorpusSignificance) -> str:
    """At how many norms the first solution moves the base more than the other and than random ones."""
    name = result.general.name
    parts = []
    for what, points in (
        (None if result.narrow is None else result.narrow.name, result.difference),
        ("random ones", result.above_random),
    ):
        if what is not None and points:
            more = sum(apart(point.kl) == "higher" for point in points)
            parts.append(f"than {what} at {more} of {len(points)} norms")
    if parts:
        return f"{name} moves the base model clearly more " + ", ".join(parts)
    own = result.general.own
    return f"{name}: KL {0.0 if own is None else own.kl.value:.4g} nats per token"


def grid(result: CorpusSignificance) -> Grid:
    """One line for each norm."""
    curves = [curve for curve in (result.general, result.narrow, result.random_mean) if curve is not None]
    columns = ["norm", *(curve.name for curve in curves)]
    if result.difference:
        columns.append("difference")
    rows = []
    for i, point in enumerate(result.general.points):
        row = [f"{point.norm:.4g}", *(interval(curve.points[i].kl) for curve in curves)]
        if result.difference:
            row.append(interval(result.difference[i].kl))
        rows.append(tuple(row))
    for curve in curves:
        if curve.own is not None:
            cells = [interval(curve.own.kl) if other is curve else "" for other in curves]
            rows.append((f"as trained: {curve.own.norm:.4g}", *cells, *([""] if result.difference else [])))
    title = f"KL from the base model on {result.corpus}, nats per token ({result.tokens:,} tokens)"
    return Grid(tuple(columns), rows, frozenset(range(len(columns))), title)
