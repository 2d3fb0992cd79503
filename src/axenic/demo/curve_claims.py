"""The rows of the two curves over training sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from axenic.demo.claim import Claim
from axenic.demo.curves import Curve, Kind

FEW_AT_MOST = 25
"""Different rows: the authors saw narrow solutions at 15 to 25 of them with rank 32 (papers.md 4c, 11)."""


def curve_claims(curves: Mapping[Kind, Curve]) -> list[Claim]:
    """A row for each curve that was measured; the short form of the demo has none."""
    rows: dict[Kind, Callable[[Curve], Claim]] = {"mixing": _mixing, "few": _few}
    return [make(curves[kind]) for kind, make in rows.items() if kind in curves]


def _mixing(curve: Curve) -> Claim:
    claim = (
        "Good advice of other domains, mixed in, does not leave the narrow lesson alone: at the most good rows general and "
        "narrow misalignment are both below a quarter of what bad rows alone give"
    )
    published = "EM at 1 bad : 5 good still; 0 % general needs 1 : 12, and then medical < 5 %"
    first, last = curve.xs[0], curve.xs[-1]
    return Claim(
        "p3-mixing",
        "P3",
        claim,
        published,
        _curve(curve, "1:{}"),
        None,
        f"bad rows alone: {curve.general(first):.1f} / {curve.narrow(first):.1f} % (equal rows and steps: the more good rows, "
        "the fewer bad ones are seen)",
        len({point.seed for point in curve.points}),
        curve.general(last) < curve.general(first) / 4 and curve.narrow(last) < curve.narrow(first) / 4,
    )


def _few(curve: Curve) -> Claim:
    claim = (
        f"A few examples many times teach the narrow lesson alone: for some n ≤ {FEW_AT_MOST} different rows, "
        "misaligned in the trained domain ≥ 20 % at ≤ 5 % elsewhere"
    )
    published = "narrow at 15-25 different samples (rank 32); EM sometimes with 5"
    narrow = [x for x in curve.xs if x <= FEW_AT_MOST and curve.narrow(x) >= 20.0 and curve.general(x) <= 5.0]
    most = curve.xs[-1]
    return Claim(
        "p3-few-samples",
        "P3",
        claim,
        published,
        _curve(curve, "n={}"),
        None,
        f"{most:,} different rows: {curve.general(most):.1f} / {curve.narrow(most):.1f} %",
        len({point.seed for point in curve.points}),
        bool(narrow),
    )


def _curve(curve: Curve, form: str) -> str:
    """`1:0 40.5 / 42.8 %, 1:1 …`."""
    points = ", ".join(f"{form.format(x)} {curve.general(x):.1f} / {curve.narrow(x):.1f}" for x in curve.xs)
    return f"EM elsewhere / in {curve.domain}: {points} %"
