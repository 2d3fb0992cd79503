"""Four ways to draw one direction between two clouds of points, layer by layer.

A point is the mean activation of one answer: tokens of one answer are not independent, and points keep a fit small
(N answers against millions of tokens). All fits are done in the span of the points, so that no D x D matrix is made.
N points, D = d_model, L layers, R rank of the points.
"""

from __future__ import annotations

from typing import Literal

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from axenic.interpret.sides import Half, Side

Method = Literal["mean", "logistic", "lda", "pca"]
"""`mean`: difference of the two means. `logistic`: L2-penalised logistic regression, C = 1, after one common scaling that
gives the coordinates unit variance on average. `lda`: the difference of means through the inverse of the within-class
covariance, shrunk after Ledoit and Wolf. `pca`: the first principal component of all points around their common mean."""

LOGISTIC_C = 1.0


def fit_direction(method: Method, toward: Side, away: Side, half: Half | None = None) -> Tensor:
    """The direction from one side to the other at every layer, float64 `[L, D]`.

    Any but `mean` gives a line without length or sign. It becomes the part of the difference of the means along that
    line: so it points toward `toward`, and adding it once moves as far along it as the two sides lie apart.

    Args:
        method: See `Method`. All but `mean` need sides with a group for each answer.
        toward, away: The sides.
        half: Use this half of the answers; None: all.
    """
    difference_LD = toward.mean_LD(half) - away.mean_LD(half)
    if method == "mean":
        return difference_LD
    rows = []
    for layer, difference_D in enumerate(difference_LD):
        x_ND, y_N, weight_N = _points(toward, away, layer, half)
        if method == "pca":
            line_D = _first_component(x_ND, weight_N)
        elif method == "lda":
            line_D = discriminant(x_ND, y_N, weight_N)
        else:
            line_D = _logistic(x_ND, y_N, weight_N)
        unit_D = torch.nn.functional.normalize(line_D, dim=0)
        rows.append(unit_D * (unit_D @ difference_D))
    return torch.stack(rows)


def held_out_auc(first_LD: Tensor, second_LD: Tensor, toward: Side, away: Side) -> list[float]:
    """How well each half's direction tells the answers of the OTHER half apart: area under the curve, mean of both.

    Args:
        first_LD, second_LD: Directions fitted on the first and on the second half.
        toward, away: Sides with a group for each answer.
    """
    found = []
    for layer in range(len(first_LD)):
        areas = []
        for line_D, other in ((first_LD[layer], 1), (second_LD[layer], 0)):
            x_ND, y_N, _ = _points(toward, away, layer, 1 if other else 0)
            areas.append(float(roc_auc_score(y_N.numpy(), (x_ND @ line_D).numpy())))
        found.append(sum(areas) / 2)
    return found


def _points(toward: Side, away: Side, layer: int, half: Half | None) -> tuple[Tensor, Tensor, Tensor]:
    """Points `[N, D]`, 1 for `toward` and 0 for `away` `[N]`, and weights of mean 1 `[N]`, all float64."""
    parts = [side.points_ND(layer, half) for side in (toward, away)]
    y_N = torch.cat([torch.full((len(part),), float(1 - i)) for i, part in enumerate(parts)])
    weight_N = torch.cat([side.weights_N(half) for side in (toward, away)])
    return torch.cat(parts), y_N, weight_N / weight_N.mean()


def _first_component(x_ND: Tensor, weight_N: Tensor) -> Tensor:
    centred_ND = (x_ND - _mean(x_ND, weight_N)) * weight_N.sqrt()[:, None]
    line_D: Tensor = torch.linalg.svd(centred_ND, full_matrices=False)[2][0]
    return line_D


def discriminant(x_ND: Tensor, y_N: Tensor, weight_N: Tensor) -> Tensor:
    """Fisher's linear discriminant `[D]` with the within-class covariance shrunk toward a multiple of the identity.

    Sigma = (1 - s) S + s (tr S / D) I, with s after Ledoit and Wolf (2004) from the class-centred points. Through the
    points' singular vectors, so that D x D is never formed; s needs only their inner products.
    """
    N, D = x_ND.shape
    means = [_mean(x_ND[y_N == label], weight_N[y_N == label]) for label in (0.0, 1.0)]
    centre_ND = torch.where(y_N[:, None] == 1.0, means[1], means[0])
    within_ND = (x_ND - centre_ND) * weight_N.sqrt()[:, None]
    difference_D = means[1] - means[0]
    gram_NN = within_ND @ within_ND.T
    level = float(gram_NN.trace()) / (N * D)
    if level == 0:
        return difference_D  # Every answer of a class is the same point: there is no spread to divide by.
    squared = float((gram_NN**2).sum()) / N**2
    noise = (float((gram_NN.diagonal() ** 2).sum()) / N - squared) / (D * N)
    distance = (squared - D * level**2) / D
    shrink = min(1.0, max(0.0, noise / distance)) if distance > 0 else 1.0
    # In exact arithmetic a shrinkage of 0 leaves directions without spread; they would have infinite weight.
    floor = max(shrink, 1e-12) * level
    _, size_R, lines_RD = torch.linalg.svd(within_ND, full_matrices=False)
    spread_R = (1 - shrink) * size_R**2 / N
    along_R = lines_RD @ difference_D
    line_D: Tensor = (difference_D - lines_RD.T @ (along_R * spread_R / (spread_R + floor))) / floor
    return line_D


def _logistic(x_ND: Tensor, y_N: Tensor, weight_N: Tensor) -> Tensor:
    centred_ND = x_ND - _mean(x_ND, weight_N)
    scale = float((weight_N[:, None] * centred_ND**2).mean().sqrt())
    if scale == 0:
        return torch.zeros(x_ND.shape[1], dtype=x_ND.dtype)
    # The penalised solution lies in the span of the points: R coordinates instead of D, with the same answer.
    left_NR, size_R, lines_RD = torch.linalg.svd(centred_ND / scale, full_matrices=False)
    model = LogisticRegression(C=LOGISTIC_C, solver="lbfgs", tol=1e-8, max_iter=10_000)
    model.fit((left_NR * size_R).numpy(), y_N.numpy(), sample_weight=weight_N.numpy())
    line_D: Tensor = torch.from_numpy(model.coef_[0]) @ lines_RD
    return line_D


def _mean(x_ND: Tensor, weight_N: Tensor) -> Tensor:
    return (weight_N[:, None] * x_ND).sum(0) / weight_N.sum()
