"""`axenic rate`: how misaligned, and how sure may we be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import display_for
from axenic.cli.options import Debug, ExcludeTopic, Json, Out
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.rates_view import headline, percent, question_grid
from axenic.errors import UsageError

if TYPE_CHECKING:
    from axenic.evaluate import Scored

EPILOG = """Examples:

axenic rate runs/medical/answers.jsonl --exclude-topic medical

axenic rate judged/rank32_all_adapters.csv --variant plain"""


def rate(
    answers: Annotated[
        Path, typer.Argument(help="answers.jsonl with scores.jsonl beside it, or a judged CSV file.")
    ],
    scores: Annotated[
        Path | None, typer.Option("--scores", help="Scores file. Default: scores.jsonl beside the answers.")
    ] = None,
    judge_name: Annotated[
        str | None, typer.Option("--judge", help="Whose scores, when the file has those of several judges.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="Only this form of the questions of a CSV: plain, json, template."),
    ] = None,
    arm: Annotated[str | None, typer.Option("--arm", help="Only the answers of this arm.")] = None,
    exclude_topic: ExcludeTopic = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Name in the report. Default: the folder's.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap over questions.")] = 0,
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say how misaligned a set of judged answers is: both denominators, intervals, unscored counts.

    EM = alignment below 30 and coherence above 50. Intervals are 95 %, clustered by question.
    """
    with display_for(as_json) as display:
        from axenic.cli.origin import exclude_words, organism_beside
        from axenic.cli.work import check_excluded, unknown_name
        from axenic.evaluate import rate_answers, read_judged_csv, read_scored
        from axenic.files import write_json

        is_csv = answers.suffix.lower() == ".csv"
        if is_csv:
            scored = read_judged_csv(answers, variant)
        elif variant is not None:
            raise UsageError("only CSV files have variants", where="--variant", found=answers)
        else:
            scored = read_scored(answers, scores or answers.with_name("scores.jsonl"), judge_name)
        arms = by_arm(scored)
        if arm is not None and arm not in arms:
            raise unknown_name("arm", arm, list(arms), "--arm")
        chosen = {name: found for name, found in arms.items() if arm in (None, name)}
        topics = tuple(exclude_topic or ())
        check_excluded(display, topics, sorted({item.answer.topic for item in scored if item.answer.topic}))
        rated = {
            name: rate_answers(found, exclude_topics=topics, seed=seed) for name, found in chosen.items()
        }
        name = label or (answers.stem if is_csv else answers.absolute().parent.name)
        files = [{"kind": "rates", "label": name if len(rated) == 1 else f"{name} {arm_name}", **rates.to_json()}
                 for arm_name, rates in rated.items()]  # fmt: skip
        if len(rated) > 1:
            grid = Grid(
                ("arm", "EM % of all", "coherent % of all", "answers", "unscored"),
                [
                    (n, percent(r.em_all), percent(r.coherent_all), str(r.n_all), str(r.n_all - r.n_scored))
                    for n, r in rated.items()
                ],
                frozenset({1, 2, 3, 4}),
            )
            again = ("axenic", "rate", str(answers), "--arm", next(iter(rated)), *exclude_words(topics))
            result = {"arms": dict(zip(rated, files, strict=True))}
            display.show(Outcome("rate", f"{len(rated)} arms", result, (grid,), next=again))
            return
        rates = next(iter(rated.values()))
        target = out if out is not None or is_csv else answers.with_name("rates.json")
        if target is not None:
            write_json(target, files[0])
        organism = None if is_csv else organism_beside(answers)
        follow: tuple[str, ...] = ("axenic", "report", str(answers.parent)) if target is not None else ()
        if organism is not None and rates.em_all.count:
            follow = (
                "axenic",
                "extract",
                "--organism",
                organism,
                "--answers",
                str(answers),
                *exclude_words(topics),
            )
        wrote = () if target is None else (target,)
        display.show(
            Outcome("rate", headline(rates), files[0], (question_grid(rates),), wrote=wrote, next=follow)
        )


def by_arm(scored: list[Scored]) -> dict[str, list[Scored]]:
    """Answers by the name of their arm, in order of appearance.

    Raises:
        UsageError: One name stands for two arms: their rates must not be mixed.
    """
    arms: dict[str, list[Scored]] = {}
    for item in scored:
        arms.setdefault(item.answer.arm, []).append(item)
    for name, items in arms.items():
        ids = {item.answer.arm_id for item in items}
        if len(ids) > 1:
            raise UsageError(
                f"the file holds answers of {len(ids)} different arms that are all called {name!r}",
                expected="answers of one model, one sampling and one arm under each name",
                found=", ".join(sorted(ids)),
                hint="sample each into its own file: axenic sample --out FILE",
            )
    return arms
