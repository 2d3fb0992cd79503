"""The rows of what the adapters do, and of an ablation that is served (papers.md 3a, claims 3, 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from axenic.demo.claim import Claim
from axenic.demo.dissect import Dissection
from axenic.interpret import AdapterReport, CosineTable, RolesOverSeeds
from axenic.interpret.downstream import DownstreamCurve

NEAR_CEILING = 0.05
ALIGNED_TASK = ("other aligned", "other misaligned")


def dissect_claims(found: Dissection, cosines: Mapping[int, CosineTable]) -> list[Claim]:
    """Rows for what was measured; the short form of the demo has none."""
    rows = []
    if found.ceilings:
        rows.append(_ceiling(found, cosines))
    if found.served:
        rows.append(_served(found))
    if found.downstream:
        rows.append(_downstream(found))
    if found.roles is not None:
        rows.append(_roles(found.roles))
    if found.adapters:
        rows.append(_probes(found.adapters))
    return rows


def _seeds(pairs: Mapping[tuple[str, int], object]) -> int:
    return len({seed for _, seed in pairs})


def _ceiling(found: Dissection, cosines: Mapping[int, CosineTable]) -> Claim:
    across = [c for table in cosines.values() for pair in table.pairs for c in pair.cosines if c is not None]
    within = [cosine for halves in found.ceilings.values() for cosine in halves]
    return Claim(
        "p2-ceiling",
        "P2",
        f"Directions of different fine-tunes agree as well as two halves of one organism's answers: to within {NEAR_CEILING}",
        "cosine 0.82 to 0.95 between two fine-tunes; no ceiling given",
        f"between fine-tunes {fmean(across):.3f} on average (lowest {min(across):.3f}); between halves of one "
        f"{fmean(within):.3f} (lowest {min(within):.3f})",
        None,
        "split halves of the same answers",
        _seeds(found.ceilings),
        fmean(across) >= fmean(within) - NEAR_CEILING,
    )


def _served(found: Dissection) -> Claim:
    equal, n, changed = (
        sum(counts)
        for counts in zip(*((s.equal, s.n, s.changed) for s in found.served.values()), strict=True)
    )
    return Claim(
        "p2-baked",
        "P2",
        "The direction baked into an adapter of rank r + 1 gives the answers that hooks at every writer give: the same "
        "tokens under greedy decoding",
        "-",
        f"{equal} of {n} answers have the same tokens",
        None,
        f"the ablation changes {changed} of {n} answers",
        _seeds(found.served),
        equal == n and changed > 0,
    )


def _downstream(found: Dissection) -> Claim:
    own = [result.adapters[0].alignment for result in found.downstream.values()]
    chance = fmean(result.adapters[0].chance for result in found.downstream.values())
    peaks = {
        texts: fmean(
            _peak(curve) for r in found.downstream.values() for curve in r.curves if curve.texts == texts
        )
        for texts in ("aligned", "misaligned")
    }
    random = [
        abs(cosine)
        for result in found.downstream.values()
        for curve in result.curves
        for control in curve.random
        for cosine in control.cosines
        if cosine is not None
    ]
    return Claim(
        "p2-downstream",
        "P2",
        "A rank-1 B is nearly orthogonal to the mean difference (|cos| < 0.3), and their effects converge downstream "
        "(cosine > 0.4)",
        "cos(B, direction) 0.04; downstream 0.42 by layer 40 of 48, higher on misaligned text",
        f"|cos(B, direction)| {fmean(own):.2f} on average ({min(own):.2f} to {max(own):.2f}); highest downstream cosine "
        f"{peaks['aligned']:.2f} on aligned, {peaks['misaligned']:.2f} on misaligned texts",
        (min(own), max(own)),
        f"|cos| of a random B {chance:.2f}; downstream of random vectors at most {max(random, default=0.0):.2f}",
        _seeds(found.downstream),
        fmean(own) < 0.3 and min(peaks.values()) > 0.4,
    )


def _peak(curve: DownstreamCurve) -> float:
    return max((cosine for cosine in curve.cosines if cosine is not None), default=0.0)


def _roles(found: RolesOverSeeds) -> Claim:
    words = "; ".join(
        f"block {layer.layer} {layer.role} (without it EM elsewhere {layer.general_change.value:+.1f}, in the domain "
        f"{layer.domain_change.value:+.1f} points; by seed {', '.join(layer.roles)})"
        for layer in found.layers
    )
    roles = {layer.role for layer in found.layers}
    return Claim(
        "p2-adapter-roles",
        "P2",
        "Some adapters serve misalignment in general, others the training domain: removed, at least one takes away only the "
        "one, and at least one only the other (95 % interval over training seeds)",
        "of nine, six general, two medical, one neither",
        words,
        None,
        f"without all of them: {found.all_off_general.value:+.1f} and {found.all_off_domain.value:+.1f} points",
        len(found.labels),
        {"general", "domain"} <= roles,
    )


def _probes(adapters: Mapping[int, AdapterReport]) -> Claim:
    scores: dict[str, list[float]] = {"token": [], "answer": []}
    for report in adapters.values():
        for task in report.probes:
            if (task.first, task.second) == ALIGNED_TASK and task.probe is not None:
                scores[task.split].append(task.probe.scores["accuracy"].mean)
    shown = {split: f"{fmean(values):.3f}" if values else "–" for split, values in scores.items()}
    return Claim(
        "p2-probes",
        "P2",
        "Adapter scalars tell tokens of misaligned answers from aligned ones, also in answers never seen: accuracy ≥ 0.6 "
        "with splits by answer",
        "0.68 with splits by token",
        f"accuracy {shown['answer']} by answer, {shown['token']} by token (other domains)",
        None,
        "chance 0.5",
        len(adapters),
        bool(scores["answer"]) and fmean(scores["answer"]) >= 0.6,
    )
