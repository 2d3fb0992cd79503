"""What a path looks like: norms, local cosine, principal components, comp score (papers.md M1.5-M1.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from axenic.errors import DataError
from axenic.interpret.vectorpath import Reals, VectorPath

Demean = Literal["step", "checkpoints"]
Layout = Literal["rows", "columns"]


@dataclass(frozen=True)
class LocalCosine:
    """The local cosine with one window.

    Attributes:
        window: k, in steps.
        steps: Every step t for which t - k and t + k are stored too.
        values: -1 straight on, 0 a right angle, 1 straight back; None where the vector moved too little.
        displacements: The larger of ‖v_{t-k} - v_t‖ and ‖v_{t+k} - v_t‖, in the vector's units.
    """

    window: int
    steps: tuple[int, ...]
    values: tuple[float | None, ...]
    displacements: tuple[float, ...]


@dataclass(frozen=True)
class PcaPath:
    """The path in the plane (or space) in which it varies most.

    Attributes:
        explained: Share of the variance over checkpoints of each component, in 0 to 1, falling.
        points: `[S][components]`, in the vector's units; of each component the point that is farthest out
            is positive, since the sign of a component has no meaning.
    """

    explained: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]


def path_norms(path: VectorPath) -> tuple[float, ...]:
    """The norm at each step, in the vector's units (papers.md M1.5)."""
    return tuple(np.linalg.norm(path.coordinates_SR, axis=1).tolist())


def local_cosine(
    path: VectorPath, window: int, *, threshold: float = 0.0, partner: VectorPath | None = None
) -> LocalCosine:
    """Local cosine similarity of *Model Organisms for EM*, appendix F (papers.md M1.6).

    With a = v_{t-k} - v_t and b = v_{t+k} - v_t it is cos(a, b): both displacements start at the present
    point, so that a straight path gives -1 and a right angle 0. With forward displacements every value would
    change its sign.

    Args:
        path: Points on the even grid are used; a last one that comes early is not.
        window: k, in steps: a multiple of the path's spacing.
        threshold: A point is dropped when max(‖a‖, ‖b‖) is below it. The paper: 0.0035 for medical, 0.002 for
            Llama, sport and finance, in the units of B. Where nothing moved a point is always dropped.
        partner: The other factor (A for B): as in the authors' code a point is then dropped only when both
            have moved too little.

    Raises:
        DataError: A window or partner that does not fit the path, or a threshold below 0.
    """
    if threshold < 0:
        raise DataError("a displacement cannot be below 0", expected="a threshold >= 0", found=threshold)
    points = path.points_of(window)
    cosines_T, moved_T = bend(path.coordinates_SR[: path.n_grid], points)
    far_T = moved_T
    if partner is not None:
        if not np.array_equal(partner.steps_S, path.steps_S):
            raise DataError(
                "two factors have other steps", where=partner.name, expected=f"the steps of {path.name}"
            )
        far_T = np.maximum(moved_T, bend(partner.coordinates_SR[: path.n_grid], points)[1])
    kept_T = (far_T >= threshold) & np.isfinite(cosines_T)
    return LocalCosine(
        window,
        tuple(path.steps_S[points : path.n_grid - points].tolist()),
        tuple(
            value if kept else None for value, kept in zip(cosines_T.tolist(), kept_T.tolist(), strict=True)
        ),
        tuple(moved_T.tolist()),
    )


def bend(points_SR: Reals, k: int) -> tuple[Reals, Reals]:
    """Local cosine `[..., S - 2k]` and larger displacement of points `[..., S, R]`; NaN where nothing moved."""
    # a = -moves[t - k] and b = moves[t]: one array of displacements serves both.
    moves_SR = points_SR[..., k:, :] - points_SR[..., :-k, :]
    back, ahead = moves_SR[..., :-k, :], moves_SR[..., k:, :]
    dot = np.einsum("...sr,...sr->...s", back, ahead)
    size = np.sqrt(np.einsum("...sr,...sr->...s", moves_SR, moves_SR))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.clip(-dot / (size[..., :-k] * size[..., k:]), -1.0, 1.0)
    return cosine, np.maximum(size[..., :-k], size[..., k:])


