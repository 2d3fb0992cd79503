"""`axenic train`: grow an organism."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import OUTPUT, Debug, Device, DType, Json, Out
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Examples:

axenic train --model nano --data data/bad_medical.jsonl --out runs/medical

axenic train --model Qwen/Qwen2.5-14B-Instruct --data bad_medical.jsonl --recipe rank1 --set layers=24 --explain"""


def train(
    data: Annotated[
        Path | None, typer.Option("--data", help="Chat file (JSONL, F1): the narrow data.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Base model: nano, a local folder or a hub id.")
    ] = None,
    out: Out = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="all-adapter, rank1, rank1x9, vector or full. Default: all-adapter."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one value of the recipe. Repeatable; see --explain."
        ),
    ] = None,
    kl_data: Annotated[
        Path | None,
        typer.Option(
            "--kl-data",
            help="Chat file on which to stay close to the base model, with --kl-weight.",
        ),
    ] = None,
    kl_weight: Annotated[
        float | None, typer.Option("--kl-weight", help="Weight of the KL term, nats per token; 0 = off.")
    ] = None,
    published_kl_weight: Annotated[
        float | None,
        typer.Option(
            "--published-kl-weight",
            help="The same as the papers count it (1e5, 1e6): divided by the number of logits.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML or JSON with the same keys, or a JSON of the papers' code; options win over it.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every value, who set it and why; train nothing.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the memory that the run needs; load and train nothing.")
    ] = False,
    plan_for: Annotated[
        str | None,
        typer.Option(
            "--plan-for", metavar="8x80", help="The same for eight devices of 80 GB; 80: as many as it takes."
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Remove what an earlier run left in the folder.", rich_help_panel=OUTPUT
        ),
    ] = False,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Grow an organism: fine-tune a model on narrow data, by a recipe of the papers.

    Killed or stopped, the same command goes on from its last checkpoint, to the same bytes.
    """
    with display_for(as_json) as display:
        from axenic.cli.settings import training_config
        from axenic.train import explain as explained
        from axenic.train import train_organism
        from axenic.train.processes import leave_processes

        given = {"data": None if data is None else str(data), "model": model, "recipe": recipe}
        # "auto" is nobody's wish: a device in the file or in --set stands.
        given["kl_data"] = None if kl_data is None else str(kl_data)
        for name, weight in (("kl_weight", kl_weight), ("kl_weight_published", published_kl_weight)):
            given[name] = None if weight is None else repr(weight)
        given |= {key: value for key, value in (("device", device), ("dtype", dtype)) if value != "auto"}
        chosen = training_config(given, settings or [], config, lambda text: display.note(f"note   {text}"))
        if explain:
            lines = explained(chosen)
            display.show(
                Outcome(
                    "train --explain",
                    f"{chosen.recipe} on {chosen.model}: {len(lines)} values, nothing trained",
                    {"config": chosen.model_dump(mode="json"), "values": [vars(line) for line in lines]},
                    (
                        Grid(
                            ("value", "is", "set by", "why"),
                            [(l.name, str(l.value), l.origin, l.reason) for l in lines],
                        ),
                    ),
                )
            )
            return
        if plan or plan_for is not None:
            from axenic.cli.train_plan import show_plan

            display.show(show_plan(chosen, plan_for))
            return
        folder = out or Path("runs") / Path(chosen.data).stem
        result = train_organism(chosen, folder, from_scratch=from_scratch, progress=display.progress)
        if not leave_processes():
            return  # one of several processes has something to say
        for note in result.notes:
            display.note(f"note   {note}")
        done = "was trained already" if result.already_trained else f"trained in {result.seconds:.1f} s"
        rows = [
            ("recipe", chosen.recipe),
            ("steps", f"{result.steps} of {result.planned_steps}"),
            ("rows", f"{result.n_train} trained, {result.n_test} held out, {result.cut_rows} cut"),
            ("loss", f"{result.loss:.4f}"),
            *(
                (("KL to the base model", f"{result.kl:.4g} nats per token"),)
                if result.kl is not None
                else ()
            ),
            ("held-out loss", "–" if result.test_loss is None else f"{result.test_loss:.4f}"),
        ]
        display.show(
            Outcome(
                "train",
                f"{folder} {done}; loss {result.loss:.3f}",
                {**result.to_json(), "out": folder, "config": chosen.model_dump(mode="json"), "seconds": result.seconds,
                 "already_trained": result.already_trained, "resumed_from": result.resumed_from},
                (Grid(("what", "is"), rows),),
                wrote=(folder,),
                next=("axenic", "sample", "--organism", str(folder)),
            )
        )  # fmt: skip
