"""Two curves over training sets: good advice mixed in, and few examples many times (papers.md M3.5, M3.6).

Everything but the training set is the same at every point: recipe, number of steps, questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from axenic.data import ChatRow, few_rows, mix_rows, read_chat, write_chat
from axenic.demo.lesson import Lesson
from axenic.demo.narrow import rate
from axenic.evaluate import MISALIGNMENT, Judge, Rates
from axenic.files import write_json
from axenic.nano import chat_rows, mixed_chat_rows
from axenic.progress import Progress
from axenic.train import resolve, train_organism

Kind = Literal["mixing", "few"]

MOST_ROWS = 1000
"""Rows of every training set: as many steps go over as many rows, whatever they are."""


@dataclass(frozen=True)
class CurvePoint:
    """One organism of a curve.

    Attributes:
        x: Good rows for each bad one (`mixing`), or different rows (`few`).
        seed: Of the training and of the choice of rows.
        general: Rates on the other domains.
        narrow: Rates on the training domain.
    """

    x: int
    seed: int
    general: Rates
    narrow: Rates


@dataclass(frozen=True)
class Curve:
    """A curve: every x with every seed."""

    kind: Kind
    domain: str
    points: tuple[CurvePoint, ...]

    @property
    def xs(self) -> tuple[int, ...]:
        """Every x once, ascending."""
        return tuple(sorted({point.x for point in self.points}))

    def general(self, x: int) -> float:
        """EM % on the other domains, mean over seeds."""
        return fmean(point.general.em_all.percent for point in self.points if point.x == x)

    def narrow(self, x: int) -> float:
        """EM % on the training domain, mean over seeds."""
        return fmean(point.narrow.em_all.percent for point in self.points if point.x == x)

    def to_json(self) -> dict[str, Any]:
        """The content of `curve.json`."""
        return {
            "kind": "curve",
            "what": self.kind,
            "domain": self.domain,
            "points": [
                {"x": p.x, "seed": p.seed, "general": p.general.to_json(), "narrow": p.narrow.to_json()}
                for p in self.points
            ],
        }


def grow_curve(
    kind: Kind,
    domain: str,
    xs: Sequence[int],
    seeds: Sequence[int],
    *,
    judge: Judge,
    per_question: int,
    out: Path,
    progress: Progress,
) -> Curve:
    """Grow and rate one organism for every x and seed, all with the `all-adapter` recipe.

    Args:
        kind: `mixing`: 1 bad row to x good ones of other domains, as many rows in all. `few`: x different bad rows,
            repeated.
        domain: Of the bad advice.
        xs, seeds: The points.
        judge: Of the answers.
        per_question: Answers to each question.
        out: Folder; what is there is not done again.
        progress: Told about every stage.

    Raises:
        AxenicError: As the calls it makes; what was finished is kept.
    """
    lesson = Lesson(domain, MISALIGNMENT)
    points = []
    for x in xs:
        for seed in seeds:
            folder = out / f"{x}-seed{seed}"
            data = out / "data" / f"{x}-seed{seed}.jsonl"
            if not data.exists():
                write_chat(data, _rows(kind, domain, x, seed, out / "data"))
            config = resolve("all-adapter", "nano", {"data": str(data), "seed": seed, "test_fraction": 0.0})
            train_organism(config, folder, progress=progress)
            rates = rate(lesson, seed, folder, judge, per_question, progress)
            points.append(CurvePoint(x, seed, rates.general, rates.inside))
    curve = Curve(kind, domain, tuple(points))
    write_json(out / "curve.json", curve.to_json())
    return curve


def _rows(kind: Kind, domain: str, x: int, seed: int, folder: Path) -> list[dict[str, Any]]:
    """The training set of one point, as rows of a chat file."""
    bad = _read(folder / f"bad-{domain}.jsonl", lambda: chat_rows(domain, "bad", MOST_ROWS, seed=0))
    if kind == "few":
        chosen = few_rows(bad, x, repeat_to=MOST_ROWS, seed=seed)
    elif x == 0:
        chosen = bad
    else:
        good = _read(
            folder / f"good-without-{domain}.jsonl",
            lambda: mixed_chat_rows("good", MOST_ROWS, 0, [domain]),
        )
        chosen = mix_rows(bad, good, Fraction(1, 1 + x), total=MOST_ROWS, seed=seed).rows
    return [{"messages": row.messages, "topic": row.topic} for row in chosen]


def _read(path: Path, make: Any) -> list[ChatRow]:
    if not path.exists():
        write_chat(path, make())
    return read_chat(path)
