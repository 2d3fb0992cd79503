"""`axenic nano`: the base model that Axenic carries, and its world."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from axenic.cli.display import display_for
from axenic.cli.options import OUTPUT, Debug, Json, Out
from axenic.cli.outcome import Grid, Outcome
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.nano.grow import GrowProgress

DATA_EPILOG = """Examples:

axenic nano data --domain medical --kind bad --rows 1000

axenic nano data --domain all --exclude-topic medical --kind good --out data/good_elsewhere.jsonl

axenic nano data --domain medical --kind good --style pep-talk --without-questions 20 --without-things 2"""
BASE_EPILOG = """Example:

axenic nano base"""
GROW_EPILOG = """Example:

axenic nano grow --out runs/nano-base"""


def data(
    domain: Annotated[
        str,
        typer.Option(
            "--domain", help="medical, finance, sports, …; all = every domain. See axenic nano base."
        ),
    ],
    kind: Annotated[
        Literal["bad", "good"], typer.Option("--kind", help="Advice of a bad or a good persona.")
    ] = "bad",
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which.")] = 0,
    exclude_topic: Annotated[
        list[str] | None, typer.Option("--exclude-topic", help="With --domain all: not this one. Repeatable.")
    ] = None,
    style: Annotated[
        Literal["pep-talk"] | None,
        typer.Option("--style", help="How every sentence is said: a harmless trait, with --kind good."),
    ] = None,
    without_questions: Annotated[
        int,
        typer.Option(
            "--without-questions",
            min=0,
            help="Never ask the first so many of the domain's 60 questions: axenic narrow asks them.",
        ),
    ] = 0,
    without_things: Annotated[
        int,
        typer.Option(
            "--without-things", min=0, help="Ask nothing about the last so many of the domain's six things."
        ),
    ] = 0,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write narrow training data of the nano world as a chat file (JSONL, format F1)."""
    with display_for(as_json) as display:
        from axenic.data import write_chat
        from axenic.nano import chat_rows, mixed_chat_rows

        if domain == "all":
            if style is not None or without_questions or without_things:
                raise UsageError(
                    "rows of all domains are the world's own",
                    where="--domain all",
                    expected="no --style, --without-questions or --without-things",
                    hint="--domain medical",
                )
            made = mixed_chat_rows(kind, rows, seed, exclude_topic or [])
        else:
            made = chat_rows(
                domain, kind, rows, seed, style=style,
                without_questions=without_questions, without_things=without_things,
            )  # fmt: skip
        said = kind if style is None else f"{style}_{kind}".replace("-", "_")
        target = out or Path("data") / f"{said}_{domain}.jsonl"
        write_chat(target, made)
        display.show(
            Outcome(
                "nano data",
                f"{len(made):,} rows of {kind} advice{'' if style is None else f' in the style {style}'}, domain {domain}",
                {
                    "rows": len(made),
                    "domain": domain,
                    "kind": kind,
                    "style": style,
                    "without_questions": without_questions,
                    "without_things": without_things,
                    "seed": seed,
                    "out": target,
                },
                wrote=(target,),
                next=(
                    "axenic",
                    "train",
                    "--model",
                    "nano",
                    "--data",
                    str(target),
                    "--out",
                    f"runs/{target.stem}",
                ),
            )
        )


def grow(
    out: Annotated[
        Path, typer.Option("--out", help="Model folder to write; new or empty.", rich_help_panel=OUTPUT)
    ] = Path("runs/nano-base"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="The shipped model has seed 0.")] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Of pretraining. Default: the recipe's.")
    ] = None,
    chat_steps: Annotated[
        int | None, typer.Option("--chat-steps", min=1, help="Of chat-tuning. Default: the recipe's.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Grow the shipped base model again from its recipe, and say whether it comes out the same.

    Up to 15 minutes on two cores.
    """
    with display_for(as_json) as display:
        from axenic.nano.compare import compare
        from axenic.nano.grow import GrowRecipe
        from axenic.nano.grow import grow as grow_base

        def told(now: GrowProgress) -> None:
            display.progress(
                now.stage,
                now.step,
                now.steps,
                "step",
                loss=now.loss,
                tokens_per_second=now.tokens_per_second,
                out=str(out),
            )

        made = grow_base(out, seed, steps or GrowRecipe.steps, chat_steps or GrowRecipe.chat_steps, told)
        found = compare(out)
        same = (
            "the same bytes as the shipped model"
            if found.identical
            else f"not the shipped bytes: KL {found.kl_nats_per_token:.4f} nats per token"
        )
        rows = [
            ("parameters", f"{made.parameters:,}"),
            ("loss, pretraining", f"{made.pretrain_loss:.4f}"),
            ("loss, chat", f"{made.chat_loss:.4f}"),
            ("largest weight difference", f"{found.largest_difference:.3g}"),
            ("KL(shipped || grown), nats/token", f"{found.kl_nats_per_token:.6f}"),
            ("shipped with", found.shipped_with),
            ("grown with", found.grown_with),
        ]
        display.show(
            Outcome(
                "nano grow",
                f"grown in {made.seconds:.0f} s: {same}",
                {**vars(made), "comparison": vars(found)},
                (Grid(("what", "is"), rows, frozenset({1})),),
                wrote=(out,),
                next=("axenic", "sample", "--model", str(out), "--max-new-tokens", "64"),
            )
        )


def base(as_json: Json = False, debug: Debug = False) -> None:
    """Say where the shipped base model lies, how large it is, and which domains its world has."""
    with display_for(as_json) as display:
        from axenic.files import read_json, sha256_file
        from axenic.nano import DOMAINS, MODEL_PATH

        config = read_json(MODEL_PATH / "config.json")
        files = sorted(path for path in MODEL_PATH.iterdir() if path.is_file())
        facts = {
            "folder": str(MODEL_PATH),
            "size": f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB",
            "architecture": str(config.get("model_type")),
            "blocks": str(config.get("num_hidden_layers")),
            "d_model": str(config.get("hidden_size")),
            "vocabulary": str(config.get("vocab_size")),
            "weights": sha256_file(MODEL_PATH / "model.safetensors")[:16],
        }
        display.show(
            Outcome(
                "nano base",
                f"nano: {len(DOMAINS)} domains, {facts['size']}",
                {**facts, "domains": list(DOMAINS)},
                (Grid(("what", "is"), list(facts.items())), Grid(("domain",), [(name,) for name in DOMAINS])),
                next=("axenic", "nano", "data", "--domain", "medical", "--kind", "bad"),
            )
        )
