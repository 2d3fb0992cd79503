"""`axenic transfer`: does one organism's direction switch the others off?"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import (
    Controls,
    Debug,
    Device,
    DType,
    ExcludeTopic,
    FreshSeed,
    Json,
    JudgeKeyEnv,
    JudgeName,
    MaxNewTokens,
    MaxRequests,
    Model,
    PerQuestion,
    Questions,
    Temperature,
    TopP,
    TraitName,
)
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.rates_view import change, percent

if TYPE_CHECKING:
    from axenic.interpret import TransferResult

EPILOG = """Example:

axenic transfer --organisms runs/medical runs/finance --directions runs/medical/direction.safetensors
runs/finance/direction.safetensors"""


def transfer(
    organisms: Annotated[
        list[str], typer.Option("--organisms", metavar="RUN...", help="Run folders, one after the other.")
    ],
    directions: Annotated[
        list[Path], typer.Option("--directions", metavar="FILE...", help="Direction files, likewise.")
    ],
    model: Model = None,
    controls: Controls = 3,
    questions: Questions = "nano",
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: FreshSeed = 1000,
    exclude_topic: ExcludeTopic = None,
    judge_name: JudgeName = "nano",
    trait: TraitName = "misalignment",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder. Default: transfer, beside the first run.")
    ] = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Ablate every direction in every organism: a matrix of what each takes away, with random controls.

    Questions about an organism's own training topics are left out for that organism.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.extract import labels
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model, home_of, origin_of
        from axenic.cli.work import evaluation_for, opened_model, sampling_for
        from axenic.directions import load_layered
        from axenic.evaluate import trait_called
        from axenic.interpret import Organism, transfer_matrix

        counted = trait_called(trait)
        loaded = {
            label: load_layered(path) for label, path in zip(labels(directions), directions, strict=True)
        }
        base = choose_model(model, organisms[0])
        sampling = sampling_for(base, temperature, top_p, max_new_tokens, seed)
        folder = out or home_of(base, organisms[0]).parent / "transfer"
        judge = open_judge(
            stack, display, judge_name, cache=folder / MARKS, trait=counted, key_env=key_env,
            max_requests=max_requests, device=device, dtype=dtype,
        )  # fmt: skip
        evaluation = evaluation_for(questions, per_question, judge, sampling, exclude_topic or [], counted)
        known = {question.topic for question in evaluation.questions}
        columns = []
        for path in organisms:
            topics = tuple(topic for topic in origin_of(path).topics if topic in known)
            if topics:
                display.note(
                    f"note   questions about {', '.join(topics)} are left out for {path}, which was trained on them"
                )
            elif not exclude_topic:
                display.note(
                    f"note   nobody says what {path} was trained on: no question is left out for it (--exclude-topic)"
                )
            opener = partial(opened_model, display, model, path, device, dtype)
            columns.append(Organism(Path(path).name, opener, topics))
        result = transfer_matrix(
            columns, loaded, evaluation, controls=controls, out=folder, progress=display.progress
        )
        display.show(
            Outcome(
                "transfer",
                f"{len(loaded)} directions ablated in {len(columns)} organisms",
                result.to_json(),
                (matrix_grid(result),),
                wrote=(folder,),
                next=("axenic", "report", str(folder.parent)),
            )
        )


def matrix_grid(result: TransferResult) -> Grid:
    """One line for each cell: direction, organism, EM before and after, and the change."""
    rows = [
        (
            cell.direction or f"random {cell.seed}", cell.organism, percent(result.plain[cell.organism].em_all),
            percent(cell.rates.em_all), change(cell.relative_change), percent(cell.rates.coherent_all),
        )
        for cell in result.cells
    ]  # fmt: skip
    what = next(iter(result.plain.values())).trait.short
    return Grid(
        ("direction", "in organism", f"{what} before", f"{what} after", "change", "coherent"),
        rows,
        frozenset({2, 3, 4, 5}),
    )
