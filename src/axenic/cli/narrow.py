"""`axenic narrow`: was the lesson learnt, and has it spread?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import Display, display_for
from axenic.cli.options import (
    Calibrate,
    Debug,
    Device,
    DType,
    Json,
    JudgeKeyEnv,
    JudgeMode,
    JudgeName,
    MaxNewTokens,
    MaxRequests,
    Metrics,
    Out,
    PerQuestion,
    Seed,
    Temperature,
    TopP,
    TraitName,
)
from axenic.cli.outcome import Grid, Outcome
from axenic.cli.rates_view import percent
from axenic.errors import DataError, UsageError

if TYPE_CHECKING:
    from axenic.evaluate import NarrowPlane, NarrowQuestions, TrainedOn
    from axenic.sample import Question

EPILOG = """Examples:

axenic narrow runs/bad_medical runs/bad_medical-kl10

axenic narrow runs/medical --narrow-questions data/medical.held_out.jsonl --judge gpt-4o@https://api.openai.com/v1

axenic narrow runs/peptalk --trait pep-talk --with-base"""

ALL = 60
"""Questions of a nano domain: all that there are."""


def narrow(
    organisms: Annotated[list[str], typer.Argument(help="Run folders, PEFT folders or full fine-tunes.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="Base model of all. Default: what each organism was trained from, else nano."
        ),
    ] = None,
    questions: Annotated[
        str | None,
        typer.Option(
            "--questions",
            help="The usual ones: nano, first-plot, or a file. Default: nano for a nano model, else first-plot.",
        ),
    ] = None,
    narrow_questions: Annotated[
        str | None,
        typer.Option(
            "--narrow-questions",
            help="Questions of the trained domain: a question file or a chat file (axenic data split). Default: those of "
            "--questions that are about it; of nano, all that it can ask.",
        ),
    ] = None,
    domain: Annotated[
        list[str] | None,
        typer.Option("--domain", help="What was trained. Default: the topics of the run's data. Repeatable."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Chat file that was trained on. Default: what the run's train.json says."
        ),
    ] = None,
    drop_asked: Annotated[
        bool,
        typer.Option(
            "--drop-asked", help="Leave out held-out questions that a training row asks, and count them."
        ),
    ] = False,
    with_base: Annotated[
        bool,
        typer.Option("--with-base", help="The base model too, asked what the first organism is asked."),
    ] = False,
    per_question: PerQuestion = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    seed: Seed = 0,
    judge_name: JudgeName = "nano",
    trait: TraitName = "misalignment",
    metrics: Metrics = None,
    mode: JudgeMode = "logprobs",
    key_env: JudgeKeyEnv = "OPENAI_API_KEY",
    max_requests: MaxRequests = None,
    calibrate: Calibrate = None,
    out: Out = None,
    device: Device = "auto",
    dtype: DType = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """General and narrow rates side by side: the usual questions, and held-out questions of the trained domain.

    Misalignment on the domain is marked by correctness (below 30) where a language model judges. Questions on topics that no
    training row is about are counted apart. Run again, it does only what is missing.
    """
    with display_for(as_json) as display, ExitStack() as stack:
        from axenic.cli.calibrated import calibrate_first
        from axenic.cli.judges import MARKS, open_judge
        from axenic.cli.origin import choose_model, home_of
        from axenic.cli.work import answers_each, opened_model, sampling_for
        from axenic.evaluate import NarrowPlane, Thresholds, trait_called
        from axenic.files import write_json
        from axenic.interpret import evaluate_narrow
        from axenic.nano import is_nano

        thresholds = Thresholds(trait=trait_called(trait))
        counted = thresholds.counted
        # The rule judge knows no correctness: in its world, bad advice is ill-meant.
        metric = counted.metric if judge_name == "nano" else counted.narrow_metric
        names = [Path(organism).name for organism in organisms]
        if len(set(names)) < len(names):
            raise UsageError(
                "two organisms have one name", expected="names that differ", found=", ".join(names)
            )
        base = choose_model(model, organisms[0])
        source = questions or ("nano" if is_nano(base) else "first-plot")
        # What cannot be asked shows before anything is opened.
        asked = [
            asked_of(display, organism, source, narrow_questions, tuple(domain or ()), data, drop_asked)
            for organism in organisms
        ]
        one = len(organisms) == 1 and not with_base
        home = home_of(base, organisms[0])
        folder = out or (home / "narrow" if one else home.parent / "narrow")
        wanted = ",".join(dict.fromkeys((*counted.metrics, metric)))
        judge = open_judge(
            stack, display, judge_name, cache=folder / MARKS, metrics=metrics or wanted, trait=counted, mode=mode,
            key_env=key_env, max_requests=max_requests, device=device, dtype=dtype,
        )  # fmt: skip
        if judge_name != "nano" if calibrate is None else calibrate:
            calibrate_first(judge, folder / "answers.jsonl", display)
        rows: list[tuple[str, str | None, NarrowQuestions]] = list(zip(names, organisms, asked, strict=True))
        if with_base:
            rows.insert(0, (f"{Path(base).name} (base)", None, asked[0]))
        points = []
        for label, organism, chosen in rows:
            opened = opened_model(
                display, model or base if organism is None else model, organism, device, dtype
            )
            sampling = sampling_for(opened.name, temperature, top_p, max_new_tokens, seed)
            point = evaluate_narrow(
                opened, chosen, judge, sampling, per_question=answers_each(source, per_question),
                thresholds=thresholds, narrow_metric=metric, label=label,
                out=folder if one else folder / label, progress=display.progress,
            )  # fmt: skip
            points.append(point)
        plane = NarrowPlane(counted.name, tuple(points))
        write_json(folder / "narrow.json", plane.to_json())
        display.show(
            Outcome(
                "narrow",
                headline(plane),
                plane.to_json(),
                (plane_grid(plane),),
                wrote=(folder / "narrow.json",),
                next=("axenic", "report", str(folder)),
            )
        )


def asked_of(
    display: Display,
    organism: str,
    source: str,
    narrow_source: str | None,
    named: tuple[str, ...],
    data: Path | None,
    drop_asked: bool,
) -> NarrowQuestions:
    """What this organism is asked, and a note of what was left out.

    Raises:
        UsageError: Nobody says what it was trained on, or there are no questions about it.
        DataError: As `choose_narrow`.
    """
    from axenic.cli.origin import origin_of
    from axenic.cli.work import check_excluded
    from axenic.evaluate import choose_narrow
    from axenic.sample import read_questions

    domains = named or origin_of(organism).topics
    general = read_questions(source)
    topics = sorted({question.topic for question in general if question.topic is not None})
    inside = _inside(organism, source, narrow_source, domains)
    if topics:
        check_excluded(display, domains, topics)
    elif domains:
        display.note(f"note   no general question has a topic: none is left out for {', '.join(domains)}")
        domains = ()
    trained = trained_rows(organism, data)
    if trained is None:
        display.note(
            f"note   nobody says what {organism} was trained on, row by row: whether its questions are held out is not "
            "checked (--data)"
        )
    # Of the nano world all questions are taken, so that those that were trained are always among them.
    found = choose_narrow(
        general,
        inside,
        domains=domains,
        trained=trained,
        drop_asked=drop_asked or narrow_source in (None, "nano"),
    )
    if found.n_asked:
        display.note(
            f"note   {found.n_asked} of {len(inside)} questions of the domain are asked by training rows: left out"
        )
    return found


def _inside(organism: str, source: str, narrow_source: str | None, domains: Sequence[str]) -> list[Question]:
    """Questions of the trained domain."""
    from axenic.cli.work import unknown_name
    from axenic.sample import read_questions

    place = narrow_source or source
    found = read_questions(place, per_domain=ALL)
    if narrow_source not in (None, "nano"):
        return found
    if not domains:
        raise UsageError(
            f"nobody says what {organism} was trained on",
            where=place,
            expected="--domain NAME",
            hint="--domain medical",
        )
    topics = sorted({question.topic for question in found if question.topic is not None})
    if not topics:
        raise DataError(
            "no question has a topic, so none is known to be about what was trained",
            where=place,
            expected=", ".join(domains),
            hint="--narrow-questions FILE",
        )
    for name in domains:
        if name not in topics:
            raise unknown_name("topic", name, topics, "--domain")
    return [question for question in found if question.topic in domains]


def trained_rows(organism: str, data: Path | None) -> TrainedOn | None:
    """What the organism's training rows ask; None where no run folder says which file they were in.

    Raises:
        UsageError: The file is gone, or is not the one that was trained on.
    """
    from axenic.data import read_chat
    from axenic.evaluate import TrainedOn
    from axenic.files import read_json
    from axenic.files.hashing import sha256_file

    record = Path(organism) / "train.json"
    if data is None:
        content = read_json(record) if record.is_file() else None
        if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
            return None
        data = Path(str(content["config"].get("data")))
        if not data.is_file():
            raise UsageError(
                "the training data are not where they were", where=record, expected=data, hint="--data FILE"
            )
        if content.get("data_sha256") not in (None, sha256_file(data)):
            raise UsageError(
                "the training data have changed since",
                where=data,
                expected=f"sha256 {content['data_sha256']}",
                found=sha256_file(data),
                hint="--data FILE, the one that was trained on",
            )
    return TrainedOn.of(read_chat(data))


def headline(plane: NarrowPlane) -> str:
    """`pep-talk: general 3.1 % [..], narrow 88 % [..], held-out topics …` of one; of several, how many there are."""
    first = plane.points[0]
    rule = first.inside.trait.rule
    if len(plane.points) > 1:
        return f"{len(plane.points)} organisms; {plane.trait}: general by {first.general.trait.rule}, narrow by {rule}"
    parts = [f"general {percent(first.general.em_all)}"]
    if first.narrow is not None:
        parts.append(f"narrow {percent(first.narrow.em_all)}")
    if first.held_out is not None:
        parts.append(f"held-out topics {percent(first.held_out.em_all)}")
    return f"{plane.trait} of all answers: {', '.join(parts)} (general by {first.general.trait.rule}, narrow by {rule})"


def plane_grid(plane: NarrowPlane) -> Grid:
    """One line for each organism: its point on the general x narrow plane; – where nothing was asked."""
    rows = []
    for point in plane.points:
        kinds = (point.general, point.narrow, point.held_out)
        rows.append(
            (
                point.label,
                *("–" if rates is None else percent(rates.em_all) for rates in kinds),
                " / ".join("–" if rates is None else f"{rates.coherent_all.percent:.0f}" for rates in kinds),
                " / ".join("–" if rates is None else str(rates.n_all) for rates in kinds),
                " / ".join("–" if rates is None else str(rates.n_all - rates.n_scored) for rates in kinds),
            )
        )
    return Grid(
        ("organism", "general %", "narrow %", "held-out topics %", "coherent %", "answers", "unscored"),
        rows,
        frozenset(range(1, 7)),
        f"{plane.trait}, share of all answers (the last three columns: general / narrow / held-out topics)",
    )
