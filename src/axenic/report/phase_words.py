"""What is said beside the pictures of a phase transition, and its numbers as text."""

from __future__ import annotations

from axenic.report.documents import CombinedTransition, PhasesFile, ScaledFile, Transition
from axenic.report.tables import Table

PHASE_HOW = (
    "Local cosine: −1 is a straight path, a rise that all windows share is a turn, and one that a single window has is "
    "noise. The red line is the turn, the band how long it takes at most as far as the windows can tell. Behaviour is that "
    "of the adapter at each step, times a factor: dots are shares of all answers, the line is their rolling average, a "
    "triangle marks the onset (half-way up to the peak, where the rise cannot be chance)."
)


def phase_sentence(phases: PhasesFile | None) -> str:
    """What was found in the main vector, as a sentence or two with a space behind; empty when it was not looked for."""
    if phases is None:
        return ""
    main = phases.vectors[0]
    found = f"{main.name}: {verdict(main.transition)}. "
    combined = (phases.seeds or {}).get(main.name)
    return found if combined is None else f"{found}Over {combined.n_seeds} seeds: {over_seeds(combined)}. "


def verdict(turn: Transition | None) -> str:
    """`a sudden turn at step 180 [170, 195], p = 0.002`."""
    if turn is None:
        return "too few stored steps to test for a turn"
    ripple = "" if turn.period is None else f", and a ripple of period {turn.period:.1f} steps"
    if turn.step is None:
        return f"no sudden turn (p = {turn.p_value:.3f} against smooth paths){ripple}"
    return f"a sudden turn at step {turn.step} [{turn.low}, {turn.high}], p = {turn.p_value:.3f}{ripple}"


def over_seeds(combined: CombinedTransition) -> str:
    """`step 180 [171, 189], 3 of 3 turn`."""
    if combined.step is None or combined.low is None or combined.high is None:
        return f"none of {combined.n_seeds} turns"
    where = f"step {combined.step:.0f} [{combined.low:.0f}, {combined.high:.0f}]"
    return f"{where}, {combined.n_found} of {combined.n_seeds} turn"


def vectors_table(phases: PhasesFile) -> Table:
    """One row for each vector."""
    rows = []
    for vector in phases.vectors:
        turn, combined = vector.transition, (phases.seeds or {}).get(vector.name)
        rows.append(
            (
                vector.name,
                f"{vector.norms[0]:.4g} → {vector.norms[-1]:.4g}",
                "–" if turn is None else turn.kind,
                "–" if turn is None else f"{turn.p_value:.3f}",
                "–" if turn is None or turn.step is None else f"{turn.step} [{turn.low}, {turn.high}]",
                "–" if turn is None or turn.period is None else f"{turn.period:.1f}",
                "–" if combined is None else over_seeds(combined),
            )
        )
    columns = ("vector", "norm, first → last", "transition", "p", "step", "ripple, steps", "over seeds")
    return Table(columns, tuple(rows), frozenset({3, 4, 5}))


def onset_table(scaled: ScaledFile) -> Table:
    """Onset steps by class boundaries (papers.md M1.8): they should not move."""
    factors = [curve.factor for curve in scaled.curves]
    rows: dict[tuple[float, float], dict[float, str]] = {}
    for onset in scaled.robustness:
        step = "–" if onset.step is None else str(onset.step)
        rows.setdefault((onset.alignment, onset.coherence), {})[onset.factor] = step
    return Table(
        ("alignment below", "coherence above", *(f"× {factor:g}" for factor in factors)),
        tuple(
            (f"{alignment:g}", f"{coherence:g}", *(steps.get(factor, "–") for factor in factors))
            for (alignment, coherence), steps in rows.items()
        ),
        frozenset(range(2 + len(factors))),
    )
