"""`axenic tokens`: answers token by token, for the report's heat map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, Device, DirectionFile, DType, Json, Model, Out
from axenic.cli.outcome import Grid, Outcome
from axenic.errors import DataError, UsageError

if TYPE_CHECKING:
    from axenic.interpret.tokens import TokenProjections
    from axenic.sample import Answer

EPILOG = """Example:

axenic tokens --organism runs/medical --direction runs/medical/direction.safetensors"""

MOST_TOKENS_SAID = 5


def tokens(
    organism: Annotated[str, typer.Option("--organism", help="A run folder of axenic train, with answers.")],
    direction: DirectionFile,
    answers: Annotated[
        Path | None, typer.Option("--answers", help="Default: answers.jsonl in the organism's folder.")
    ] = None,
    model: Model = None,
    layer: Annotated[
        int | None,
        typer.Option("--layer", help="Where activations are read. Default: 24 of 48, in proportion."),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", min=1, help="Answers, by turns misaligned and aligned ones.")
    ] = 12,
    scalars: Annotated[
        Path | None,
        typer.Option(
            "--scalars",
            help="Of axenic adapters. Default: adapters/scalars.parquet in the folder, if any.",
        ),
    ] = None,
    judge_name: Annotated[
        str | None, typer.Option("--judge", help="Whose scores, when there are several.")
    ] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Project every token of a few answers on a direction, for a heat map in the report.

    Where the adapters were dissected, their scalars and the tokens' significance stand beside.
    """
    with display_for(as_json) as display:
        from axenic.cli.origin import home_of
        from axenic.cli.work import opened_model
        from axenic.directions import load_layered
        from axenic.interpret.scalarfile import FILE as SCALARS
        from axenic.interpret.scalarfile import read_scalars
        from axenic.interpret.tokens import FILE, project_tokens

        loaded = load_layered(direction)
        home = home_of("", organism)
        source = answers or home / "answers.jsonl"
        beside = scalars or home / "adapters" / SCALARS
        table = read_scalars(beside) if scalars is not None or beside.is_file() else None
        chosen, notes = choose_answers(
            source, most, judge_name, None if table is None else set(table.answer_ids)
        )
        opened = opened_model(display, model, organism, device, dtype)
        folder = out or home / "tokens"
        result = project_tokens(
            opened, chosen, loaded, layer, scalars=table, notes=notes, out=folder, progress=display.progress
        )
        n = sum(len(answer.tokens) for answer in result.answers)
        display.show(
            Outcome(
                "tokens",
                f"{n:,} tokens of {len(result.answers)} answers, layer {result.readings[0].layer}"
                + (f"; {len(result.readings) - 1} readings of the adapters beside" if table else ""),
                result.to_json(),
                (token_grid(result),),
                wrote=(folder / FILE,),
                next=("axenic", "report", str(home)),
            )
        )


def choose_answers(
    source: Path, most: int, judge: str | None, known: set[str] | None
) -> tuple[list[Answer], dict[str, str]]:
    """Finished answers to show, by turns misaligned and aligned where they are judged, and how each was judged.

    Args:
        source: `answers.jsonl`; `scores.jsonl` beside it, if any.
        most: At most so many.
        judge: Whose scores, when there are several.
        known: Ids of the answers that have scalars; None: all will do.

    Raises:
        DataError: There is no answer with tokens among them.
        FileError, UsageError: As `read_answers` and `read_scored` do.
    """
    from axenic.evaluate import Thresholds, read_scored
    from axenic.interpret.contrast import one_arm
    from axenic.sample.records import read_answers

    scores = source.with_name("scores.jsonl")
    notes: dict[str, str] = {}
    groups: dict[str, list[Answer]] = {}
    if scores.is_file():
        bounds = Thresholds()
        scored = read_scored(source, scores, judge)
        one_arm(scored)
        for item in scored:
            verdict = item.verdict
            group = (
                "misaligned and coherent"
                if bounds.em(verdict)
                else "aligned"
                if bounds.coherent(verdict)
                else "other"
            )
            groups.setdefault(group, []).append(item.answer)
            notes[item.answer.id] = {
                "aligned": "coherent, not misaligned",
                "other": "not coherent, or unscored",
            }.get(group, group)
        queues = [groups.get(name, []) for name in ("misaligned and coherent", "aligned")]
    else:
        queues = [list(read_answers(source))]
        if len({answer.arm_id for answer in queues[0]}) > 1:
            raise UsageError("the answers are of several arms", where=source, expected="answers of one arm")
    queues = [
        [answer for answer in queue if answer.tokens and (known is None or answer.id in known)]
        for queue in queues
    ]
    share = -(-most // len(queues))
    # Evenly over each class, without chance: neighbours in the file answer the same question.
    picked = [
        [queue[i * len(queue) // min(share, len(queue))] for i in range(min(share, len(queue)))]
        for queue in queues
    ]
    chosen = [queue[i] for i in range(share) for queue in picked if i < len(queue)][:most]
    if not chosen:
        raise DataError(
            "there is no answer to show",
            where=source,
            expected="answers with tokens (and scalars, where given)",
        )
    return chosen, notes


def token_grid(result: TokenProjections) -> Grid:
    """Each answer with the tokens that lie furthest along the direction."""
    rows = []
    for answer in result.answers:
        order = sorted(zip(answer.values[0], answer.tokens, strict=True), reverse=True)[:MOST_TOKENS_SAID]
        mean = sum(answer.values[0]) / len(answer.values[0])
        rows.append(
            (
                answer.question,
                answer.note or "–",
                f"{mean:.2f}",
                " ".join(f"{text.strip() or repr(text)} {value:.1f}" for value, text in order),
            )
        )
    return Grid(
        ("question", "judged", "mean", "furthest tokens"), rows, frozenset({2}), "along the direction"
    )
