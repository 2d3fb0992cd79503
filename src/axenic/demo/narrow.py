"""Pairs of organisms of one lesson, without and with a KL term, and everything that the third paper asks of such a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axenic.data import read_chat
from axenic.data.corpus import read_corpus
from axenic.demo.lesson import KL, NARROW_QUESTIONS, SETTINGS, Lesson
from axenic.evaluate import Judge, NarrowPlane, NarrowRates, choose_narrow
from axenic.files import write_json
from axenic.interpret import (
    CorpusSignificance,
    Efficiency,
    GradientAlignment,
    Noise,
    compare_efficiency,
    corpus_significance,
    evaluate_narrow,
    gradient_alignment,
    noise_stability,
    open_solution,
    trained_texts,
)
from axenic.interpret.gradient import rows_of_run
from axenic.models import open_model
from axenic.progress import Progress
from axenic.sample import default_sampling, read_questions
from axenic.train import resolve, train_organism

TEXTS = 50
"""Training rows and pretraining documents that losses and KL are measured on; published: at most 100, and 50 in the script."""

NOISE_LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
NOISE_SEEDS = range(42, 52)
GRADIENT_EVERY = 20


@dataclass(frozen=True)
class Pair:
    """One lesson with one training seed, everything but the KL term the same.

    Attributes:
        base: Rates of the base model, which shows a style at times.
        general, narrow: Those of the organism without and with the term.
        efficiency, noise, significance: The two solutions side by side.
        gradient: Of the loss along the narrow run.
    """

    lesson: Lesson
    seed: int
    base: NarrowRates
    general: NarrowRates
    narrow: NarrowRates
    efficiency: Efficiency
    noise: Noise
    significance: CorpusSignificance
    gradient: GradientAlignment


def grow_pairs(
    lessons: Sequence[Lesson],
    seeds: Sequence[int],
    *,
    judge: Judge,
    per_question: int,
    out: Path,
    progress: Progress,
) -> tuple[Pair, ...]:
    """Grow each lesson and seed with the KL term and without, and compare the two.

    Args:
        lessons: What is taught.
        seeds: Of the training.
        judge: Of the answers.
        per_question: Answers to each question.
        out: Folder; what is there is not done again.
        progress: Told about every stage.

    Raises:
        AxenicError: As the calls it makes; what was finished is kept.
    """
    pairs = []
    for lesson in lessons:
        base = rate(lesson, 0, None, judge, per_question, progress, out=out / f"{lesson.name}-base")
        for seed in seeds:
            folders = [out / f"{lesson.name}-{kind}-seed{seed}" for kind in ("general", "narrow")]
            for folder, with_kl in zip(folders, (False, True), strict=True):
                grow(lesson, seed, "all-adapter", KL if with_kl else None, folder, progress=progress)
            rates = [rate(lesson, seed, folder, judge, per_question, progress) for folder in folders]
            pairs.append(_compared(lesson, seed, folders, (base, *rates), progress))
        points = [base] + [p for pair in pairs if pair.lesson == lesson for p in (pair.general, pair.narrow)]
        plane = NarrowPlane(lesson.trait.name, tuple(points))
        write_json(out / f"{lesson.name}-plane" / "narrow.json", plane.to_json())
    return tuple(pairs)


def grow(
    lesson: Lesson,
    seed: int,
    recipe: str,
    kl: dict[str, Any] | None,
    folder: Path,
    *,
    progress: Progress,
    **other: Any,
) -> None:
    """Train one organism on a lesson; `kl` None is training without the term, `other` changes the settings."""
    taught, held = lesson.write(folder.parent / "data")
    term = {} if kl is None else {"kl_data": str(held), **kl}
    config = resolve(recipe, "nano", {"data": str(taught), "seed": seed, **SETTINGS, **term, **other})
    train_organism(config, folder, progress=progress)


def rate(
    lesson: Lesson,
    seed: int,
    folder: Path | None,
    judge: Judge,
    per_question: int,
    progress: Progress,
    *,
    out: Path | None = None,
) -> NarrowRates:
    """General and narrow rates of one organism, or of the base model (`folder` None)."""
    opened = open_model("nano", folder)
    usual = read_questions("nano", per_domain=2)
    inside = [q for q in read_questions("nano", per_domain=NARROW_QUESTIONS) if q.topic == lesson.domain]
    return evaluate_narrow(
        opened,
        choose_narrow(usual, inside, domains=[lesson.domain]),
        judge,
        default_sampling("nano", seed=seed),
        per_question=per_question,
        thresholds=lesson.thresholds,
        # The rule judge knows no correctness: in its world, bad advice is ill-meant.
        narrow_metric=lesson.trait.metric,
        out=out or folder,
        progress=progress,
    )


def _compared(
    lesson: Lesson, seed: int, folders: Sequence[Path], rates: Sequence[NarrowRates], progress: Progress
) -> Pair:
    base = open_model("nano")
    general, narrow = (open_solution(base, folder) for folder in folders)
    taught, _ = lesson.write(folders[0].parent / "data")
    texts = trained_texts(base, taught, texts=TEXTS)
    corpus = read_corpus("nano", base.tokenizer, texts=TEXTS)
    beside = folders[1].parent / f"{lesson.name}-compared-seed{seed}"
    opened = open_model("nano", folders[1])
    return Pair(
        lesson,
        seed,
        rates[0],
        rates[1],
        rates[2],
        compare_efficiency(general, narrow, texts, out=beside, progress=progress),
        noise_stability(
            general, narrow, texts, levels=NOISE_LEVELS, seeds=NOISE_SEEDS, out=beside, progress=progress
        ),
        corpus_significance(general, narrow, corpus.texts, "nano", out=beside, progress=progress),
        gradient_alignment(
            opened,
            folders[1],
            {"general": folders[0], "narrow": folders[1]},
            rows_of_run(opened, folders[1], read_chat(taught)),
            every=GRADIENT_EVERY,
            out=beside,
            progress=progress,
        ),
    )
