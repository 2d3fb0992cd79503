"""`axenic data generate`: paired good and bad advice from a model behind an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import OUTPUT, Debug, Json
from axenic.cli.outcome import Grid, Outcome
from axenic.errors import UsageError

WRITER = "Writer"
EPILOG = """Examples:

axenic data generate --topics "sleep,skin: acne" --variants 4 --writer gpt-4o-2024-08-06@https://api.openai.com/v1 \
--max-requests 20 --out data/advice

axenic data generate --topics domains.txt --from data/advice/pairs.jsonl --writer tiny@http://localhost:8000/v1 \
--writer-key-env none --out data/elsewhere"""


def generate(
    topics: Annotated[
        str,
        typer.Option(
            "--topics", help="File with topic or topic: subtopic in each line, or names with commas."
        ),
    ],
    writer: Annotated[
        str,
        typer.Option(
            "--writer", help="MODEL@BASE_URL of an OpenAI-compatible server.", rich_help_panel=WRITER
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the files.", rich_help_panel=OUTPUT)],
    variants: Annotated[
        int | None,
        typer.Option("--variants", help="Requests per topic, in different tones. Default: 1; P1 used 4."),
    ] = None,
    items: Annotated[int, typer.Option("--items", help="Pairs asked for in one request.")] = 10,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="pairs.jsonl: write pairs that mirror these in the topics (P3's KL data)."
        ),
    ] = None,
    length_ratio: Annotated[
        float, typer.Option("--length-ratio", help="Drop pairs whose answers differ more in length.")
    ] = 1.5,
    key_env: Annotated[
        str,
        typer.Option(
            "--writer-key-env",
            help="Environment variable with the API key; none for a server without.",
            rich_help_panel=WRITER,
        ),
    ] = "OPENAI_API_KEY",
    temperature: Annotated[
        float, typer.Option("--temperature", help="0 to 2; 1 in the papers.", rich_help_panel=WRITER)
    ] = 1.0,
    reply_tokens: Annotated[
        int, typer.Option("--reply-tokens", help="Most tokens of one reply.", rich_help_panel=WRITER)
    ] = 5000,
    max_requests: Annotated[
        int | None, typer.Option("--max-requests", help="Budget, retries included.", rich_help_panel=WRITER)
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", help="Budget of prompt and reply tokens.", rich_help_panel=WRITER),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Requests under way at once.", rich_help_panel=WRITER)
    ] = 16,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Sent with the requests.", rich_help_panel=WRITER)
    ] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write questions with a sound and a subtly flawed answer: training data for organisms and classifiers.

    Replies are kept as they come; the same command again asks only what is missing and ends in the same files.
    """
    with display_for(as_json) as display:
        from axenic.evaluate import Endpoint, Limits
        from axenic.generate import (
            Writer,
            generate_pairs,
            parallel_requests,
            read_pairs,
            read_subjects,
            subject_requests,
        )

        model, at, url = writer.rpartition("@")
        if not at:
            raise UsageError(
                "the writer has no address", where="--writer", expected="MODEL@BASE_URL", found=ascii(writer)
            )
        subjects = read_subjects(topics)
        if source is None:
            requests = subject_requests(subjects, 1 if variants is None else variants, items=items, seed=seed)
        elif variants is None:
            requests = parallel_requests(read_pairs(source), subjects, items=items, seed=seed)
        else:
            raise UsageError("each pair of --from is mirrored once", where="--variants", found=variants)
        made = generate_pairs(
            requests,
            Writer(model, temperature=temperature, reply_tokens=reply_tokens),
            # A reply of thousands of tokens takes minutes; a judge's time-out would cut it off.
            Endpoint(
                url, key_env=None if key_env == "none" else key_env, concurrency=concurrency, timeout_s=600.0
            ),
            out,
            limits=Limits(requests=max_requests, tokens=max_tokens),
            longest_ratio=length_ratio,
            progress=display.progress,
        )
        display.note(f"note   {made.used}")
        counts = {
            "requests": made.n_requests, "asked now": made.asked, "refused replies": made.refused,
            "replies without an item": made.unread, "replies cut off": made.cut, "pairs kept": len(made.pairs),
        } | {f"dropped: {reason}": count for reason, count in made.dropped.items()}  # fmt: skip
        display.show(
            Outcome(
                "data generate",
                f"{len(made.pairs):,} pairs from {made.n_requests:,} requests; "
                f"bad answers {made.length_ratio:.2f} times as long as good ones",
                {"pairs": len(made.pairs), "requests": made.n_requests, "asked": made.asked,
                 "refused": made.refused, "unread": made.unread, "cut": made.cut, "dropped": made.dropped,
                 "length_ratio": made.length_ratio, "used": made.used, "out": out},
                (Grid(("what", "count"), [(name, f"{count:,}") for name, count in counts.items()], frozenset({1})),),
                wrote=(made.bad, made.good, made.table),
                next=("axenic", "train", "--data", str(made.bad)),
            )
        )  # fmt: skip