def pca_path(path: VectorPath, components: int = 2) -> PcaPath:
    """Principal components of the checkpoints as rows, centred and not scaled (papers.md M1.7).

    Raises:
        DataError: The vector never moves, or there are not so many components.
    """
    most = min(path.vectors_SD.shape)
    if not 1 <= components <= most:
        raise DataError(
            "there are not so many components", where=path.name, expected=f"1 to {most}", found=components
        )
    centred_SR = path.coordinates_SR - path.coordinates_SR.mean(axis=0)
    left_SR, sizes_R, _ = np.linalg.svd(centred_SR, full_matrices=False)
    scale = float(np.abs(path.coordinates_SR).max())
    if sizes_R[0] <= 1e-14 * scale or scale == 0:
        raise DataError("a path does not move", where=path.name, expected="vectors that differ")
    points_SC = left_SR[:, :components] * sizes_R[:components]
    for column_S in points_SC.T:
        far_S = np.abs(column_S)
        # The first of those that are farthest out, or rounding would choose between two equal ones.
        if column_S[np.argmax(far_S >= (1 - 1e-9) * far_S.max())] < 0:
            column_S *= -1
    shares = sizes_R**2 / np.sum(sizes_R**2)
    return PcaPath(tuple(shares[:components].tolist()), tuple(map(tuple, points_SC.tolist())))


def comp_score(
    paths: Sequence[VectorPath], *, demean: Demean = "step", layout: Layout = "rows"
) -> tuple[float | None, ...]:
    """How like its end a set of N adapters is at each step, ‖M_t^T M_T‖_F / (‖M_t‖_F ‖M_T‖_F) (papers.md M1.9).

    Read it relative to its last value, √(Σσ⁴)/Σσ² over the singular values σ of M_T: 1 for rank 1 only.

    Args:
        paths: One vector of each adapter, all of one size and at the same steps.
        demean: `step` (paper): the mean over adapters is taken off at each step, which needs two or more.
            `checkpoints` (released code): each adapter's mean over its checkpoints is taken off.
        layout: `rows` (paper and code): M is `[N, D]`. This one does not see a rotation of all adapters
            together, and is 1 for a single adapter. `columns`: M is `[D, N]`, which measures agreement of
            directions.

    Returns:
        `[S]`, in 0 to 1; None where M_t or M_T is zero.

    Raises:
        DataError: No paths, one path with `step`, or paths of other sizes or steps.
    """
    fewest = 2 if demean == "step" else 1
    if len(paths) < fewest:
        raise DataError(
            "a comp score needs more adapters", expected=f"{fewest} or more ({demean})", found=len(paths)
        )
    first = paths[0]
    for path in paths:
        same = path.vectors_SD.shape == first.vectors_SD.shape
        if not same or not np.array_equal(path.steps_S, first.steps_S):
            raise DataError(
                "adapters of one comp score have other sizes or steps",
                where=path.name,
                expected=f"{list(first.vectors_SD.shape)} at the steps of {first.name}",
                found=list(path.vectors_SD.shape),
            )
    all_SND = np.stack([path.vectors_SD for path in paths], axis=1).astype(np.float64)
    all_SND -= all_SND.mean(axis=1 if demean == "step" else 0, keepdims=True)
    last_ND = all_SND[-1]
    if layout == "rows":
        # ‖M_t^T M_T‖_F² = tr(M_t M_t^T · M_T M_T^T): N x N and never D x D.
        own_SNN = all_SND @ all_SND.transpose(0, 2, 1)
        top_S = np.sqrt(np.maximum(np.einsum("snm,nm->s", own_SNN, own_SNN[-1]), 0.0))
    else:
        top_S = np.linalg.norm(all_SND @ last_ND.T, axis=(1, 2))
    below_S = np.linalg.norm(all_SND, axis=(1, 2)) * np.linalg.norm(last_ND)
    return tuple(
        top / below if below > 0 else None
        for top, below in zip(top_S.tolist(), below_S.tolist(), strict=True)
    )
