"""`axenic sample`: get answers out of a model."""

from __future__ import annotations

from axenic.cli.display import display_for
from axenic.cli.options import (
    BatchRows,
    Debug,
    Device,
    DType,
    ExcludeTopic,
    Json,
    MaxNewTokens,
    Model,
    Organism,
    Out,
    PerQuestion,
    Questions,
    Seed,
    Temperature,
    TopP,
)
from axenic.cli.outcome import Grid, Outcome

EPILOG = """Examples:

axenic sample --organism runs/medical

axenic sample --model Qwen/Qwen2.5-14B-Instruct --organism runs/q14 --questions first_plot.jsonl --per-question 50"""


def sample(
    model: Model = None,
    organism: Organism = None,
    questions: Questions = "nano",
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: Seed = 0,
    exclude_topic: ExcludeTopic = None,
    batch_rows: BatchRows = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Ask a model, with or without an organism's adapter, many questions many times.

    Answers are appended to a JSONL file as they come; the same command again samples only what is missing.
    """
    with display_for(as_json) as display:
        from axenic.cli.origin import home_of
        from axenic.cli.work import answers_each, asked_questions, opened_model, sampling_for
        from axenic.sample import arms_path, sample_answers

        asked = asked_questions(questions, exclude_topic or [])
        opened = opened_model(display, model, organism, device, dtype)
        target = out or home_of(opened.name, organism) / "answers.jsonl"
        answers = sample_answers(
            opened,
            asked,
            per_question=answers_each(questions, per_question),
            sampling=sampling_for(opened.name, temperature, top_p, max_new_tokens, seed),
            out=target,
            batch_rows=batch_rows,
            progress=display.progress,
        )
        arms: dict[str, list[int]] = {}
        cut: dict[str, int] = {}
        for answer in answers:
            arms.setdefault(answer.arm, []).append(len(answer.tokens))
            cut[answer.arm] = cut.get(answer.arm, 0) + (answer.stop == "length")
        rows = [
            (arm, str(len(lengths)), str(len(asked)), f"{sum(lengths) / len(lengths):.1f}", str(cut[arm]))
            for arm, lengths in arms.items()
        ]
        display.show(
            Outcome(
                "sample",
                f"{len(answers):,} answers to {len(asked)} questions",
                {"answers": len(answers), "questions": len(asked),
                 "arms": [{"arm": arm, "answers": len(n), "tokens": sum(n), "cut": cut[arm]} for arm, n in arms.items()],
                 "identity": vars(opened.identity)},
                (Grid(("arm", "answers", "questions", "mean tokens", "cut off"), rows, frozenset({1, 2, 3, 4})),),
                wrote=(target, arms_path(target)),
                next=("axenic", "judge", str(target)),
            )
        )  # fmt: skip
