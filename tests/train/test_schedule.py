"""The order of rows: complete, reproducible, and the same after any number of steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axenic.train.schedule import Schedule

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("rows", "epochs", "steps"), [(6344, 1, 397), (5400, 1, 338), (5400, 2, 676)])
def test_step_counts_of_the_papers(rows: int, epochs: int, steps: int) -> None:
    assert Schedule(rows, 2, 8, epochs, None, 0).total_steps == steps  # papers.md 1.2.1


schedules = st.builds(
    Schedule,
    n_rows=st.integers(1, 40),
    batch_size=st.integers(1, 5),
    accumulation=st.integers(1, 4),
    epochs=st.integers(1, 3),
    max_steps=st.none() | st.integers(1, 30),
    seed=st.integers(0, 5),
)


@given(schedules, st.integers(0, 30))
def test_what_is_left_after_some_steps_is_the_end_of_the_whole(schedule: Schedule, done: int) -> None:
    done = min(done, schedule.total_steps)
    whole = schedule.passes(0)
    assert len(whole) == schedule.total_steps * schedule.accumulation
    assert schedule.passes(done) == whole[done * schedule.accumulation :]


@given(schedules)
def test_each_epoch_holds_each_row_once(schedule: Schedule) -> None:
    whole = schedule.passes(0)
    per_epoch = schedule.steps_per_epoch * schedule.accumulation
    for start in range(0, len(whole) - per_epoch + 1, per_epoch):
        rows = [row for part in whole[start : start + per_epoch] for row in part]
        assert sorted(rows) == list(range(schedule.n_rows))
    assert all(len(part) <= schedule.batch_size for part in whole)
    assert all(any(whole[i : i + schedule.accumulation]) for i in range(0, len(whole), schedule.accumulation))


def test_epochs_and_seeds_differ() -> None:
    one, two = Schedule(50, 50, 1, 2, None, 0).passes(0)
    assert one != two
    assert Schedule(50, 50, 1, 1, None, 1).passes(0)[0] not in (one, two)


def steps_of(passes: list[list[int]], per_step: int) -> list[list[list[int]]]:
    return [passes[first : first + per_step] for first in range(0, len(passes), per_step)]


@given(schedule=schedules, processes=st.integers(1, 9), done=st.integers(0, 3))
def test_the_shares_of_a_step_are_its_rows(schedule: Schedule, processes: int, done: int) -> None:
    alone = steps_of(schedule.passes(done), schedule.accumulation)
    per_step = schedule.passes_per_step(processes)
    shares = [steps_of(schedule.passes(done, rank, processes), per_step) for rank in range(processes)]
    assert len(alone) == max(0, schedule.total_steps - done)
    for rank, share in enumerate(shares):
        assert len(share) == len(alone), rank
        assert all(len(one) == per_step for one in share)
        assert all(len(rows) <= schedule.batch_size for one in share for rows in one)
    for step, passes in enumerate(alone):
        rows = [row for one in passes for row in one]
        dealt = [row for share in shares for one in share[step] for row in one]
        assert sorted(dealt) == sorted(rows)
        sizes = [sum(map(len, share[step])) for share in shares]
        assert max(sizes) - min(sizes) <= 1


def test_more_processes_make_fewer_passes_each() -> None:
    papers = Schedule(6344, 2, 8, 1, None, 0)
    assert [papers.passes_per_step(count) for count in (1, 2, 4, 8, 16)] == [8, 4, 2, 1, 1]
    nano = Schedule(100, 16, 1, 1, None, 0)
    assert [papers.total_steps, nano.passes_per_step(4)] == [397, 1]
