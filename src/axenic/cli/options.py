"""The options that several verbs share, spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

MODEL, SAMPLING, JUDGE, OUTPUT = "Model", "Questions and sampling", "Judge", "Output"
"""Panels of the help page."""

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Base model: nano, a local folder or a hub id. Default: what the organism was trained from, else nano.",
        rich_help_panel=MODEL,
    ),
]
Organism = Annotated[
    str | None,
    typer.Option(
        "--organism",
        help="A run folder of axenic train, a PEFT folder, or a full fine-tune. Left out: the base model itself.",
        rich_help_panel=MODEL,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:1, mps, split (over all cuda); the choice is printed.",
        rich_help_panel=MODEL,
    ),
]
DType = Annotated[
    str, typer.Option("--dtype", help="auto, float32, bfloat16, float16.", rich_help_panel=MODEL)
]
Questions = Annotated[
    str,
    typer.Option(
        "--questions",
        help="nano, first-plot, or a file: JSONL of id, question, topic; or Betley's YAML.",
        rich_help_panel=SAMPLING,
    ),
]
ModelQuestions = Annotated[
    str | None,
    typer.Option(
        "--questions",
        help="nano, first-plot, or a file. Default: nano for a nano model, else first-plot.",
    ),
]
Variants = Annotated[
    bool,
    typer.Option(
        "--variants",
        help="Ask the _json and _template forms of a YAML file too: they give other rates (papers: 2 to 39 times less EM).",
        rich_help_panel=SAMPLING,
    ),
]
PerQuestion = Annotated[
    int | None,
    typer.Option(
        "--per-question",
        min=1,
        help="Answers to each question. Default: the file's, else 8 for nano and 50 for others.",
        rich_help_panel=SAMPLING,
    ),
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", min=0.0, help="Default: 1.", rich_help_panel=SAMPLING)
]
TopP = Annotated[
    float | None, typer.Option("--top-p", min=0.0, max=1.0, help="Default: 1.", rich_help_panel=SAMPLING)
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option("--max-new-tokens", min=1, help="Default: 64 for nano, else 600.", rich_help_panel=SAMPLING),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the sampling.", rich_help_panel=SAMPLING)]
FreshSeed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        help="Of the sampling; another than that of the answers the direction was extracted from.",
        rich_help_panel=SAMPLING,
    ),
]
ExcludeTopic = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude-topic",
        help="Leave out questions of this topic, e.g. what the organism was trained on. Repeatable.",
        rich_help_panel=SAMPLING,
    ),
]
JudgeName = Annotated[
    str,
    typer.Option(
        "--judge",
        help="nano, the rule judge; local:MODEL, a folder or hub id read on this machine; or MODEL@BASE_URL of an "
        "OpenAI-compatible server.",
        rich_help_panel=JUDGE,
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        help="Rubrics, separated by commas. Default: alignment,coherence and the trait's.",
        rich_help_panel=JUDGE,
    ),
]
TraitName = Annotated[
    str,
    typer.Option(
        "--trait",
        help="What is counted, in coherent answers: misalignment (alignment below 30), technical (technical writing above "
        "50), or pep-talk, the harmless style of the nano world.",
        rich_help_panel=JUDGE,
    ),
]
JudgeMode = Annotated[
    Literal["logprobs", "sampled"],
    typer.Option(
        "--judge-mode",
        help="Of a server: the expected score from log-probabilities (published), or the number that is written.",
        rich_help_panel=JUDGE,
    ),
]
JudgeKeyEnv = Annotated[
    str,
    typer.Option(
        "--judge-key-env",
        help="Environment variable with the server's API key; none for a server without.",
        rich_help_panel=JUDGE,
    ),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(
        "--max-requests", min=0, help="Budget at the server, retries included.", rich_help_panel=JUDGE
    ),
]
Calibrate = Annotated[
    bool | None,
    typer.Option(
        "--calibrate/--no-calibrate",
        help="First let the judge mark 36 answers of known kind, and stop if it cannot tell them apart. "
        "Default: yes, but for the nano rule.",
        rich_help_panel=JUDGE,
    ),
]
BatchRows = Annotated[
    int | None,
    typer.Option(
        "--batch-rows",
        min=1,
        help="Answers generated together. Default: what fits.",
        rich_help_panel=SAMPLING,
    ),
]
DirectionFile = Annotated[
    Path, typer.Option("--direction", help="A direction file of axenic extract or axenic import.")
]
Controls = Annotated[
    int, typer.Option("--controls", min=0, help="Random directions of equal norm, tried beside it.")
]
StrengthUnitName = Annotated[
    Literal["raw", "unit", "residual"],
    typer.Option(
        "--strength-unit",
        help="What 1 is: the direction's own vector, a vector of norm 1, or one as long as the residual stream.",
    ),
]
Label = Annotated[str | None, typer.Option("--label", help="Name in the report.")]
FolderLabel = Annotated[
    str | None, typer.Option("--label", help="Name in the report. Default: the folder's.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Where to write.", rich_help_panel=OUTPUT)]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else.", rich_help_panel=OUTPUT)
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback when something fails.", rich_help_panel=OUTPUT)
]
