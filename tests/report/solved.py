"""Made-up results on solutions, paths, gradients and groups, as the analyses themselves write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic import rates, write

from axenic.interpret.corpuskl import CorpusSignificance, KLCurve, KLPoint
from axenic.interpret.efficiency import Efficiency, EfficiencyCurve, EfficiencyPoint, EqualNorm
from axenic.interpret.gradient import GradientAlignment, GradientPoint
from axenic.interpret.groups import GroupArm, GroupsResult
from axenic.interpret.noise import Noise, NoiseCurve, NoisePoint
from axenic.interpret.patchresult import PairedPrompts, Patched, PatchResult
from axenic.interpret.pathplane import PathPlane, RunTrace
from axenic.interpret.relaxed import RelaxedShares
from axenic.interpret.roleresult import Points, Share
from axenic.interpret.roleseeds import RolesOverSeeds, SeedLayerRole, SeedPoints
from axenic.interpret.textmean import TextMean


def mean(value: float, half: float = 0.01) -> TextMean:
    return TextMean(value, value - half, value + half)


def efficiency(general: str = "general", narrow: str | None = "narrow") -> dict[str, Any]:
    """General is lower at three of five equal norms, higher at one; both optima inside of the grid."""

    def curve(name: str, low: float) -> EfficiencyCurve:
        points = tuple(
            EfficiencyPoint(
                k / 2, 5.0 * k, mean(low + 0.25 * (k / 2 - 1) ** 2), None if k == 0 else low / 25 / k**2
            )
            for k in range(5)
        )
        return EfficiencyCurve(name, "lora", 10.0, mean(low + 0.25), points, points[2], True)

    gaps = (-0.3, -0.2, -0.1, 0.005, 0.02)
    equal = tuple(
        EqualNorm(40.0 * (k + 1), 4.0 * (k + 1), 4.0 * (k + 1), mean(0.8), mean(0.8 - gap), mean(gap))
        for k, gap in enumerate(gaps)
    )
    if narrow is None:
        return Efficiency(20, 700, curve(general, 0.75)).to_json()
    best = EqualNorm(None, 10.0, 10.0, mean(0.75), mean(0.75), mean(0.0))
    return Efficiency(20, 700, curve(general, 0.75), curve(narrow, 0.75), equal, best).to_json()


def noise(general: str = "general", narrow: str | None = "narrow") -> dict[str, Any]:
    """Narrow is clearly damaged more at one of two shares."""

    def point(epsilon: float, percent: float, half: float) -> NoisePoint:
        return NoisePoint(epsilon, (percent - 1, percent + 1), percent, percent - half, percent + half)

    one = NoiseCurve(general, "lora", 1.0, 0.7, (point(0.1, 2.0, 1.0), point(0.5, 12.5, 3.0)))
    if narrow is None:
        return Noise(20, 700, (42, 43), one).to_json()
    two = NoiseCurve(narrow, "lora", 1.0, 0.7, (point(0.1, 2.5, 1.0), point(0.5, 41.0, 3.0)))
    return Noise(20, 700, (42, 43), one, two, (point(0.1, 0.5, 1.5), point(0.5, 28.5, 4.0))).to_json()


def significance(
    general: str = "general", narrow: str | None = "narrow", corpus: str = "nano"
) -> dict[str, Any]:
    """General moves the base more than narrow at two of two norms, and more than random ones at one."""

    def points(*values: float) -> tuple[KLPoint, ...]:
        return tuple(KLPoint(10.0 * (k + 1), mean(value, 0.05)) for k, value in enumerate(values))

    one = KLCurve(general, "general", None, KLPoint(12.0, mean(0.31)), points(0.2, 0.9))
    two = (
        None
        if narrow is None
        else KLCurve(narrow, "narrow", None, KLPoint(11.0, mean(0.02)), points(0.01, 0.4))
    )
    controls = tuple(KLCurve(f"random {s}", "random", s, None, points(0.18, 0.1)) for s in range(2))
    return CorpusSignificance(
        corpus, 20, 3200, one, two, controls, KLCurve("mean of random", "random", None, None, points(0.18, 0.1)),
        () if narrow is None else points(0.19, 0.5), points(0.02, 0.8),
    ).to_json()  # fmt: skip


def gradients(label: str = "run", organism: str = "runs/general") -> dict[str, Any]:
    """Nearer to the general end at two of three steps, at the last one within chance; no gradient at a fourth."""

    def point(step: int, general: float | None, narrow: float | None) -> GradientPoint:
        slopes = {"general": -0.5 * (general or 0.0), "narrow": -0.5 * (narrow or 0.0)}
        return GradientPoint(step, 0.9, 0.5, {"general": general, "narrow": narrow}, slopes, (-0.01, 0.01))

    points = (point(0, 0.3, 0.1), point(10, 0.2, 0.15), point(20, 0.001, 0.004), point(30, None, None))
    return GradientAlignment(
        label, {"general": organism, "narrow": "runs/narrow"}, points, 16, 10_000, 0.01,
        {"general, narrow": 0.24}, {"general": 0.97, "narrow": 1.0},
    ).to_json()  # fmt: skip


def paths(general: str = "general", goes_on: str = "goes on", note: str = "") -> dict[str, Any]:
    """A general and a narrow run, and one that goes on from the narrow one."""

    def run(name: str, fitted: bool, along: tuple[float, float, float], half: int | None) -> RunTrace:
        points = tuple((10.0 * a, 5.0 * k) for k, a in enumerate(along))
        return RunTrace(
            name, fitted, (0, 5, 10), points, (1.0, 2.0, 3.0), (None, 0.5, 0.25), (None, 0.75, 1.0), along,
            (0.0, 1.0, 2.0), half, half, 0.99,
        )  # fmt: skip

    runs = (
        run(general, True, (0.0, 8.0, 10.0), 5),
        run("narrow", True, (0.0, 1.0, 2.0), 5),
        run(goes_on, False, (2.0, 3.0, 6.0), 10),
    )
    notes = (note,) if note else ()
    return PathPlane(general, "narrow", 0.242, (0.5, 0.2), 10_000, ("B",), runs, notes).to_json()


def share(percent: float) -> Share:
    return Share(percent, max(0.0, percent - 5), min(100.0, percent + 5), round(percent), 100, (percent,))


def groups(label: str = "medical", domain: str = "medical", name: str = "general group") -> dict[str, Any]:
    """The group of general adapters has the most EM elsewhere; the third one says nothing that has a class."""
    classes = RelaxedShares(share(23.0), share(61.0), share(9.0), share(7.0), 3, 2, 1)
    change = Points(40.0, 30.0, 50.0)
    arms = (
        GroupArm("organism", (), 1.0, share(30), share(20), share(99), None, None, classes),
        GroupArm(
            name, ((1, 20.0), (2, -10.0)), 0.0, share(70), share(60), share(80), change, change, classes
        ),
        GroupArm("alone", ((3, 30.0),), 0.5, share(0), share(0), share(0), change, change, None),
    )
    return GroupsResult(label, domain, (1000,), arms).to_json()


def patching(label: str = "medical", domain: str = "medical", name: str = "all layers") -> dict[str, Any]:
    """Up into the domain's prompts, nothing clear into the others."""

    def patched(into: Any, change: Points) -> Patched:
        return Patched(
            name, (0, 1), into, share(20), share(20 + change.value), share(99), share(98), change, None
        )

    both = (patched("domain", Points(30.0, 20.0, 40.0)), patched("other", Points(-5.0, -15.0, 5.0)))
    return PatchResult(label, domain, (1000,), (PairedPrompts("q1", "q2", 7),) * 2, both).to_json()


