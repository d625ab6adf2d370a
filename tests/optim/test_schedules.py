"""Schedules as pure functions: values worked out by hand, and bad settings."""

import math

import pytest

from tinygrad_opt.optim import schedules

GOLDEN = [
    (schedules.constant(), [1 / 3] * 5 + [1.0, 1.0]),
    (schedules.constant(factor=0.25, total_iters=2), [0.25, 0.25, 1.0, 1.0]),
    (schedules.constant(factor=0.25, total_iters=0), [1.0, 1.0]),
    (schedules.constant(factor=0, total_iters=1), [0, 1.0]),
    (schedules.step_decay(step_size=3), [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1**2]),
    (schedules.step_decay(step_size=1, gamma=2), [1.0, 2.0, 4.0, 8.0]),
    (schedules.exponential(gamma=0.5), [1.0, 0.5, 0.25, 0.125]),
    (schedules.exponential(gamma=0), [1.0, 0.0, 0.0]),
    (schedules.inverse_time(decay_rate=0.5), [1.0, 1 / 1.5, 0.5, 1 / 2.5, 1 / 3]),
    (schedules.inverse_time(decay_rate=0), [1.0, 1.0]),
]


@pytest.mark.parametrize(("schedule", "expected"), GOLDEN)
def test_values_worked_out_by_hand(schedule, expected):
    assert [schedule(step) for step in range(len(expected))] == expected


@pytest.mark.parametrize(("schedule", "expected"), GOLDEN)
def test_history_does_not_matter(schedule, expected):
    backwards = [schedule(step) for step in reversed(range(len(expected)))]
    assert backwards[::-1] == expected


def test_growth_beyond_the_largest_float_is_infinite():
    assert schedules.exponential(gamma=2.0)(10_000) == math.inf


@pytest.mark.parametrize("factor", [-0.1, 1.1, math.nan, "half", None])
def test_constant_factor_is_checked(factor):
    message = "Constant multiplicative factor expected to be between 0 and 1.*got factor="
    with pytest.raises(ValueError, match=message):
        schedules.constant(factor=factor)


@pytest.mark.parametrize("gamma", [-0.5, math.nan, math.inf, "0.1", None])
def test_gamma_is_checked(gamma):
    message = f"gamma must be a finite number, at least 0, got {gamma!r}"
    with pytest.raises(ValueError, match=message):
        schedules.exponential(gamma)
    with pytest.raises(ValueError, match=message):
        schedules.step_decay(3, gamma)


@pytest.mark.parametrize("decay_rate", [-0.5, math.nan, math.inf, "0.1"])
def test_decay_rate_is_checked(decay_rate):
    with pytest.raises(ValueError, match="decay_rate must be a finite number, at least 0, got"):
        schedules.inverse_time(decay_rate)


@pytest.mark.parametrize("step_size", [0, -3, 2.5, "3", None])
def test_step_size_is_checked(step_size):
    with pytest.raises(ValueError, match="step_size must be an integer, at least 1, got"):
        schedules.step_decay(step_size)


@pytest.mark.parametrize("total_iters", [-1, 2.5, "3"])
def test_total_iters_is_checked(total_iters):
    with pytest.raises(ValueError, match="total_iters must be an integer, at least 0, got"):
        schedules.constant(total_iters=total_iters)
