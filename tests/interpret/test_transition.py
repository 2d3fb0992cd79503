"""The test for a sudden rotation: level, power, ripples, seeds, and its errors."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from paths import kinked_moves, path_of, rippled_moves, smooth_moves, walk

from axenic.errors import DataError, UsageError
from axenic.interpret.ripple import find_ripple
from axenic.interpret.transition import combine_transitions, find_transition
from axenic.interpret.vectorpath import VectorPath

pytestmark = pytest.mark.unit


def rng(seed=0):
    return np.random.default_rng(seed)


def test_false_positives_stay_at_the_level():
    """60 smooth curved paths: at a level of 5 %, 3 are expected, and 9 or more have a chance below 0.5 %."""
    paths = [walk(smooth_moves(seed)) for seed in range(60)]
    p_values = [find_transition(path, rng(i), n_surrogates=99).p_value for i, path in enumerate(paths)]
    assert sum(p <= 0.05 for p in p_values) <= 8


def test_power_and_place_of_a_corner():
    """A right angle in noise half as long as the steps is found, within two points."""
    for seed in range(10):
        at = 20 + 4 * seed
        found = find_transition(walk(kinked_moves(seed, at, 90)), rng(seed), n_surrogates=199)
        assert found.found
        assert found.kind == "rotation"
        assert abs(found.step - 5 * at) <= 10
        assert found.low <= 5 * at <= found.high
        assert found.p_value == 1 / 200


def test_a_lone_right_angle_has_a_peak_of_one():
    found = find_transition(walk(kinked_moves(0, 40, 90, noise=0.0)), rng())
    assert found.statistic == pytest.approx(1.0)
    assert (found.step, found.period) == (200, None)


def test_a_straight_path_has_no_peak_and_a_small_turn_is_called_straight():
    straight = find_transition(walk(np.tile([1.0, 2.0, 2.0], (80, 1))), rng())
    assert (straight.kind, straight.step, straight.low, straight.high) == ("none", None, None, None)
    assert straight.statistic == pytest.approx(0.0, abs=1e-12)
    # 10 degrees: 1 - cos = 0.015. Certain, and too small to be called a rotation.
    small = walk(kinked_moves(0, 40, 10, noise=0.0))
    assert find_transition(small, rng()).kind == "none"
    assert find_transition(small, rng(), least=0.01).kind == "rotation"


def test_the_learning_rate_is_no_turn():
    """Scaling the displacements, by 1e-4 at the end, leaves every figure as it is."""
    moves = kinked_moves(3, 40, 60)
    slower = moves * np.geomspace(1, 1e-4, len(moves))[:, None]
    one, two = (find_transition(walk(m), rng()) for m in (moves, slower))
    assert two.statistic == pytest.approx(one.statistic, rel=1e-6)
    assert two.step == one.step


@pytest.mark.parametrize("period", [3.2, 5.0, 11.0])
def test_a_ripple_is_periodic_and_not_a_transition(period):
    for seed in range(2):
        found = find_transition(walk(rippled_moves(seed, period)), rng(seed))
        assert found.kind == "periodic"
        assert not found.found
        assert found.period == pytest.approx(5 * period, rel=0.06)


def test_a_rotation_beside_a_ripple_is_a_rotation_with_a_period():
    moves = rippled_moves(0, 4.0, size=0.5, noise=0.2)
    turned = moves.copy()
    turned[60:] = moves[60:] @ np.linalg.qr(rng(1).standard_normal((24, 24)))[0]
    found = find_transition(walk(turned), rng())
    assert found.kind == "rotation"
    assert abs(found.step - 300) <= 10
    assert found.period == pytest.approx(20, rel=0.06)


def test_no_ripple_in_noise_or_on_a_slope():
    called = sum(
        find_ripple(smooth_moves(seed, 121, memory=0.5), rng(seed)) is not None for seed in range(60)
    )
    assert called == 0
    assert find_ripple(rng().standard_normal((23, 4)), rng()) is None


def test_the_same_generator_gives_the_same_result():
    path = walk(smooth_moves(0))
    assert find_transition(path, rng(7)) == find_transition(path, rng(7))
    state = np.random.get_state()[1].copy()
    find_transition(path, rng(7))
    assert (np.random.get_state()[1] == state).all()


def test_an_early_last_point_is_left_out():
    path = walk(kinked_moves(0, 40, 90))
    longer = VectorPath(
        "odd end",
        np.append(path.steps_S, path.steps_S[-1] + 1),
        np.concatenate([path.vectors_SD, path.vectors_SD[:1]]),
    )
    assert find_transition(longer, rng()).step == find_transition(path, rng()).step == 200


def test_errors():
    path = walk(smooth_moves(0))
    with pytest.raises(DataError, match="too few points"):
        find_transition(walk(smooth_moves(0, n_points=29)), rng())
    with pytest.raises(DataError, match="does not move"):
        find_transition(path_of(np.ones((40, 3))), rng())
    for wrong in ({"level": 0.0}, {"level": 1.0}):
        with pytest.raises(UsageError, match="cannot be made"):
            find_transition(path, rng(), **wrong)
    with pytest.raises(DataError, match="no seed"):
        combine_transitions([])


@pytest.mark.parametrize(("level", "fewest"), [(0.01, 99), (0.05, 19), (0.03, 33), (0.5, 1)])
def test_a_null_too_small_for_its_level_is_refused(level, fewest):
    path = walk(kinked_moves(0, 40, 90))
    for n_surrogates in (fewest - 1, 0, -1):
        with pytest.raises(UsageError, match="no turn, however sharp") as caught:
            find_transition(path, rng(), level=level, n_surrogates=n_surrogates)
        assert caught.value.expected == f"{fewest} surrogates or more"
    # With one more it can be: the path has a right angle, which no surrogate reaches.
    found = find_transition(path, rng(), level=level, n_surrogates=fewest)
    assert found.p_value == pytest.approx(1 / (fewest + 1))
    assert found.found


def test_over_seeds():
    one = find_transition(walk(kinked_moves(0, 40, 90)), rng())
    none = find_transition(walk(np.tile([1.0, 0.0], (80, 1))), rng())
    seeds = [replace(one, step=step) for step in (180, 190, 200)]
    combined = combine_transitions([*seeds, none])
    assert (combined.n_seeds, combined.n_found, combined.steps) == (4, 3, (180, 190, 200))
    assert combined.step == 190
    # Student's t with two degrees of freedom: 4.302653 · 10 / √3.
    assert (combined.low, combined.high) == pytest.approx((190 - 24.8414, 190 + 24.8414), abs=1e-3)
    alone = combine_transitions([one])
    assert (alone.low, alone.high) == (one.low, one.high)
    assert "one seed" in alone.method
    assert "agree" in combine_transitions([one, one]).method
    nothing = combine_transitions([none])
    assert (nothing.n_found, nothing.step, nothing.low, nothing.high) == (0, None, None, None)
