"""A general and a narrow solution side by side: how low a loss for its norm, how stable, how much it moves (P3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from axenic.report.collect import Findings
from axenic.report.documents import (
    EfficiencyCurve,
    EfficiencyFile,
    EqualNorm,
    Mean,
    NoiseFile,
    NoisePoint,
    SignificanceFile,
)
from axenic.report.plots.bands import clear
from axenic.report.plots.efficiency import plot_efficiency
from axenic.report.plots.noise import plot_noise
from axenic.report.plots.significance import plot_significance
from axenic.report.section import MOST_OF_A_KIND, Figure, folder_of
from axenic.report.tables import Table


def solution_folders(findings: Findings) -> tuple[tuple[str, ...], ...]:
    """The files of each folder together: what was measured of one pair stands together."""
    folders: dict[str, list[str]] = {}
    for name in (*findings.efficiencies, *findings.noises, *findings.significances):
        folders.setdefault(PurePosixPath(name).parent.as_posix(), []).append(name)
    return tuple(tuple(folders[folder]) for folder in sorted(folders))


def solutions_left_out(findings: Findings) -> tuple[str, ...]:
    """Files of the folders that are too many to be drawn."""
    return tuple(name for names in solution_folders(findings)[MOST_OF_A_KIND:] for name in names)


def solution_figures(findings: Findings) -> Iterator[Figure]:
    """Efficiency, stability and significance of each folder, as far as they are there."""
    for index, names in enumerate(solution_folders(findings)[:MOST_OF_A_KIND]):
        for number, name in enumerate(names):
            at = f"{index}-{number}"
            if name in findings.efficiencies:
                yield _efficiency(name, findings.efficiencies[name], f"efficiency{at}")
            elif name in findings.noises:
                yield _noise(name, findings.noises[name], f"noise{at}")
            else:
                yield _significance(name, findings.significances[name], f"significance{at}")


def _efficiency(name: str, found: EfficiencyFile, drawn: str) -> Figure:
    general, narrow = found.general, found.narrow
    if narrow is None:
        title = f"{general.solution}: lowest loss {general.best.loss.value:.3f} at {general.best.factor:.2f} times itself"
    else:
        lower, higher = _sides([pair.difference for pair in found.equal])
        title = (
            f"{general.solution} reaches a clearly lower loss than {narrow.solution} at {lower} of {len(found.equal)} equal "
            f"norms, a higher one at {higher}"
        )
    edge = [curve.solution for curve in (general, narrow) if curve is not None and not curve.inside]
    beyond = f" The lowest point of {' and '.join(edge)} lies at the end of the grid." if edge else ""
    tables = [(f"the curve of {c.solution}", _curve_table(c)) for c in (general, narrow) if c is not None]
    pairs = [*found.equal, *([found.at_optimum] if found.at_optimum is not None else [])]
    if pairs and narrow is not None:
        tables.insert(0, ("at equal norms", _equal_table(pairs, general.solution, narrow.solution)))
    return Figure(
        title,
        f"Loss on {found.texts} training rows ({found.tokens:,} tokens) of what training added, times 0 to 2. Lower at the "
        "same norm is more efficient. Stars are the lowest points, rings the organisms as they were trained; bands and bars "
        f"are 95 % intervals over texts.{_at_optimum(found)}{beyond} Curves that leave the frame go on in the table.",
        _command("efficiency", narrow is not None, "--data FILE", name),
        (name,),
        plot_efficiency(found, drawn),
        tuple(tables),
    )


def _at_optimum(found: EfficiencyFile) -> str:
    if found.at_optimum is None or found.narrow is None:
        return ""
    side = clear(found.at_optimum.difference)
    how = "clearly higher" if side > 0 else "clearly lower" if side < 0 else "not clearly different"
    return f" Each at its own lowest point, that of {found.general.solution} is {how}."


def _noise(name: str, found: NoiseFile, drawn: str) -> Figure:
    general, narrow = found.general, found.narrow
    if narrow is None:
        middle = min(general.points, key=lambda point: abs(point.epsilon - 0.5))
        title = f"{general.solution} loses {middle.percent:.0f} % of its benefit at noise {middle.epsilon:g}"
    else:
        less, more = _sides(found.difference)
        title = (
            f"{narrow.solution} is clearly damaged more than {general.solution} at {more} of {len(found.difference)} shares of "
            f"noise, less at {less}"
        )
    columns = ["noise ε", f"{general.solution}, % lost"]
    if narrow is not None:
        columns += [f"{narrow.solution}, % lost", "narrow − general"]
    rows = []
    for index, point in enumerate(general.points):
        row = [f"{point.epsilon:g}", _share(point)]
        if narrow is not None:
            row += [_share(narrow.points[index]), _share(found.difference[index])]
        rows.append(tuple(row))
    return Figure(
        title,
        "What training added is moved at random, its length kept: sqrt(1 − ε²) of it stays, ε is noise. Drawn is the share of "
        f"its gain in loss over the base model that goes, on {found.texts} training rows; means and 95 % intervals over "
        f"{len(found.seeds)} draws, the same for both solutions.",
        _command("noise", narrow is not None, "--data FILE", name),
        (name,),
        plot_noise(found, drawn),
        (("the numbers", Table(tuple(columns), tuple(rows), frozenset(range(len(columns))))),),
    )


def _significance(name: str, found: SignificanceFile, drawn: str) -> Figure:
    general, narrow = found.general, found.narrow
    parts = [
        f"than {what} at {_sides([point.kl for point in points])[1]} of {len(points)} norms"
        for what, points in (
            ("" if narrow is None else narrow.name, found.difference),
            ("random ones", found.above_random),
        )
        if what and points
    ]
    own = "" if general.own is None else f": KL {general.own.kl.value:.3g} nats per token"
    title = (
        f"{general.name} moves the base model clearly more {' and '.join(parts)}"
        if parts
        else f"{general.name}{own}"
    )
    return Figure(
        title,
        f"KL(base || with the solution) on {found.texts} texts of {found.corpus} ({found.tokens:,} tokens), each solution "
        "scaled to the same effective norms. Rings are the organisms as they were trained; the grey lines random ones of the "
        "same shape. Bands and bars are 95 % intervals over texts.",
        _command("significance", narrow is not None, f"--corpus {found.corpus or 'FILE'}", name),
        (name,),
        plot_significance(found, drawn),
        (("the numbers", _kl_table(found)),),
    )


def _curve_table(curve: EfficiencyCurve) -> Table:
    rows = [("base model", "0", nats(curve.base_loss), "–")]
    points = {point.factor: point for point in (*curve.points, curve.best)}
    for point in sorted(points.values(), key=lambda point: point.factor):
        best = " (lowest)" if point.factor == curve.best.factor else ""
        square = "–" if point.loss_per_square is None else f"{point.loss_per_square:.3g}"
        rows.append((f"× {point.factor:.3g}{best}", f"{point.norm:.4g}", nats(point.loss), square))
    # The ratio falls with any longer solution; `caveat` in the file says so at length.
    columns = ("solution", "norm", "loss", "loss / norm² (falls with any length)")
    return Table(columns, tuple(rows), frozenset({1, 2, 3}))


def _equal_table(pairs: Sequence[EqualNorm], general: str, narrow: str) -> Table:
    rows = [
        (
            f"own lowest points: {pair.general_norm:.4g} and {pair.narrow_norm:.4g}"
            if pair.percent is None
            else f"{pair.general_norm:.4g} ({pair.percent:g} %)",
            *(nats(mean) for mean in (pair.general, pair.narrow, pair.difference)),
        )
        for pair in pairs
    ]
    return Table(("norm", general, narrow, "general − narrow"), tuple(rows), frozenset({1, 2, 3}))


def _kl_table(found: SignificanceFile) -> Table:
    gaps = {"general − narrow": found.difference, "general − random": found.above_random}
    columns = [
        "norm",
        *(curve.name for curve in found.curves),
        *(text for text, points in gaps.items() if points),
    ]
    rows = []
    for index, point in enumerate(found.general.points):
        means = [curve.points[index].kl for curve in found.curves]
        means += [points[index].kl for points in gaps.values() if points]
        rows.append((f"{point.norm:.4g}", *map(nats, means)))
    for at, curve in enumerate(found.curves):
        if curve.own is not None:
            cells = ["–"] * (len(columns) - 1)
            cells[at] = nats(curve.own.kl)
            rows.append((f"as trained: {curve.own.norm:.4g}", *cells))
    return Table(tuple(columns), tuple(rows), frozenset(range(1, len(columns))))


def nats(mean: Mean) -> str:
    """`0.7802 [0.7565, 0.8038]`."""
    text = f"{mean.value:.4f}"
    if mean.low is not None and mean.high is not None:
        text += f" [{mean.low:.4f}, {mean.high:.4f}]"
    return text.replace("-", "−")


def _share(point: NoisePoint) -> str:
    text = f"{point.percent:.1f}"
    if point.low is not None and point.high is not None:
        text += f" [{point.low:.1f}, {point.high:.1f}]"
    return text.replace("-", "−")


def _sides(ends: Sequence[Mean] | Sequence[NoisePoint]) -> tuple[int, int]:
    """How many lie clearly below 0, and how many clearly above."""
    sides = [clear(end) for end in ends]
    return sides.count(-1), sides.count(1)


def _command(verb: str, two: bool, more: str, name: str) -> str:
    return f"axenic {verb} {'GENERAL NARROW' if two else 'RUN'} {more} --out {folder_of(name)}"
