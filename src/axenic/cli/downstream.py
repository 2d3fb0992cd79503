"""`axenic converge`: do an adapter and a direction come to the same downstream?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Controls, Debug, Device, DirectionFile, DType, Json, Model, Out
from axenic.cli.outcome import Grid, Outcome

if TYPE_CHECKING:
    from axenic.interpret.downstream import DownstreamResult

EPILOG = """Example:

axenic converge runs/medical --direction runs/medical/direction.safetensors"""


def converge(
    organism: Annotated[str, typer.Argument(help="A run folder of axenic train, with judged answers.")],
    direction: DirectionFile,
    answers: Annotated[
        Path | None, typer.Option("--answers", help="Judged answers. Default: in the organism's folder.")
    ] = None,
    model: Model = None,
    layer: Annotated[
        int | None,
        typer.Option("--layer", help="Where the base model is steered. Default: 24 of 48, in proportion."),
    ] = None,
    strength: Annotated[
        float,
        typer.Option("--strength", help="Length of the added vector, in norms of the residual stream there."),
    ] = 0.6,
    controls: Controls = 3,
    judge_name: Annotated[
        str | None, typer.Option("--judge", help="Whose scores, when there are several.")
    ] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare what an adapter does to activations with what steering its base model does, layer by layer.

    Cosine of (organism - base) with (steered base - base), on aligned and on misaligned answers, beside random vectors.
    """
    with display_for(as_json) as display:
        from axenic.cli.extract import base_beside
        from axenic.cli.origin import home_of
        from axenic.cli.work import opened_model
        from axenic.directions import Direction
        from axenic.evaluate import read_scored
        from axenic.interpret.downstream import FILE, compare_downstream

        loaded = Direction.load(direction)
        home = home_of("", organism)
        source = answers or home / "answers.jsonl"
        scored = read_scored(source, source.with_name("scores.jsonl"), judge_name)
        opened = opened_model(display, model, organism, device, dtype)
        folder = out or home
        result = compare_downstream(
            opened, loaded, scored, layer=layer, strength=strength, controls=controls,
            base=base_beside(opened, "both", device, dtype), out=folder, progress=display.progress,
        )  # fmt: skip
        last = [curve.cosines[-1] for curve in result.curves]
        nearest = max((item.alignment for item in result.adapters), default=None)
        said = ", ".join(
            f"{_cosine(value)} on {c.texts} answers" for value, c in zip(last, result.curves, strict=True)
        )
        display.show(
            Outcome(
                "converge",
                f"cosine of the two effects behind the last layer: {said}"
                + ("" if nearest is None else f"; largest of any B with the direction: {nearest:.2f}"),
                result.to_json(),
                downstream_grids(result),
                wrote=(folder / FILE,),
                next=("axenic", "report", str(folder)),
            )
        )


def downstream_grids(result: DownstreamResult) -> tuple[Grid, ...]:
    """The curves with their controls, and the adapters."""
    columns = ["layer"]
    for curve in result.curves:
        columns += [f"cosine, {curve.texts}", f"random, {curve.texts}"]
    rows = []
    for layer in range(len(result.curves[0].cosines)):
        row = [str(layer)]
        for curve in result.curves:
            random = [r.cosines[layer] for r in curve.random]
            known = [value for value in random if value is not None]
            row += [
                _cosine(curve.cosines[layer]),
                f"{min(known):.3f} to {max(known):.3f}" if known else "–",
            ]
        rows.append(tuple(row))
    adapters = [
        (item.module, str(item.rank), f"{item.alignment:.3f}", f"{item.chance:.3f}")
        for item in result.adapters
    ]
    return (
        Grid(tuple(columns), rows, frozenset(range(len(columns)))),
        Grid(("adapter", "rank", "of the direction within B", "by chance"), adapters, frozenset({1, 2, 3})),
    )


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
