"""What goes into a page that must stay small enough to mail: which pictures, and which answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from axenic.report.samples import Sample, SampleFile, choose
from axenic.report.section import Section

_T = TypeVar("_T")

MOST_FIGURE_BYTES = 1_150_000
"""Of all pictures together; the rest of the page is for tables, answers and the record."""

SLACK_BYTES = 20_000
"""What more the pictures give up than is missing, so that the next try fits."""

FEW_SAMPLES = 45
"""Answers that stay in the page before pictures go."""

MOST_SAMPLES = 360
MOST_ARMS_OF_A_FILE = 6
MOST_ARMS = 48
"""In the sample browser: answers, arms of one file, arms in all."""


@dataclass(frozen=True)
class ArmSamples:
    """Answers of one arm that are shown, and a note about how many there are."""

    name: str
    note: str
    samples: list[Sample]


@dataclass(frozen=True)
class FileSamples:
    """The arms of one file. `first` is true for the first file of the page, whose first arm is unfolded."""

    name: str
    judges: str
    arms: list[ArmSamples]
    first: bool


def fit_figures(sections: Sequence[Section], most_bytes: int = MOST_FIGURE_BYTES) -> list[Section]:
    """The sections with as many pictures as fit: the last of the section with most goes first.

    Pictures of a kind that the section has shown before (of files with the same name) go before the first of a kind. What
    goes is named in `left_out`. A section keeps its first picture.
    """
    fitted = list(sections)
    while sum(_bytes(section) for section in fitted) > most_bytes:
        index = max(range(len(fitted)), key=lambda i: (*_spare(fitted[i])[1:], _bytes(fitted[i])))
        section = fitted[index]
        at, has_more, _ = _spare(section)
        if not has_more:
            break
        left_out = tuple(dict.fromkeys((*section.figures[at].source, *section.left_out)))
        kept = (*section.figures[:at], *section.figures[at + 1 :])
        fitted[index] = replace(section, figures=kept, left_out=left_out)
    return fitted


def _spare(section: Section) -> tuple[int, bool, bool]:
    """Which picture a section would give, whether it has more than one, and whether that one repeats a kind."""
    kinds = [tuple(Path(name).name for name in figure.source) for figure in section.figures]
    repeated = [at for at, kind in enumerate(kinds) if kind in kinds[:at]]
    at = repeated[-1] if repeated else len(kinds) - 1
    return at, len(kinds) > 1, bool(repeated)


def choose_samples(files: Mapping[str, SampleFile], wanted: int) -> list[FileSamples]:
    """About `wanted` answers, as many of each arm, from arms spread evenly over every file, without chance."""
    arms = [
        (name, arm, samples)
        for name, file in files.items()
        for arm, samples in spread(list(file.by_arm().items()), MOST_ARMS_OF_A_FILE)
    ]
    arms = spread(arms, MOST_ARMS)
    share = wanted // len(arms) if arms else 0
    if not share:
        return []
    shown: dict[str, list[ArmSamples]] = {}
    for name, arm, samples in arms:
        chosen = choose(samples, max(4, share))
        em = sum(sample.verdict == "em" for sample in samples)
        note = f"{len(chosen)} of {len(samples)} answers; {em} misaligned and coherent"
        shown.setdefault(name, []).append(ArmSamples(arm or "unnamed", note, chosen))
    return [
        FileSamples(name, ", ".join(files[name].judges), parts, first=index == 0)
        for index, (name, parts) in enumerate(shown.items())
    ]


def spread(items: list[_T], most: int) -> list[_T]:
    """At most `most` of them, evenly spread, the first kept."""
    return items if len(items) <= most else [items[i * len(items) // most] for i in range(most)]


def _bytes(section: Section) -> int:
    drawings = [figure.drawing for figure in section.figures if figure.drawing is not None]
    maps = [figure.tokens.encode() for figure in section.figures if figure.tokens is not None]
    return sum(len(drawing.wide) + len(drawing.narrow) for drawing in drawings) + sum(map(len, maps))
