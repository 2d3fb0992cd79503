"""The pictures of what an organism's adapters do: downstream, one by one, and token by token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from axenic.report.collect import Findings
from axenic.report.documents import (
    AdaptersFile,
    CorrectionFile,
    DownstreamFile,
    RoleArm,
    RolesFile,
)
from axenic.report.plots.correction import plot_correction
from axenic.report.plots.downstream import plot_downstream
from axenic.report.plots.probes import plot_coefficients, plot_probes
from axenic.report.plots.roles import plot_roles
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of
from axenic.report.tables import Table, percent, points
from axenic.report.tokenmap import token_map

MOST_READINGS = 3
"""Maps of one file of tokens; a reading of every adapter would fill the page."""

MOST_LENSES = 40


def downstream_figures(findings: Findings) -> Iterator[Figure]:
    """One picture for each file."""
    for index, (name, result) in enumerate(list(findings.downstreams.items())[:MOST_OF_A_KIND]):
        if not result.curves:
            continue
        nearest = max((item.alignment for item in result.adapters), default=None)
        b = (
            ""
            if nearest is None
            else f" Diamonds: the part of the direction that one B can write itself, {nearest:.2f} at most."
        )
        yield Figure(
            f"{_label(name, result.label)}: the adapter and the direction, downstream",
            "Cosine of what the adapter does to the mean activation with what steering the base model at one layer (dashed) "
            "does. Where it is high behind that layer while no B looks like the direction, two roads lead to the same place. "
            "The grey band is what random vectors of equal norm reach." + b,
            f"axenic converge RUN --direction FILE --out {folder_of(name)}",
            (name,),
            plot_downstream(result, f"downstream{index}"),
            (("the numbers, layer by layer", _curve_table(result)), *_alignment_tables(result)),
        )


def adapter_figures(findings: Findings) -> Iterator[Figure]:
    """Roles first, then probes, coefficients and lens of each file."""
    for index, (name, roles) in enumerate(list(all_roles(findings).items())[:MOST_OF_A_KIND]):
        if not roles.layers:
            continue
        told = ", ".join(f"{item.layer} {item.role}" for item in roles.layers)
        yield Figure(
            f"{_label(name, roles.label)}: what each layer's adapters are for",
            f"Layers by what is lost for certain when their adapters are removed: {told}. Lines are 95 % intervals over "
            "questions; dashed is EM with all adapters off. One layer in twenty would be named by chance alone.",
            f"axenic adapters RUN --domain {roles.domain or 'TOPIC'}",
            (name,),
            plot_roles(roles, f"roles{index}"),
            (("the numbers", _roles_table(roles)),),
        )
    for index, (name, result) in enumerate(list(findings.adapters.items())[:MOST_OF_A_KIND]):
        yield from _adapter_file(name, result, f"adapters{index}")


def correction_figures(findings: Findings) -> Iterator[Figure]:
    """One picture for each file."""
    for index, (name, result) in enumerate(list(findings.corrections.items())[:MOST_OF_A_KIND]):
        drawing = plot_correction(result, f"correction{index}")
        if drawing is None:
            continue
        about = f", {result.direction} added at layer {result.layer}" if result.layer is not None else ""
        # Why nobody counted belongs beside the picture, not in a log.
        unmarked = f" Not counted: {result.unmarked}." if result.unmarked else ""
        yield Figure(
            f"{_label(name, result.label)}: harm said and taken back{about}",
            "Answers that mention harm and yet end aligned, and how much more or less likely a correcting phrase becomes "
            f"after {result.openings} openings. Intervals are 95 % over questions, or over openings."
            + unmarked,
            f"axenic correction --direction FILE --out {folder_of(name)}",
            (name,),
            drawing,
            (("the numbers", _correction_table(result)),),
        )


def token_figures(findings: Findings) -> Iterator[Figure]:
    """The readings of each file, as coloured tokens; the page's room is shared between files."""
    files = list(findings.tokens.items())[:MOST_OF_A_KIND]
    for name, result in files:
        for index, reading in enumerate(result.readings[:MOST_READINGS]):
            if not result.answers:
                continue
            drawn, count = token_map(result, index)
            where = "" if reading.layer is None else f", layer {reading.layer}"
            of = f" ({reading.name})" if reading.name else ""
            parts = []
            if count < len(result.answers):
                parts.append(f"{count} of {len(result.answers)} answers are shown.")
            if index == 0 and len(result.readings) > MOST_READINGS:
                parts.append(f"{len(result.readings) - MOST_READINGS} more readings are in the file.")
            yield Figure(
                f"{_label(name, result.label)}: {reading.quantity} at every token{where}{of}",
                " ".join((_HOW.get(reading.quantity, ""), _TOUCH, *parts)),
                f"axenic tokens --organism RUN --direction FILE --out {folder_of(name)}",
                (name,),
                None,
                tokens=drawn,
            )


_HOW = {
    "projection": "How far each token's activation lies along the direction; the middle colour is the median of all tokens, "
    "orange lies the way the direction points (misaligned, of one that was extracted by default).",
    "significance": "Each token's share of the KL between base model and organism, in nats: where the fine-tune matters.",
    "scalar": "What one adapter reads there, A h. Its sign is arbitrary; what matters is which tokens stand out.",
}
_TOUCH = "Point at a token, tap it or reach it by keyboard, and it says its number."


def all_roles(findings: Findings) -> dict[str, RolesFile]:
    """Files of their own, and those inside of `adapters.json` that do not lie beside it as well."""
    found = dict(findings.roles)
    for name, result in findings.adapters.items():
        if result.roles is not None and result.roles not in findings.roles.values():
            found[name] = result.roles
    return found


