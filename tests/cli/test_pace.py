"""Progress lines: how far, how fast, how long, what else, where."""

from __future__ import annotations

import pytest

from axenic.cli.pace import Pace, clock_time

pytestmark = pytest.mark.unit


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_says_it_all(clock: Clock) -> None:
    pace = Pace(0.1, clock)
    pace.line("train", 0, 1188, "step", {})
    clock.now += 206.0
    line = pace.line(
        "train", 412, 1188, "step", {"loss": 1.834, "tokens_per_second": 12345.0, "out": "runs/a"}
    )
    assert line is not None
    assert line.text == ("train 412/1,188 steps · 2 steps/s · ETA 6:28 · loss 1.83 · 12.3k tokens/s · runs/a")
    assert not line.final


def test_no_more_often_than_asked(clock: Clock) -> None:
    pace = Pace(0.1, clock)
    shown = 0
    for done in range(1000):
        clock.now += 0.01
        shown += pace.line("sample", done, 2000, "answer", {}) is not None
    assert 80 <= shown <= 101


def test_the_last_line_always_comes_and_only_once(clock: Clock) -> None:
    pace = Pace(60.0, clock)
    pace.line("judge", 0, 4, "answer", {})
    clock.now += 7
    last = pace.line("judge", 4, 4, "answer", {"out": "x"})
    assert last is not None
    assert last.final
    assert last.text == "judge 4/4 answers · in 0:07 · x"
    assert pace.line("judge", 4, 4, "answer", {}) is None


def test_work_that_was_there_does_not_count_toward_the_rate(clock: Clock) -> None:
    pace = Pace(0.1, clock)
    pace.line("sample", 900, 1000, "answer", {})
    clock.now += 10
    line = pace.line("sample", 950, 1000, "answer", {})
    assert line is not None
    assert "5 answers/s · ETA 0:10" in line.text


def test_a_stage_may_come_again(clock: Clock) -> None:
    pace = Pace(60.0, clock)
    for _ in range(2):
        assert pace.line("sample", 0, 2, "answer", {}) is not None
        assert pace.line("sample", 2, 2, "answer", {}) is not None


def test_hostile_facts_stay_on_one_line(clock: Clock) -> None:
    line = Pace(0.1, clock).line("x", 1, 2, "", {"note": "a\nb\x1b[31m" + "y" * 500, "out": "p\rq"})
    assert line is not None
    assert "\n" not in line.text
    assert "\x1b" not in line.text
    assert len(line.text) < 200


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (250, "4:10"), (3753, "1:02:33")])
def test_clock(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text
