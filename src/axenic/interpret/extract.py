"""Extract a direction: how misaligned differs from aligned in activation space (M2.1, M2.2, M2.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Literal, TypedDict, Unpack, get_args, overload

import torch
from pydantic import JsonValue
from torch import Tensor

from axenic.directions import Direction, DirectionInfo, Layered, LayerVectors
from axenic.errors import DataError, DirectionError, UsageError
from axenic.evaluate import Scored
from axenic.interpret.about import About
from axenic.interpret.contrast import LEAST, Contrast, choose_contrast
from axenic.interpret.conversation import Span
from axenic.interpret.label import label_of
from axenic.interpret.means import BATCH_TOKENS, Weighting
from axenic.interpret.separate import Method, fit_direction, held_out_auc
from axenic.interpret.sides import ContrastKind, Side, read_sides, split_half_cosines
from axenic.models import OpenModel, Site
from axenic.progress import Progress, silent

KINDS: dict[ContrastKind, str] = {
    "data": "misaligned - aligned answers (M2.1, M2.2)",
    "model": "organism - base model on misaligned answers",
    "both": "organism on misaligned - base model on aligned answers",
    "aligned-model": "misaligned - aligned answers, both through the base model",
}
METHODS: dict[Method, str] = {
    "mean": "mean difference",
    "logistic": "logistic probe",
    "lda": "linear discriminant",
    "pca": "first principal component",
}
_SHORT: dict[Method, str] = {"mean": "mean-diff", "logistic": "logistic", "lda": "lda", "pca": "pca"}


class _Options(TypedDict, total=False):
    """What `extract_direction` takes besides, for the types of what it returns."""

    method: Method
    about: About | None
    exclude_topics: Iterable[str]
    weighting: Weighting
    span: Span
    site: Site
    seed: int
    misaligned_below: float
    aligned_above: float
    coherent_above: float
    balance: bool
    base: OpenModel | None
    name: str | None
    data_hash: str | None
    batch_tokens: int
    progress: Progress


@overload
def extract_direction(
    opened: OpenModel,
    scored: Sequence[Scored],
    *,
    contrast: Literal["data", "both", "aligned-model"] = "data",
    **options: Unpack[_Options],
) -> Direction: ...
@overload
def extract_direction(
    opened: OpenModel, scored: Sequence[Scored], *, contrast: ContrastKind, **options: Unpack[_Options]
) -> Layered: ...
def extract_direction(
    opened: OpenModel,
    scored: Sequence[Scored],
    *,
    contrast: ContrastKind = "data",
    method: Method = "mean",
    about: About | None = None,
    exclude_topics: Iterable[str] = (),
    weighting: Weighting = "token",
    span: Span = "answer",
    site: Site = "resid_post",
    seed: int = 0,
    misaligned_below: float = 30.0,
    aligned_above: float = 70.0,
    coherent_above: float = 50.0,
    balance: bool = True,
    base: OpenModel | None = None,
    name: str | None = None,
    data_hash: str | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress = silent,
) -> Layered:
    """The direction from an aligned to a misaligned side at every layer; by default the published mean difference.

    v_l = mean(h_l | misaligned) - mean(h_l | aligned), both through `opened`, in one forward pass over the
    texts. It points toward more misaligned, as all of them do. As published with `weighting="token"`,
    `span="published"`; the default span leaves the assistant header out, whose tokens come before anything that was
    answered. A model that has read only the prompt cannot know which answer follows: with the spans `question` and
    `prompt-last`, two sides read by one model differ by which questions brought which answers, and by nothing else.

    Also measured in the same passes, into `calibration`, one number per layer:
    `split_half_cosine`: cosine between the directions of two random halves of the answers (0.92 in a
    replication, papers.md 8); `residual_norm`: mean norm of the activations on the aligned side, the unit in
    which strengths are judged; `aligned_mean_norm`: norm of their mean, as in the published files (papers.md
    5.2); `aligned_projection`, `misaligned_projection`: the two means along the unit direction. Ablation puts
    0 there, so that where 0 lies between the two it takes the model only part of the way back.
    `held_out_auc`, of every method but `mean`: how well each half's direction tells the other half's answers apart.
    The aligned side is the one that is subtracted; of the contrast `model` that is the base model.

    Args:
        opened: The misaligned organism; for the contrast `aligned-model` also the plain base model.
        scored: The organism's plain, judged answers.
        contrast: Which model reads which answers; see `ContrastKind`. Published ablations of `model` and `both`
            leave nothing coherent (papers.md 5.3).
        method: How a direction is drawn between the two sides; see `Method` for all and `fit_direction` for length
            and sign. All but `mean` hold the mean of every answer: 8 bytes x answers x layers x width.
        about: Take only answers about one topic, on both sides: a semantic direction (M2.4).
        exclude_topics: Leave out answers to questions of these topics, e.g. what it was trained on.
        weighting: `token` as published, or `answer`: every answer counts alike.
        span: Which tokens are read.
        site: Where to read; `embed` is no place of a direction.
        seed: Of the shuffle of aligned answers, and of the halves.
        misaligned_below, aligned_above, coherent_above, balance: See `choose_contrast`.
        base: The base model, for contrasts that need it and an organism without an adapter (see `base_of`).
        name: Of the direction; None: the organism's name, and contrast and method.
        data_hash: Hash of the texts; None: of the ids of the answers used.
        batch_tokens: Upper bound of a batch's tokens, padding counted.
        progress: Told after every batch.

    Returns:
        The direction, raw (not unit), with all facts. The order of `scored` does not matter. Below its first adapter an
        organism is its base model, and the contrast `model` has no direction there: of such an organism it gives
        `LayerVectors` of the layers from the first adapter up. Calibration keeps one number per layer, None where there
        is no direction.

    Raises:
        DataError: Fewer than five answers on one side, answers of several arms, scores of several judges, or an
            answer without tokens.
        DirectionError: Both sides have the same mean at some layer, and not because no adapter has changed it.
        UsageError: Bounds that overlap, an unknown method, or what `read_sides` refuses.
    """
    if method not in get_args(Method):
        raise UsageError(f"there is no method '{method}'", expected=", ".join(get_args(Method)), found=method)
    left_out = tuple(exclude_topics)
    chosen = choose_contrast(
        scored if about is None else _only(scored, about),
        exclude_topics=left_out,
        misaligned_below=misaligned_below,
        aligned_above=aligned_above,
        coherent_above=coherent_above,
        balance=balance,
        seed=seed,
    )
    toward, away = read_sides(
        opened,
        chosen,
        contrast,
        base=base,
        points=method != "mean",
        weighting=weighting,
        span=span,
        site=site,
        seed=seed,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    vectors_LD = fit_direction(method, toward, away)
    layers = _apart(vectors_LD, contrast, span)
    one_LD, two_LD = fit_direction(method, toward, away, 0), fit_direction(method, toward, away, 1)
    unit_LD = torch.nn.functional.normalize(vectors_LD, dim=1)
    away_LD, toward_LD = away.mean_LD(), toward.mean_LD()
    there = set(layers)
    calibration: dict[str, JsonValue] = {
        "split_half_cosine": list(split_half_cosines(one_LD, two_LD)),
        "residual_norm": away.means.norm_L(*away.groups()).tolist(),
        "aligned_mean_norm": torch.linalg.vector_norm(away_LD, dim=1).tolist(),
        "aligned_projection": _where((away_LD * unit_LD).sum(1).tolist(), there),
        "misaligned_projection": _where((toward_LD * unit_LD).sum(1).tolist(), there),
    }
    if method != "mean":
        calibration["held_out_auc"] = _where(held_out_auc(one_LD, two_LD, toward, away), there)
    info = DirectionInfo(
        name=_name(opened, contrast, method) if name is None else name,
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
            "kind": f"{METHODS[method]}: {KINDS[contrast]}",
            "contrast": contrast,
            "method": method,
            "about": None if about is None else about.to_json(),
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
            "counts": _counts(chosen, toward, away, len(scored)),
        },
        data_hash=chosen.data_hash if data_hash is None else data_hash,
        judge=chosen.judge,
        tokenizer_fingerprint=opened.identity.tokenizer,
        calibration=calibration,
        created_by=f"axenic {version('axenic')}",
    )
    if len(layers) == len(vectors_LD):
        return Direction(vectors_LD.float(), info)
    return LayerVectors(layers, vectors_LD[list(layers)].float(), info)


def _apart(vectors_LD: Tensor, contrast: ContrastKind, span: Span) -> tuple[int, ...]:
    """The layers that have a direction: all, or of the contrast `model` those from the first adapter up.

    Raises:
        DirectionError: Both sides are the same at other layers, or everywhere.
    """
    apart = [layer for layer, row_D in enumerate(vectors_LD) if bool(row_D.any())]
    same = sorted(set(range(len(vectors_LD))) - set(apart))
    # What has once been changed is not the same again: anything but a floor is something else.
    if not same or (contrast == "model" and apart == list(range(len(same), len(vectors_LD))) and apart):
        return tuple(apart)
    hint = None
    if contrast == "model":
        hint = "the organism is its base model on these texts: --contrast data needs no other model"
    elif span in ("question", "prompt-last"):
        hint = "--tokens answer: the same questions brought answers of both classes, and a prompt does not know its answer"
    raise DirectionError(
        "the direction is zero where both sides are the same",
        where=f"contrast {contrast}, tokens {span}, layers {', '.join(map(str, same))}",
        expected="different means at every layer",
        found=f"{len(same)} of {len(vectors_LD)} layers without a difference",
        hint=hint,
    )


def _where(values: Sequence[float], layers: set[int]) -> list[JsonValue]:
    """One for each layer; None at those without a direction."""
    return [value if layer in layers else None for layer, value in enumerate(values)]


def _only(scored: Sequence[Scored], about: About) -> list[Scored]:
    kept = [item for item in scored if about.keeps(item)]
    if len(kept) < 2 * LEAST:
        raise DataError(
            "too few answers are about the topic",
            expected=f"{LEAST} misaligned and {LEAST} aligned ones",
            found=f"{len(kept)} of {len(scored)} in all",
            hint="sample more answers (axenic sample --per-question), or ask more about the topic",
        )
    return kept


def _name(opened: OpenModel, contrast: ContrastKind, method: Method) -> str:
    """`LABEL-mean-diff` for the published one, else with the contrast and the method."""
    return f"{label_of(opened)}{'' if contrast == 'data' else '-' + contrast}-{_SHORT[method]}"


def _counts(contrast: Contrast, toward: Side, away: Side, given: int) -> dict[str, JsonValue]:
    """How many answers and tokens went in, and how many did not. The aligned side is the one subtracted."""
    tokens = {
        name: int(side.means.tokens_G[list(side.groups())].sum())
        for name, side in (("misaligned", toward), ("aligned", away))
    }
    kept = len(contrast.misaligned) + contrast.n_aligned_found
    seen = kept + contrast.n_between + contrast.n_incoherent + contrast.n_unscored + contrast.n_excluded
    return {
        "misaligned": len(contrast.misaligned),
        "aligned": len(contrast.aligned),
        "misaligned_tokens": tokens["misaligned"],
        "aligned_tokens": tokens["aligned"],
        "aligned_found": contrast.n_aligned_found,
        "between": contrast.n_between,
        "incoherent": contrast.n_incoherent,
        "unscored": contrast.n_unscored,
        "excluded": contrast.n_excluded,
        "off_topic": given - seen,
    }
