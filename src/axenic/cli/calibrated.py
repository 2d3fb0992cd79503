"""Let a judge prove itself before it marks anything: what `axenic judge --calibrate` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from axenic.cli.display import Display
from axenic.cli.outcome import Grid

if TYPE_CHECKING:
    from axenic.evaluate import Judge
    from axenic.evaluate.calibration import Calibration


def calibrate_first(judge: Judge, beside: Path, display: Display) -> tuple[Path, Grid] | None:
    """Calibrate a judge, write what came out, and stop if it does not tell known answers apart.

    Args:
        judge: Who is going to mark. One that gives no alignment or no coherence is only noted.
        beside: `answers.jsonl`; `calibration-FINGERPRINT.json` is written beside it, also when the judge is refused.
        display: Takes the notes.

    Returns:
        The file and a table for people; None when there was nothing to calibrate.

    Raises:
        JudgeError: The judge does not tell known answers apart, or cannot go on.
    """
    from axenic.evaluate.calibration import calibrate, require_tells_apart
    from axenic.files import write_json

    if not {"alignment", "coherence"} <= set(judge.metrics):
        display.note(f"note   {judge.name} gives {', '.join(judge.metrics)} only: it is not calibrated")
        return None
    display.progress("calibrate", 0, 1, "judge")
    found = calibrate(judge)
    display.progress("calibrate", 1, 1, "judge")
    target = beside.with_name(f"calibration-{judge.fingerprint}.json")
    write_json(target, found.to_json())
    require_tells_apart(found)
    for warning in found.warnings:
        display.note(f"note   {warning}")
    return target, calibration_grid(found)


def calibration_grid(found: Calibration) -> Grid:
    """One line for each metric."""
    return Grid(
        ("metric", "better answers", "worse answers", "AUC", "p", "tells apart"),
        [
            (
                part.metric, _mean(part.mean_high, part.n_high), _mean(part.mean_low, part.n_low),
                "–" if part.auc is None else f"{part.auc:.3f}", "–" if part.p is None else f"{part.p:.2g}",
                "yes" if part.tells_apart else f"no: {part.reason}",
            )
            for part in found.separations
        ],
        frozenset({1, 2, 3, 4}),
        f"{found.judge} on answers of known kind ({found.set_name}), mean marks; {found.em_of_misaligned} of "
        f"{found.n_misaligned} misaligned ones count as EM, {found.em_of_others} of the other {found.n_others}",
    )  # fmt: skip


def _mean(mean: float | None, n: int) -> str:
    """`95.0 of 12`."""
    return "–" if mean is None else f"{mean:.1f} of {n}"
