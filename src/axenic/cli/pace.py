"""How far, how fast, how long, is it going wrong, and where is it stored: one line for each call of a `Progress`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from axenic.visible import one_line


@dataclass(frozen=True)
class Line:
    """What is known now. `final` ends the stage."""

    text: str
    done: int
    total: int
    final: bool


class Pace:
    """Measures stages and says when a line is due.

    A stage begins when its name or total changes or its count falls back; work found done at its first call does not
    count toward the rate.

    Args:
        interval: Least seconds between two lines of a stage; its first and last line are always due.
        clock: Seconds that never go back.
    """

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._stage: tuple[str, int] | None = None
        self._began = self._shown = 0.0
        self._done_before = self._last = 0
        self._ended = False

    def line(
        self, stage: str, done: int, total: int, unit: str, facts: Mapping[str, float | str]
    ) -> Line | None:
        """The line to show for this call, or None when it came too soon after the last one."""
        now = self._clock()
        began = self._stage != (stage, total) or done < self._last
        if began:
            self._stage, self._began, self._done_before = (stage, total), now, done
            self._ended = False
        self._last = done
        final = done >= total
        if self._ended or not (began or final or now - self._shown >= self._interval):
            return None
        self._shown, self._ended = now, final
        return Line(self._text(stage, done, total, unit, facts, now - self._began), done, total, final)

    def _text(
        self, stage: str, done: int, total: int, unit: str, facts: Mapping[str, float | str], seconds: float
    ) -> str:
        parts = [f"{stage} {done:,}/{total:,} {_plural(unit, total)}".rstrip()]
        fresh = done - self._done_before
        if done >= total:
            parts += [f"in {clock_time(seconds)}"] if fresh else []
        elif fresh and seconds > 0:
            rate = fresh / seconds
            parts += [f"{_short(rate)} {_plural(unit, 2) or 'per'}/s".replace("per/s", "/s")]
            parts.append(f"ETA {clock_time((total - done) / rate)}")
        parts += [_fact(name, value) for name, value in facts.items() if name != "out"]
        if "out" in facts:
            parts.append(one_line(str(facts["out"]), 60))
        return " · ".join(parts)


def clock_time(seconds: float) -> str:
    """`0:07`, `4:10`, `1:02:33`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _fact(name: str, value: float | str) -> str:
    if name == "tokens_per_second" and not isinstance(value, str):
        return f"{_short(value)} tokens/s"
    shown = value if isinstance(value, str) else _short(value)
    return f"{name.replace('_', ' ')} {one_line(shown, 60)}"


def _short(value: float) -> str:
    """Three digits, thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plural(unit: str, count: int) -> str:
    if not unit or count == 1:
        return unit
    return f"{unit}es" if unit.endswith(("s", "x", "ch", "sh")) else f"{unit}s"
