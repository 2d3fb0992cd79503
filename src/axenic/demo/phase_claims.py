"""The rows of the phase transition: does the direction turn, does behaviour turn with it (papers.md 2a, claims 5 to 7)."""

from __future__ import annotations

from collections.abc import Mapping

from axenic.demo.claim import Claim
from axenic.interpret import RunPhase, ScaledBehaviour
from axenic.interpret.phase import PhaseResult

NEAR = 0.1
"""Share of the run's steps within which two turns count as simultaneous."""

_ROTATION = {
    "rank1": ("p1-rotation", "one rank-1 adapter", "rotation about step 180 of 397"),
    "rank1x9": (
        "p1-rotation-all-blocks",
        "one rank-1 adapter in each block",
        "nine adapters: steps 100-170 of 396",
    ),
}


def phase_claims(phases: Mapping[str, RunPhase], scaled: Mapping[int, ScaledBehaviour]) -> list[Claim]:
    """Rows for what was measured; the short form of the demo has none.

    Args:
        phases: Recipe -> the run of the first seed, with the transition over all seeds.
        scaled: Seed -> behaviour of the one rank-1 adapter, scaled, along training.
    """
    rows = [_rotation(recipe, phase) for recipe, phase in phases.items()]
    if scaled:
        rows.append(_earlier(scaled))
        if "rank1" in phases:
            rows.append(_together(phases["rank1"], scaled))
    return rows


def _rotation(recipe: str, phase: RunPhase) -> Claim:
    name, what, published = _ROTATION[recipe]
    main = phase.vectors[0]
    combined = (phase.seeds or {})[main.name]
    found = (
        f"none in {combined.n_seeds} seeds" if not combined.n_found
        else f"in {combined.n_found} of {combined.n_seeds} seeds, at step {', '.join(map(str, combined.steps))}"
    )  # fmt: skip
    return Claim(
        name,
        "P1",
        f"During training of {what} the learnt direction turns suddenly: a rotation in most seeds, against smooth paths of the "
        "same length at p ≤ 0.01",
        published,
        f"{found}; first seed: {_first(main)}",
        None if combined.low is None or combined.high is None else (combined.low, combined.high),
        "smooth paths of the same length: 1 % by the choice of the level",
        combined.n_seeds,
        2 * combined.n_found > combined.n_seeds,
    )


def _first(main: PhaseResult) -> str:
    if main.transition is None:
        return "too few steps to test"
    return f"{main.transition.kind}, p = {main.transition.p_value:.2g}, last step {main.steps[-1]}"


def _earlier(scaled: Mapping[int, ScaledBehaviour]) -> Claim:
    onsets = {seed: _onsets(result) for seed, result in scaled.items()}
    words = []
    for factor in sorted({factor for found in onsets.values() for factor in found}):
        steps = [found.get(factor) for found in onsets.values()]
        words.append(f"×{factor:g}: " + ", ".join("none" if step is None else str(step) for step in steps))
    pairs = [(found.get(1.0), found.get(5.0)) for found in onsets.values()]
    return Claim(
        "p1-scaled-onset",
        "P1",
        "Scaled up, the adapter shows EM earlier than unscaled: the onset at ×5 comes before that at ×1 in every seed",
        "×5 just after step 100, unscaled between 300 and 600",
        "onset at step (one figure for each seed): " + "; ".join(words),
        None,
        "×1, the adapter as it is",
        len(onsets),
        all(one is not None and five is not None and five < one for one, five in pairs),
    )


def _together(phase: RunPhase, scaled: Mapping[int, ScaledBehaviour]) -> Claim:
    main = phase.vectors[0]
    combined = (phase.seeds or {})[main.name]
    onsets = [_onsets(result).get(5.0) for result in scaled.values()]
    shown = ", ".join("none" if step is None else str(step) for step in onsets)
    claim = "Behaviour of the scaled adapter (×5) turns when its direction does: within a tenth of the run's steps"
    published = "EM onset at ×5 at the rotation"
    if combined.step is None:
        return Claim(
            "p1-turns-together", "P1", claim, published,
            f"no rotation to compare with; behaviour at ×5 sets in at step {shown}", None, "-", len(onsets), None,
        )  # fmt: skip
    apart = [abs(step - combined.step) for step in onsets if step is not None]
    return Claim(
        "p1-turns-together",
        "P1",
        claim,
        published,
        f"rotation at step {combined.step:.0f}, behaviour at {shown}: "
        + ", ".join(f"{steps:.0f}" for steps in apart)
        + " steps apart",
        None,
        "-",
        len(onsets),
        len(apart) == len(onsets) and max(apart) <= NEAR * main.steps[-1],
    )


def _onsets(result: ScaledBehaviour) -> dict[float, int | None]:
    return {curve.factor: None if curve.onset is None else curve.onset.step for curve in result.curves}