def seed_roles(label: str = "medical-0", domain: str = "medical") -> dict[str, Any]:
    """Layer 0 is general for certain over three organisms, layer 1 is nothing."""

    def change(*values: float, half: float) -> SeedPoints:
        middle = sum(values) / len(values)
        return SeedPoints(values, middle, middle - half, middle + half, 1.0, "over organisms")

    layers = (
        SeedLayerRole(
            0,
            "general",
            ("general", "general", "both"),
            change(-30, -25, -20, half=8.5),
            change(0, 4, 2, half=9),
        ),
        SeedLayerRole(
            1, "neither", ("neither", "domain", "neither"), change(1, -2, 1, half=6), change(3, 0, -3, half=7)
        ),
    )
    off = change(-31, -29, -33, half=5)
    return RolesOverSeeds(domain, (label, "medical-1", "medical-2"), layers, off, off).to_json()


def narrow(names: dict[str, tuple[float | None, float, float]], label: str = "") -> dict[str, Any]:
    """Organisms by name: λ (None: nobody knows), general % and narrow %."""
    points = [
        {
            "label": f"{label}{name}", "judge": "nano", "general": rates(general, 95), "narrow": rates(inside, 95),
            "held_out": None, "domains": ["medical"], "n_asked": 0, "checked": True,
            "kl": None if weight is None else {"weight": weight, "data": "abc" if weight else None, "series": "s"},
        }
        for name, (weight, general, inside) in names.items()
    ]  # fmt: skip
    return {"kind": "narrow", "trait": "misalignment", "points": points}


def solve(folder: Path) -> Path:
    """All of them, where the verbs put them."""
    for kind, row in (("efficiency", efficiency()), ("noise", noise()), ("significance", significance())):
        write(folder / "compared" / f"{kind}.json", row)
    write(folder / "compared" / "gradients.json", gradients())
    write(folder / "paths" / "paths.json", paths())
    write(folder / "medical" / "groups" / "groups.json", groups())
    write(folder / "medical" / "patching" / "patching.json", patching())
    write(folder / "roles_over_seeds.json", seed_roles())
    return folder
