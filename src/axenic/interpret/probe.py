"""Can two classes of tokens be told apart by their adapter scalars? L1 logistic regression (papers.md M2.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split

from axenic.errors import DataError, UsageError

Split = Literal["token", "answer"]
Reals = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]

TEST_SHARE = 0.2
PENALTY_C = 0.01
"""Inverse strength of the L1 penalty; both as published."""

_SCORES: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy_score,
    # A probe that never says the second class has no precision: 0, as the authors' scores have it.
    "precision": partial(precision_score, zero_division=0),
    "recall": partial(recall_score, zero_division=0),
    "f1": partial(f1_score, zero_division=0),
}


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over repeats."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Probe:
    """What a probe found.

    Attributes:
        split: `token`: as published, tokens of one answer lie on both sides, so that the probe may know the answer by heart.
            `answer`: no token of a test answer is trained on.
        repeats: Draws of the balanced subsample.
        n_per_class: Tokens of each class before the split.
        scores: `accuracy`, `precision`, `recall`, `f1`, `auc` on the test part, for the second class.
        coefficients: Of each adapter, per standard deviation of its scalar; the intercept is left out.
    """

    split: Split
    repeats: int
    n_per_class: int
    scores: dict[str, Spread]
    coefficients: tuple[Spread, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        plain = asdict(self)
        plain["coefficients"] = list(plain["coefficients"])
        return {"kind": "probe", **plain}


def probe_classes(
    first_TA: Reals,
    second_TA: Reals,
    rng: np.random.Generator,
    *,
    split: Split = "token",
    first_answers_T: Ids | None = None,
    second_answers_T: Ids | None = None,
    repeats: int = 100,
) -> Probe:
    """Tell tokens of the second class from those of the first.

    Each repeat draws as many tokens of the larger class as the smaller has, takes a fifth as the test part, and fits by
    liblinear with C = 0.01. With `token` the scalars are z-scored before the split and the split itself is the same in every
    repeat, as in the released code; with `answer` a fifth of the answers is drawn anew and the training part alone is z-scored.

    Args:
        first_TA, second_TA: Scalars `[tokens, adapters]`, in the adapters' units.
        rng: Of the subsamples and splits; the caller's own.
        split: See `Probe`.
        first_answers_T, second_answers_T: Which answer each token is of; needed for `answer`. The two numberings are separate.
        repeats: At least 1.

    Raises:
        DataError: Classes of other widths, without two tokens, not finite, or (for `answer`) too few answers.
        UsageError: No repeats, or `answer` without the answers.
    """
    _check(first_TA, second_TA, repeats)
    grouped = first_answers_T is not None and second_answers_T is not None
    if split == "answer" and not grouped:
        raise UsageError(
            "a split by answer needs to know the answers", expected="an answer id for each token"
        )
    n = min(len(first_TA), len(second_TA))
    found: dict[str, list[float]] = {name: [] for name in (*_SCORES, "auc")}
    weights = []
    for _ in range(repeats):
        rows = [rng.permutation(len(part))[:n] for part in (first_TA, second_TA)]
        x_TA: Reals = np.concatenate([first_TA[rows[0]], second_TA[rows[1]]]).astype(np.float64)
        y_T = np.repeat([0, 1], n)
        if split == "token":
            x_TA = _z_scored(x_TA, x_TA)[0]
            train, test = train_test_split(
                np.arange(2 * n), test_size=TEST_SHARE, random_state=0, stratify=y_T
            )
            x_train, x_test = x_TA[train], x_TA[test]
        else:
            assert first_answers_T is not None
            assert second_answers_T is not None
            held = np.concatenate(
                [
                    _held_out(ids[kept], rng)
                    for ids, kept in zip((first_answers_T, second_answers_T), rows, strict=True)
                ]
            )
            train, test = np.flatnonzero(~held), np.flatnonzero(held)
            x_train, x_test = _z_scored(x_TA[train], x_TA[test])
        model = LogisticRegression(
            l1_ratio=1.0,
            C=PENALTY_C,
            solver="liblinear",
            max_iter=1000,
            random_state=int(rng.integers(2**31)),
        )
        model.fit(x_train, y_T[train])
        said = model.predict(x_test)
        for name, score in _SCORES.items():
            found[name].append(float(score(y_T[test], said)))
        found["auc"].append(float(roc_auc_score(y_T[test], model.decision_function(x_test))))
        weights.append(model.coef_[0])
    weights_RA = np.array(weights)
    return Probe(
        split,
        repeats,
        n,
        {name: _spread(np.array(values)) for name, values in found.items()},
        tuple(_spread(column_R) for column_R in weights_RA.T),
    )


def _check(first_TA: Reals, second_TA: Reals, repeats: int) -> None:
    if repeats < 1:
        raise UsageError("a probe needs repeats", expected="1 or more", found=repeats)
    for name, part in (("first", first_TA), ("second", second_TA)):
        if part.ndim != 2 or len(part) < 10 or part.shape[1] != first_TA.shape[1]:
            raise DataError(
                f"the {name} class cannot be probed",
                expected="10 or more tokens with one scalar for each adapter, as many in both classes",
                found=f"{list(first_TA.shape)} and {list(second_TA.shape)}",
            )
        if not np.isfinite(part).all():
            raise DataError(f"the {name} class has scalars that are not finite")


def _z_scored(train_TA: Reals, other_TA: Reals) -> tuple[Reals, Reals]:
    """Both in standard deviations of the first; an adapter that never changes stays at 0."""
    centre_A, size_A = train_TA.mean(axis=0), train_TA.std(axis=0)
    size_A = np.where(size_A > 0, size_A, 1.0)
    return (train_TA - centre_A) / size_A, (other_TA - centre_A) / size_A


def _held_out(ids_T: Ids, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """True at the tokens of a fifth of the answers."""
    answers = np.unique(ids_T)
    if len(answers) < 5:
        raise DataError("too few answers to hold some out", expected="5 or more", found=len(answers))
    chosen = rng.permutation(answers)[: max(1, round(TEST_SHARE * len(answers)))]
    return np.isin(ids_T, chosen)


def _spread(values_R: Reals) -> Spread:
    return Spread(float(values_R.mean()), float(values_R.std()))