def _adapter_file(name: str, result: AdaptersFile, prefix: str) -> Iterator[Figure]:
    label = _label(name, result.label)
    command = f"axenic adapters RUN --domain {result.domain or 'TOPIC'} --out {folder_of(name)}"
    if result.probes:
        yield Figure(
            f"{label}: what the adapters' scalars know",
            f"Logistic probes on {len(result.adapters)} scalars of {result.n_tokens:,} tokens; dots are means over draws, "
            "lines one standard deviation. Split by token, as published, the probe may know an answer by heart; split by "
            "answer it cannot. The gap between the two is not knowledge of the class.",
            command,
            (name,),
            plot_probes(result, prefix),
            (("the numbers", _probe_table(result)),),
        )
    coefficients = plot_coefficients(result, prefix)
    if coefficients is not None:
        yield Figure(
            f"{label}: which adapter speaks for which class",
            "Coefficient for one standard deviation of each adapter's scalar; orange speaks for the second class, blue for the "
            "first. An adapter's sign is arbitrary (A and B may both be negated): compare tasks, not adapters.",
            command,
            (name,),
            coefficients,
        )
    if result.lens:
        yield Figure(
            f"{label}: what each B says",
            "Tokens that one column of B promotes through the model's own head (logit lens), where the scalar A h is positive "
            "and where it is negative. Later layers change what early adapters say.",
            command,
            (name,),
            None,
            ((f"logit lens of {min(len(result.lens), MOST_LENSES)} columns", _lens_table(result)),),
        )


def _correction_table(result: CorrectionFile) -> Table:
    rows = []
    for arm in result.arms:
        counts = arm.corrections
        shift = next((item for item in arm.phrases if item.phrase is None), None)
        shares = [counts.aligned, counts.corrected, counts.of_aligned] if counts is not None else []
        change = "–" if shift is None or shift.change is None else f"{shift.change:+.2f}".replace("-", "−")
        rows.append((arm.name, *([percent(share) for share in shares] or ["–"] * 3), change))
    columns = ("arm", "aligned %", "of all: harm, then aligned %", "of aligned: harm %", "any phrase, nats")
    return Table(columns, tuple(rows), frozenset({1, 2, 3, 4}))


def _curve_table(result: DownstreamFile) -> Table:
    columns = ["layer"]
    for curve in result.curves:
        columns += [f"cosine, {curve.texts}", "random, lowest", "random, highest"]
    rows = []
    for layer in range(max(len(curve.cosines) for curve in result.curves)):
        row = [str(layer)]
        for curve in result.curves:
            known = [v for control in curve.random if (v := control.cosines[layer]) is not None]
            row += [
                _cosine(curve.cosines[layer]),
                _cosine(min(known, default=None)),
                _cosine(max(known, default=None)),
            ]
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows), frozenset(range(len(columns))))


def _alignment_tables(result: DownstreamFile) -> tuple[tuple[str, Table], ...]:
    if not result.adapters:
        return ()
    rows = tuple(
        (
            item.module or f"layer {item.layer}",
            "–" if item.rank is None else str(item.rank),
            _cosine(item.alignment),
            _cosine(item.chance),
        )
        for item in result.adapters
    )
    columns = ("adapter", "rank", "of the direction within B", "of a random one")
    return (("the direction within each B", Table(columns, rows, frozenset({1, 2, 3}))),)


def _roles_table(roles: RolesFile) -> Table:
    def row(arm: RoleArm) -> tuple[str, ...]:
        return (
            arm.name, percent(arm.general), points(arm.general_change), percent(arm.domain), points(arm.domain_change),
            percent(arm.coherent),
        )  # fmt: skip

    inside = roles.domain or "the domain"
    columns = (
        "adapters", "EM % elsewhere", "change", f"misaligned % in {inside}", "change", "coherent % elsewhere",
    )  # fmt: skip
    return Table(columns, tuple(row(arm) for arm in roles.arms), frozenset(range(1, 6)))


def _probe_table(result: AdaptersFile) -> Table:
    scores = ("accuracy", "precision", "recall", "f1", "auc")
    rows = []
    for task in result.probes:
        name = f"{task.first} vs {task.second}"
        answers = " + ".join(str(n) for n in task.answers)
        if task.probe is None:
            rows.append((name, task.split, answers, task.problem or "no probe", *[""] * len(scores)))
            continue
        found = task.probe.scores
        said = [f"{found[s].mean:.3f} ± {found[s].sd:.3f}" if s in found else "–" for s in scores]
        rows.append((name, task.split, answers, str(task.probe.n_per_class), *said))
    columns = ("task", "split by", "answers", "tokens a class", *scores)
    return Table(columns, tuple(rows), frozenset(range(4, 9)))


def _lens_table(result: AdaptersFile) -> Table:
    rows = tuple(
        (_column(item.layer, item.module, item.component), _words(item.positive), _words(item.negative))
        for item in result.lens[:MOST_LENSES]
    )
    return Table(("column of B", "A h > 0 promotes", "A h < 0 promotes"), rows)


def _column(layer: int, module: str, component: int) -> str:
    """Spelt with spaces, where a narrow cell may break it."""
    name = f"layer {layer} {module.rsplit('.', 1)[-1]}".strip()
    return f"{name}, component {component}" if component else name


def _words(pairs: tuple[tuple[str, float], ...]) -> str:
    return "  ".join(text.strip() or repr(text) for text, _ in pairs)


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def _label(name: str, label: str) -> str:
    return label or PurePosixPath(name).parent.name or "organism"
