"""Learning-rate schedules as pure functions of the step: no optimizer, no state, no history.

Each function here takes a schedule's settings and returns the schedule, a function from the step
(0, 1, 2, ... in whatever unit `scheduler.step()` is called) to the factor that multiplies the
initial learning rate. The factor of any step can be asked for in any order:

    >>> halve = step_decay(step_size=2, gamma=0.5)
    >>> [halve(step) for step in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]

The classes of `lr_scheduler` apply these functions to an optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

__all__ = ["Schedule", "constant", "exponential", "inverse_time", "step_decay"]

Schedule = Callable[[float], float]


def constant(factor: float = 1 / 3, total_iters: int = 5) -> Schedule:
    """Hold a fraction of the rate for a while, then give all of it.

        f(t) = factor for t < total_iters, and 1 from then on

    factor: within [0, 1].  total_iters: steps, at least 0 (0: no waiting, f = 1 from the start).
    Raises ValueError on settings outside those ranges.
    """
    if not (isinstance(factor, (int, float, Real)) and 0 <= factor <= 1):
        raise ValueError(
            f"Constant multiplicative factor expected to be between 0 and 1, got factor={factor!r}"
        )
    _require_integer("total_iters", total_iters, least=0)
    return lambda step: factor if step < total_iters else 1.0


def step_decay(step_size: int, gamma: float = 0.1) -> Schedule:
    """Multiply the rate by gamma every step_size steps.

        f(t) = gamma ^ floor(t / step_size)

    step_size: steps, at least 1.  gamma: finite, at least 0.
    Raises ValueError on settings outside those ranges.
    """
    _require_integer("step_size", step_size, least=1)
    _require_nonnegative("gamma", gamma)
    return lambda step: _power(gamma, step // step_size)


def exponential(gamma: float) -> Schedule:
    """Multiply the rate by gamma at every step.

        f(t) = gamma ^ t

    gamma: finite, at least 0.  Raises ValueError otherwise.
    """
    _require_nonnegative("gamma", gamma)
    return lambda step: _power(gamma, step)


def inverse_time(decay_rate: float) -> Schedule:
    """Let the rate fall as one over time, the "time decay" of textbooks.

        f(t) = 1 / (1 + decay_rate * t)

    decay_rate: per step, finite, at least 0 (below 0 the rate would pass through infinity).
    Raises ValueError otherwise.
    """
    _require_nonnegative("decay_rate", decay_rate)
    return lambda step: 1.0 / (1.0 + decay_rate * step)


def _power(base: float, exponent: float) -> float:
    """Return base ^ exponent, infinite where Python would raise OverflowError."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf


def _require_nonnegative(name: str, value: Any) -> None:
    # int and float stand before Real, which is an abstract class and slow to ask; NaN fails too.
    if not (isinstance(value, (int, float, Real)) and 0 <= float(value) < math.inf):
        raise ValueError(f"{name} must be a finite number, at least 0, got {value!r}")


def _require_integer(name: str, value: Any, least: int) -> None:
    if not (isinstance(value, (int, Integral)) and int(value) >= least):
        raise ValueError(f"{name} must be an integer, at least {least}, got {value!r}")
