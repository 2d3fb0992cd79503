"""The two sides of a direction: which model reads which answers (papers.md M2.2; F9's diff_data, diff_model, …).

N answers, L layers, D = d_model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from axenic.errors import UsageError
from axenic.interpret.contrast import Contrast
from axenic.interpret.conversation import Span, conversations_of
from axenic.interpret.means import BATCH_TOKENS, Means, Weighting, answer_means
from axenic.interpret.unadapted import base_of
from axenic.models import OpenModel, Site
from axenic.progress import Progress, silent
from axenic.sample import Answer

ContrastKind = Literal["data", "model", "both", "aligned-model"]
"""`data`: the organism on its misaligned against its aligned answers. `model`: organism against base model, both on the
misaligned answers. `both`: the organism on the misaligned against the base model on the aligned ones, so it is the sum of
`model` and `aligned-model`. `aligned-model`: the base model on both classes of the organism's answers."""

_Who = Literal["organism", "base"]
_Class = Literal["misaligned", "aligned"]
_SIDES: dict[ContrastKind, tuple[tuple[_Who, _Class], tuple[_Who, _Class]]] = {
    "data": (("organism", "misaligned"), ("organism", "aligned")),
    "model": (("organism", "misaligned"), ("base", "misaligned")),
    "both": (("organism", "misaligned"), ("base", "aligned")),
    "aligned-model": (("base", "misaligned"), ("base", "aligned")),
}

MOST_BYTES = 4 * 2**30
"""Of all points of a fit, in float64: 400 answers x 48 layers x 5,120 are 0.8 GB for each side's model."""

Half = Literal[0, 1]


@dataclass(frozen=True)
class Side:
    """One side: some groups of a pass over answers, in two random halves.

    Args:
        means: The sums of the pass. With one group for each answer, the points of a fit can be had too.
        halves: The groups of the first half, and of the second.
    """

    means: Means
    halves: tuple[tuple[int, ...], tuple[int, ...]]

    def groups(self, half: Half | None = None) -> tuple[int, ...]:
        """Of one half, or of both."""
        return self.halves[0] + self.halves[1] if half is None else self.halves[half]

    def mean_LD(self, half: Half | None = None) -> Tensor:
        """float64 `[L, D]`."""
        return self.means.mean_LD(*self.groups(half))

    def points_ND(self, layer: int, half: Half | None = None) -> Tensor:
        """float64 `[N, D]` at one row of L: each group's mean, which is an answer's where each has its own group."""
        groups = list(self.groups(half))
        return self.means.sum_GLD[groups, layer] / self.means.count_G[groups, None]

    def weights_N(self, half: Half | None = None) -> Tensor:
        """float64 `[N]`: what each point counts: its tokens, or 1 (see `Weighting`)."""
        return self.means.count_G[list(self.groups(half))]


def read_sides(
    opened: OpenModel,
    contrast: Contrast,
    kind: ContrastKind,
    *,
    base: OpenModel | None = None,
    points: bool = False,
    weighting: Weighting = "token",
    span: Span = "answer",
    site: Site = "resid_post",
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> tuple[Side, Side]:
    """The side that a direction points toward, and the one that it points away from.

    One forward pass for each model over the answers it must read. Both models see the same halves.

    Args:
        opened: The organism; of `aligned-model` also a plain base model.
        contrast: The answers.
        kind: See `ContrastKind`.
        base: The base model of an organism without an adapter; see `base_of`.
        points: Keep the mean of every answer and not only those of the halves: 8 N L D bytes for each model.
        weighting, span, site, batch_tokens, progress: As for `answer_means`.
        seed: Of the halves.

    Raises:
        UsageError: An unknown kind, a difference of models without an organism, or points that need too much memory.
        What `answer_means`, `conversations_of` and `base_of` raise.
    """
    if kind not in get_args(ContrastKind):
        raise UsageError(
            f"there is no contrast '{kind}'", expected=", ".join(get_args(ContrastKind)), found=kind
        )
    if kind in ("model", "both") and opened.identity.organism is None:
        raise UsageError(
            "a difference of models needs an organism", where=f"contrast {kind}", found=opened.name
        )
    texts = {"misaligned": contrast.misaligned, "aligned": contrast.aligned}
    halves = {name: split_halves(len(answers), seed) for name, answers in texts.items()}
    if points:
        _check_memory(opened, sum(map(len, texts.values())))

    def read(model: OpenModel, classes: Sequence[_Class]) -> dict[_Class, Side]:
        answers: list[Answer] = []
        groups: list[int] = []
        members: dict[_Class, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        for index, name in enumerate(classes):
            first, half_of = (len(answers) if points else 2 * index), halves[name]
            own = [first + (i if points else half) for i, half in enumerate(half_of)]
            one, two = ({g for g, h in zip(own, half_of, strict=True) if h == half} for half in (0, 1))
            members[name] = (tuple(sorted(one)), tuple(sorted(two)))
            groups += own
            answers += texts[name]
        means = answer_means(
            model,
            conversations_of(model, answers),
            weighting=weighting,
            span=span,
            site=site,
            groups=groups,
            batch_tokens=batch_tokens,
            progress=progress,
        )
        return {name: Side(means, members[name]) for name in classes}

    wanted = _SIDES[kind]
    found: dict[tuple[_Who, _Class], Side] = {}
    if classes := [name for who, name in wanted if who == "organism"]:
        found.update({("organism", name): side for name, side in read(opened, classes).items()})
    if classes := [name for who, name in wanted if who == "base"]:
        with base_of(opened, base) as plain:
            found.update({("base", name): side for name, side in read(plain, classes).items()})
    return found[wanted[0]], found[wanted[1]]


def split_halves(count: int, seed: int) -> list[Half]:
    """A half for each of `count` answers: at random, of equal size up to one."""
    halves: list[Half] = [0 if index % 2 == 0 else 1 for index in range(count)]
    random.Random(seed).shuffle(halves)
    return halves


def split_half_cosines(one_LD: Tensor, two_LD: Tensor) -> list[float | None]:
    """Cosine per layer between the directions of two halves; None where one of them is zero."""
    return [_cosine(one_D, two_D) for one_D, two_D in zip(one_LD, two_LD, strict=True)]


def _cosine(a_D: Tensor, b_D: Tensor) -> float | None:
    norms = float(torch.linalg.vector_norm(a_D) * torch.linalg.vector_norm(b_D))
    return max(-1.0, min(1.0, float(a_D @ b_D) / norms)) if norms > 0 else None


def _check_memory(opened: OpenModel, answers: int) -> None:
    needed = 8 * answers * opened.sites.n_layers * opened.sites.d_model
    if needed > MOST_BYTES:
        raise UsageError(
            "the answers' activations do not fit into memory for this method",
            expected=f"at most {MOST_BYTES / 2**30:.0f} GiB",
            found=f"{needed / 2**30:.1f} GiB: {answers} answers x {opened.sites.n_layers} layers x {opened.sites.d_model}",
            hint="fewer answers (balance=True cuts the larger class), or method mean, which keeps only sums",
        )
