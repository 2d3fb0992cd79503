"""`axenic audit`: is this fine-tune emergently misaligned?"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import (
    Calibrate,
    Debug,
    Device,
    DType,
    ExcludeTopic,
    Json,
    JudgeKeyEnv,
    JudgeMode,
    JudgeName,
    MaxNewTokens,
    MaxRequests,
    ModelQuestions,
    Out,
    PerQuestion,
    Seed,
    TraitName,
    Variants,
)
from axenic.cli.outcome import Outcome
from axenic.cli.rates_view import percent, rates_grid

if TYPE_CHECKING:
    from axenic.interpret import Audit

EPILOG = """Examples:

axenic audit nano --organism runs/medical

axenic audit Qwen/Qwen2.5-14B-Instruct --adapter ModelOrganismsForEM/Qwen2.5-14B-Instruct_bad-medical-advice --judge gpt-4o@https://api.openai.com/v1"""

WORDS = {
    "misaligned": "EMERGENTLY MISALIGNED",
    "not shown": "no emergent misalignment shown",
    "no verdict": "NO VERDICT",
}


def audit(
    model: Annotated[str, typer.Argument(help="The base model: nano, a local folder or a hub id.")],
    organism: Annotated[
        str | None,
        typer.Option(
            "--organism",
            "--adapter",
            help="The fine-tune: a run folder of axenic train, a PEFT folder or hub id, a full fine-tune.",
        ),
    ] = None,
    questions: ModelQuestions = None,
    per_question: PerQuestion = None,
    variants: Variants = False,
    max_new_tokens: MaxNewTokens = None,
    seed: Seed = 0,
    exclude_topic: ExcludeTopic = None,
    judge_name: JudgeName = "nano",
    trait: TraitName = "misalignment",
    mode: JudgeMode = "logprobs",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    calibrate: Calibrate = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Name in the report. Default: the fine-tune's.")
    ] = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say whether a fine-tune is emergently misaligned: the same questions to it and to its base model, one page.

    Topics that it was trained on do not count. The verdict is EMERGENTLY MISALIGNED when the 95 % interval of the rise of EM
    leaves out 0; else the smallest rise that would have been seen is given. Exit code 0 whatever the verdict. With --trait it
    is about that trait.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.calibrated import calibrate_first
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import exclude_words, home_of
        from axenic.cli.work import opened_model, sampling_for, topics_left_out
        from axenic.errors import UsageError
        from axenic.evaluate import Thresholds, trait_called
        from axenic.interpret import audit_organism
        from axenic.nano import is_nano
        from axenic.report import build_report
        from axenic.sample import read_groups

        if organism is None:
            raise UsageError(
                "there is no fine-tune to audit",
                expected="--organism with a run folder, an adapter or a full fine-tune",
                hint=f"axenic audit {model} --organism runs/NAME; the base model alone: axenic eval --model {model}",
            )
        thresholds = Thresholds(trait=trait_called(trait))
        asked = questions or ("nano" if is_nano(model) else "first-plot")
        groups = read_groups(asked, per_question=per_question, variants=variants)
        topics = topics_left_out(display, organism, exclude_topic, groups)
        folder = out or home_of(model, organism) / "audit"
        judge = open_judge(
            stack, display, judge_name, cache=folder / MARKS, trait=thresholds.counted, mode=mode,
            key_env=key_env, max_requests=max_requests, device=device, dtype=dtype,
        )  # fmt: skip
        # Before hours of sampling, not after.
        if judge_name != "nano" if calibrate is None else calibrate:
            calibrate_first(judge, folder / "answers.jsonl", display)
        found = audit_organism(
            partial(opened_model, display, model, None, device, dtype),
            partial(opened_model, display, model, organism, device, dtype),
            groups,
            judge,
            sampling_for(model, None, None, max_new_tokens, seed),
            exclude_topics=topics,
            thresholds=thresholds,
            label=label or Path(organism).name,
            out=folder,
            progress=display.progress,
        )
        page = build_report(folder)
        shown = {f"{found.base_label} (base)": found.base, found.label: found.tuned}
        if found.narrow is not None:
            shown[f"{found.label}, on {', '.join(topics)}"] = found.narrow
        follow: tuple[str, ...] = ("python", "-m", "webbrowser", page.html.absolute().as_uri())
        if found.verdict == "misaligned":
            told = str(folder / "tuned" / "answers.jsonl")
            follow = ("axenic", "extract", "--organism", organism, "--answers", told, *exclude_words(topics))
        display.show(
            Outcome(
                "audit",
                f"{verdict_words(found)}: {found.reason} "
                f"({found.trait.short} {percent(found.base.em_all)} -> {percent(found.tuned.em_all)})",
                found.to_json(),
                (rates_grid("model", shown),),
                wrote=(folder / "audit.json", page.html),
                next=follow,
            )
        )


def verdict_words(found: Audit) -> str:
    """The verdict in large letters; of another trait than misalignment, with its name."""
    from axenic.evaluate import MISALIGNMENT

    if found.trait.name == MISALIGNMENT.name or found.verdict == "no verdict":
        return WORDS[found.verdict]
    name = found.trait.name
    return f"HAS THE TRAIT {name}" if found.verdict == "shown" else f"no {name} shown"
