"""Significance: how much a solution of a given norm moves what the base model says about ordinary text (P3, papers.md M3.10).

`significance.py` beside this is another thing: which tokens of an answer matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from axenic.data import Encoded
from axenic.errors import UsageError
from axenic.files import write_json
from axenic.interpret.armresult import parse_result, plain_lists
from axenic.interpret.efficiency import check_pair
from axenic.interpret.setting import Setting
from axenic.interpret.settings import BATCH_TOKENS, measure
from axenic.interpret.settingsums import Counts, Floats
from axenic.interpret.solution import Solution
from axenic.interpret.textmean import TextMean, text_means
from axenic.progress import Progress, silent

FILE, SUMS = "significance.json", "significance.jsonl"
SHARES = tuple(step / 5 for step in range(1, 11))
"""Norms unless told: 20 to 200 % of the mean norm of the two solutions."""
RANDOM = 5


@dataclass(frozen=True)
class KLPoint:
    """Mean KL(base || with the solution) at one effective norm, nats per token."""

    norm: float
    kl: TextMean


@dataclass(frozen=True)
class KLCurve:
    """One solution over norms.

    Attributes:
        name: Of the solution.
        role: `random` is the control: of the first solution's shape.
        seed: Of a random one; None for the mean of all random ones and for others.
        own: The solution as it was trained; None for random ones.
        points: By norm.
    """

    name: str
    role: Literal["general", "narrow", "random"]
    seed: int | None
    own: KLPoint | None
    points: tuple[KLPoint, ...]


@dataclass(frozen=True)
class CorpusSignificance:
    """What `corpus_significance` found.

    Attributes:
        corpus: What it was measured on.
        texts, tokens: How much of it.
        general, narrow: The curves; None where there is one solution only.
        random: Each random one.
        random_mean: Their mean at each norm; None without random ones.
        difference: general minus narrow at each norm, paired over texts.
        above_random: general minus the random mean at each norm, paired over texts.
    """

    corpus: str
    texts: int
    tokens: int
    general: KLCurve
    narrow: KLCurve | None
    random: tuple[KLCurve, ...]
    random_mean: KLCurve | None
    difference: tuple[KLPoint, ...]
    above_random: tuple[KLPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields with `"kind": "corpus_significance"`."""
        return {"kind": "corpus_significance", **plain_lists(asdict(self))}

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. Raises `DataError`."""
        return parse_result(cls, "corpus_significance", row)


def corpus_significance(
    general: Solution,
    narrow: Solution | None,
    texts: Sequence[Encoded],
    corpus: str,
    *,
    norms: Sequence[float] | None = None,
    random: int = RANDOM,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
    out: Path | None = None,
    progress: Progress = silent,
) -> CorpusSignificance:
    """Mean KL per token of one or two solutions and of random ones at the same norms.

    Args:
        general: The first solution; random ones have its shape.
        narrow: Another one of the same base model, or None.
        texts: Of a corpus; all of their tokens count.
        corpus: Its name, for the result.
        norms: Effective norms above 0; None: see `SHARES`.
        random: How many random solutions; seeds 0, 1, ...
        seed: Of the bootstrap over texts.
        batch_tokens: As for `measure`.
        out: A folder for the result and for what resumes it.
        progress: Told after every batch.

    Raises:
        UsageError: A norm that is not above 0 or comes twice, fewer than 0 random ones, or solutions of two base models.
    """
    check_pair(general, narrow)
    both = [general] if narrow is None else [general, narrow]
    mean = sum(solution.norm for solution in both) / len(both)
    chosen = [share * mean for share in SHARES] if norms is None else sorted(norms)
    if not chosen or min(chosen) <= 0 or len(set(chosen)) < len(chosen) or random < 0:
        raise UsageError(
            "significance cannot be measured at these norms",
            expected="norms above 0, each once, and 0 or more random solutions",
            found=f"{chosen}, {random} random",
        )
    file = None if out is None else out / SUMS
    per_N: dict[str, Floats] = {}

    def run(settings: list[Setting]) -> Counts:
        found = measure(
            settings[0].solution, settings, texts, batch_tokens=batch_tokens, out=file, progress=progress
        )
        assert found.kl_NK is not None
        per_N.update((setting.id, found.kl_NK[:, k]) for k, setting in enumerate(settings))
        return found.kl_tokens_N

    def curve(role: Literal["general", "narrow", "random"], name: str, settings: list[Setting]) -> KLCurve:
        own = settings[0].solution.scaled(1) if role != "random" else None
        return KLCurve(
            name,
            role,
            settings[0].seed,
            None if own is None else _points([own.norm], per_N[own.id][:, None], tokens_N, seed)[0],
            _points(chosen, _columns(settings, per_N), tokens_N, seed),
        )

    controls = [[general.random(number, norm) for norm in chosen] for number in range(random)]
    at = [[solution.at_norm(norm) for norm in chosen] for solution in both]
    tokens_N = run([general.scaled(1), *at[0], *(setting for control in controls for setting in control)])
    if narrow is not None:
        run([narrow.scaled(1), *at[1]])
    main = _columns(at[0], per_N)
    mean_NK = np.mean([_columns(control, per_N) for control in controls], axis=0) if controls else None
    result = CorpusSignificance(
        corpus=corpus,
        texts=len(texts),
        tokens=int(tokens_N.sum()),
        general=curve("general", general.name, at[0]),
        narrow=None if narrow is None else curve("narrow", narrow.name, at[1]),
        random=tuple(curve("random", f"random {s[0].seed}", s) for s in controls),
        random_mean=None
        if mean_NK is None
        else KLCurve("mean of random", "random", None, None, _points(chosen, mean_NK, tokens_N, seed)),
        difference=()
        if narrow is None
        else _points(chosen, main, tokens_N, seed, minus_NK=_columns(at[1], per_N)),
        above_random=() if mean_NK is None else _points(chosen, main, tokens_N, seed, minus_NK=mean_NK),
    )
    if out is not None:
        write_json(out / FILE, result.to_json())
    return result


def _columns(settings: Sequence[Setting], per_N: dict[str, Floats]) -> Floats:
    return np.column_stack([per_N[setting.id] for setting in settings])


def _points(
    norms: Sequence[float], sums_NK: Floats, tokens_N: Counts, seed: int, *, minus_NK: Floats | None = None
) -> tuple[KLPoint, ...]:
    means = text_means(sums_NK, tokens_N, seed, minus_NK=minus_NK)
    return tuple(KLPoint(norm, mean) for norm, mean in zip(norms, means, strict=True))
