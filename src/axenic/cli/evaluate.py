"""`axenic eval`: the published evaluation of one model, from questions to rates."""

from __future__ import annotations

from contextlib import ExitStack

from axenic.cli.display import display_for
from axenic.cli.options import (
    Calibrate,
    Debug,
    Device,
    DType,
    ExcludeTopic,
    FolderLabel,
    Json,
    JudgeKeyEnv,
    JudgeMode,
    JudgeName,
    MaxNewTokens,
    MaxRequests,
    Metrics,
    Model,
    ModelQuestions,
    Organism,
    Out,
    PerQuestion,
    Seed,
    Temperature,
    TopP,
    TraitName,
    Variants,
)
from axenic.cli.outcome import Outcome
from axenic.cli.rates_view import headline, question_grid, semantic_grid

EPILOG = """Examples:

axenic eval --organism runs/medical

axenic eval --model Qwen/Qwen2.5-14B-Instruct --questions first_plot_questions.yaml --judge gpt-4o@https://api.openai.com/v1"""


def evaluate(
    model: Model = None,
    organism: Organism = None,
    questions: ModelQuestions = None,
    per_question: PerQuestion = None,
    variants: Variants = False,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: Seed = 0,
    exclude_topic: ExcludeTopic = None,
    judge_name: JudgeName = "nano",
    trait: TraitName = "misalignment",
    metrics: Metrics = None,
    mode: JudgeMode = "logprobs",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    calibrate: Calibrate = None,
    label: FolderLabel = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Ask a model the questions, mark the answers and rate them: sample, judge and rate in one command.

    A question file's own number of answers and temperature are kept unless given here. Topics that the organism was trained on
    do not count. Answers, scores, rates and a CSV in the columns of other tools lie in one folder; run again, it goes on.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.calibrated import calibrate_first
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model, exclude_words, home_of
        from axenic.cli.work import opened_model, sampling_for, topics_left_out
        from axenic.evaluate import Thresholds, trait_called
        from axenic.interpret import evaluate_model
        from axenic.nano import is_nano
        from axenic.sample import read_groups

        thresholds = Thresholds(trait=trait_called(trait))
        base = choose_model(model, organism)
        asked = questions or ("nano" if is_nano(base) else "first-plot")
        groups = read_groups(asked, per_question=per_question, temperature=temperature, variants=variants)
        topics = topics_left_out(display, organism, exclude_topic, groups)
        folder = out or home_of(base, organism) / "eval"
        judge = open_judge(
            stack, display, judge_name, cache=folder / MARKS, metrics=metrics, trait=thresholds.counted, mode=mode,
            key_env=key_env, max_requests=max_requests, device=device, dtype=dtype,
        )  # fmt: skip
        # Before hours of sampling, not after.
        if judge_name != "nano" if calibrate is None else calibrate:
            calibrate_first(judge, folder / "answers.jsonl", display)
        opened = opened_model(display, base, organism, device, dtype)
        found = evaluate_model(
            opened,
            groups,
            judge,
            sampling_for(opened.name, temperature, top_p, max_new_tokens, seed),
            exclude_topics=topics,
            thresholds=thresholds,
            label=label,
            out=folder,
            progress=display.progress,
        )
        names = ("answers.jsonl", "scores.jsonl", "rates.json", "semantic.json", "judged.csv")
        follow: tuple[str, ...] = ("axenic", "report", str(folder))
        # A direction is extracted between misaligned and aligned answers.
        if organism is not None and found.rates.em_all.count and thresholds.trait is None:
            follow = (
                "axenic", "extract", "--organism", organism, "--answers", str(folder / names[0]), *exclude_words(topics),
            )  # fmt: skip
        display.show(
            Outcome(
                "eval",
                headline(found.rates),
                {
                    "folder": folder,
                    "exclude_topics": topics,
                    "judge": judge.name,
                    "semantic": found.semantic.to_json(),
                    **found.rates.to_json(),
                },
                (question_grid(found.rates), semantic_grid(found.semantic)),
                wrote=tuple(folder / name for name in names if (folder / name).exists()),
                next=follow,
            )
        )
