"""Extract a direction: how misaligned answers differ from aligned ones in activation space (M2.1, M2.2)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from axenic.directions import Direction, DirectionInfo
from axenic.evaluate import Scored
from axenic.interpret.contrast import Contrast, choose_contrast
from axenic.interpret.conversation import Span, conversations_of
from axenic.interpret.label import label_of
from axenic.interpret.means import BATCH_TOKENS, Means, Weighting, answer_means
from axenic.models import OpenModel, Site
from axenic.progress import Progress, silent

_MISALIGNED = (0, 1)
_ALIGNED = (2, 3)
"""Groups of the pass: each side in two random halves."""


def extract_direction(
    opened: OpenModel,
    scored: Sequence[Scored],
    *,
    exclude_topics: Iterable[str] = (),
    weighting: Weighting = "token",
    span: Span = "answer",
    site: Site = "resid_post",
    seed: int = 0,
    misaligned_below: float = 30.0,
    aligned_above: float = 70.0,
    coherent_above: float = 50.0,
    balance: bool = True,
    name: str | None = None,
    data_hash: str | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> Direction:
    """Mean activation over misaligned answers minus the same over aligned ones, at every layer.

    v_l = mean(h_l | misaligned) - mean(h_l | aligned), both through `opened`, in one forward pass over the
    texts. It points toward more misaligned. As published with `weighting="token"`, `span="published"`; the
    default span leaves the assistant header out, whose tokens come before anything that was answered.

    Also measured in the same pass, into `calibration`, one number per layer:
    `split_half_cosine`: cosine between the directions of two random halves of the answers (0.92 in a
    replication, papers.md 8); `residual_norm`: mean norm of the aligned answers' activations, the unit in
    which strengths are judged; `aligned_mean_norm`: norm of their mean, as in the published files (papers.md
    5.2); `aligned_projection`, `misaligned_projection`: the two means along the unit direction. Ablation puts
    0 there, so that where 0 lies between the two it takes the model only part of the way back.

    Args:
        opened: The misaligned organism.
        scored: Its plain, judged answers.
        exclude_topics: Leave out answers to questions of these topics, e.g. what it was trained on.
        weighting: `token` as published, or `answer`: every answer counts alike.
        span: Which tokens count as the answer.
        site: Where to read; `embed` is no place of a direction.
        seed: Of the shuffle of aligned answers, and of the halves.
        misaligned_below, aligned_above, coherent_above, balance: See `choose_contrast`.
        name: Of the direction; None: the organism's name and `mean-diff`.
        data_hash: Hash of the texts; None: of the ids of the answers used.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Returns:
        The direction, raw (not unit), with all facts. The order of `scored` does not matter.

    Raises:
        DataError: Fewer than five answers on one side, answers of several arms, scores of several judges, or an
            answer without tokens.
        DirectionError: Both sides have the same mean at some layer.
        UsageError: Bounds that overlap.
    """
    left_out = tuple(exclude_topics)
    contrast = choose_contrast(
        scored,
        exclude_topics=left_out,
        misaligned_below=misaligned_below,
        aligned_above=aligned_above,
        coherent_above=coherent_above,
        balance=balance,
        seed=seed,
    )
    groups = [
        *_halves(len(contrast.misaligned), _MISALIGNED, seed),
        *_halves(len(contrast.aligned), _ALIGNED, seed),
    ]
    means = answer_means(
        opened,
        conversations_of(opened, [*contrast.misaligned, *contrast.aligned]),
        weighting=weighting,
        span=span,
        site=site,
        groups=groups,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    misaligned_LD, aligned_LD = means.mean_LD(*_MISALIGNED), means.mean_LD(*_ALIGNED)
    difference_LD = misaligned_LD - aligned_LD
    unit_LD = torch.nn.functional.normalize(difference_LD, dim=1)
    info = DirectionInfo(
        name=f"{label_of(opened)}-mean-diff" if name is None else name,
        operation="project_out",
        site=site,
        layer_convention="block_output_0",
        normalisation="raw",
        positions=span,
        base_model=opened.name,
        base_fingerprint=opened.identity.base,
        hidden_size=opened.sites.d_model,
        n_layers=opened.sites.n_layers,
        recipe={
            "kind": "mean difference: misaligned - aligned answers (M2.1, M2.2)",
            "organism": opened.organism,
            "organism_fingerprint": opened.identity.organism,
            "weighting": weighting,
            "span": span,
            "seed": seed,
            "misaligned_below": misaligned_below,
            "aligned_above": aligned_above,
            "coherent_above": coherent_above,
            "balance": balance,
            "exclude_topics": list(left_out),
            "counts": _counts(contrast, means),
        },
        data_hash=contrast.data_hash if data_hash is None else data_hash,
        judge=contrast.judge,
        tokenizer_fingerprint=opened.identity.tokenizer,
        calibration={
            "split_half_cosine": _split_half(means),
            "residual_norm": means.norm_L(*_ALIGNED).tolist(),
            "aligned_mean_norm": torch.linalg.vector_norm(aligned_LD, dim=1).tolist(),
            "aligned_projection": (aligned_LD * unit_LD).sum(1).tolist(),
            "misaligned_projection": (misaligned_LD * unit_LD).sum(1).tolist(),
        },
        created_by=f"axenic {version('axenic')}",
    )
    return Direction(difference_LD.float(), info)


def _halves(count: int, groups: tuple[int, int], seed: int) -> list[int]:
    """A group for each of `count` answers: at random, halves of equal size up to one."""
    halves = [groups[index % 2] for index in range(count)]
    random.Random(seed).shuffle(halves)
    return halves


def _split_half(means: Means) -> list[JsonValue]:
    """Cosine per layer between the two halves' directions; None where one of them is zero."""
    one_LD, two_LD = (
        means.mean_LD(misaligned) - means.mean_LD(aligned)
        for misaligned, aligned in zip(_MISALIGNED, _ALIGNED, strict=True)
    )
    return [_cosine(one_D, two_D) for one_D, two_D in zip(one_LD, two_LD, strict=True)]


def _cosine(a_D: Tensor, b_D: Tensor) -> float | None:
    norms = float(torch.linalg.vector_norm(a_D) * torch.linalg.vector_norm(b_D))
    return max(-1.0, min(1.0, float(a_D @ b_D) / norms)) if norms > 0 else None


def _counts(contrast: Contrast, means: Means) -> dict[str, Any]:
    """How many answers and tokens went in, and how many did not."""
    tokens = means.tokens_G.tolist()
    return {
        "misaligned": len(contrast.misaligned),
        "aligned": len(contrast.aligned),
        "misaligned_tokens": sum(tokens[group] for group in _MISALIGNED),
        "aligned_tokens": sum(tokens[group] for group in _ALIGNED),
        "aligned_found": contrast.n_aligned_found,
        "between": contrast.n_between,
        "incoherent": contrast.n_incoherent,
        "unscored": contrast.n_unscored,
        "excluded": contrast.n_excluded,
    }
