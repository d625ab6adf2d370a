"""Schedules that fall, step by step or smoothly: factors of an initial value."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from .checks import require_integer, require_nonnegative
from .core import Formula, schedule


@schedule
def fixed() -> Formula:
    """Always 1: the fixed rate of textbooks."""
    return lambda step: 1.0


@schedule
def constant(factor: float = 1 / 3, total_iters: int = 5) -> Formula:
    """Hold a fraction of the rate for a while, then give all of it.

        f(t) = factor for t < total_iters, and 1 from then on

    factor: within [0, 1].  total_iters: steps, at least 0 (0: no waiting, f = 1 from the start).
    Raises ValueError on settings outside those ranges.
    """
    _require_factor("Constant", "between 0 and 1", "factor", factor)
    require_integer("total_iters", total_iters, least=0)
    return lambda step: factor if step < total_iters else 1.0


@schedule
def linear(start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5) -> Formula:
    """Go from one fraction of the rate to another in a straight line, and stay there.

        f(t) = start_factor + (end_factor - start_factor) * t / total_iters,  t < total_iters
        f(t) = end_factor from then on

    start_factor: within (0, 1].  end_factor: within [0, 1].  total_iters: steps, at least 0.
    Raises ValueError on settings outside those ranges.
    """
    expected = "greater than 0 and less or equal to 1"  # from 0 no ratio leads on
    _require_factor("Starting", expected, "start_factor", start_factor)
    _require_factor("Ending", "between 0 and 1", "end_factor", end_factor)
    require_integer("total_iters", total_iters, least=0)
    rise = end_factor - start_factor
    return lambda step: (
        start_factor + rise * step / total_iters if step < total_iters else end_factor
    )


@schedule
def step_decay(step_size: int, gamma: float = 0.1) -> Formula:
    """Multiply the rate by gamma every step_size steps.

        f(t) = gamma ^ floor(t / step_size)

    step_size: steps, at least 1.  gamma: finite, at least 0.
    Raises ValueError on settings outside those ranges.
    """
    require_integer("step_size", step_size, least=1)
    require_nonnegative("gamma", gamma)
    power = powers(gamma)
    return lambda step: power(step // step_size)


@schedule
def multi_step(milestones: Sequence[int], gamma: float = 0.1) -> Formula:
    """Multiply the rate by gamma at each milestone, twice where one is listed twice.

        f(t) = gamma ^ (how many milestones are <= t)

    milestones: steps, at least 0, in any order.  gamma: finite, at least 0.
    Raises ValueError on settings outside those ranges.
    """
    for milestone in milestones:
        require_integer("milestones", milestone, least=0)
    require_nonnegative("gamma", gamma)
    power, ordered = powers(gamma), sorted(milestones)
    return lambda step: power(bisect_right(ordered, step))


@schedule
def exponential(gamma: float) -> Formula:
    """Multiply the rate by gamma at every step.

        f(t) = gamma ^ t

    gamma: finite, at least 0.  Raises ValueError otherwise.
    """
    require_nonnegative("gamma", gamma)
    return powers(gamma)


@schedule
def polynomial(total_iters: int = 5, power: float = 1.0) -> Formula:
    """Fall to 0 along a power of the time that is left.

        f(t) = (1 - min(t, total_iters) / total_iters) ^ power

    total_iters: steps, at least 1.  power: finite, at least 0.
    Raises ValueError on settings outside those ranges.
    """
    require_integer("total_iters", total_iters, least=1)
    require_nonnegative("power", power)
    return lambda step: (1.0 - min(total_iters, step) / total_iters) ** power


@schedule
def exponential_decay(decay_rate: float) -> Formula:
    """The exponential decay of textbooks: by the rate of decay, not by a factor per step.

        f(t) = e ^ (-decay_rate * t),  which is gamma ^ t with gamma = e ^ -decay_rate

    decay_rate: per step, finite, at least 0.  Raises ValueError otherwise.
    """
    require_nonnegative("decay_rate", decay_rate)
    return lambda step: math.exp(-decay_rate * step)


@schedule
def inverse_time(decay_rate: float) -> Formula:
    """Let the rate fall as one over time, the "time decay" of textbooks.

        f(t) = 1 / (1 + decay_rate * t)

    decay_rate: per step, finite, at least 0 (below 0 the rate would pass through infinity).
    Raises ValueError otherwise.
    """
    require_nonnegative("decay_rate", decay_rate)
    return lambda step: 1.0 / (1.0 + decay_rate * step)


@schedule
def multiplicative(factor: Callable[[int], float]) -> Formula:
    """The running product of a function of the step.

        f(t) = factor(1) * factor(2) * ... * factor(t)

    There is no shorter form for an unknown function: asking for f(t) calls it t times.
    Raises TypeError for what cannot be called.
    """
    if not callable(factor):
        raise TypeError(f"factor should be a function, but got {type(factor).__name__}")
    return lambda step: math.prod(factor(i) for i in range(1, int(step) + 1))


def powers(base: float) -> Formula:
    """The function exponent -> base ^ exponent, infinite where Python would overflow."""
    base = float(base)
    if base <= 1:
        return lambda exponent: base**exponent

    def formula(exponent: float) -> float:
        try:
            return base**exponent
        except OverflowError:
            return math.inf

    return formula


def _require_factor(which: str, expected: str, name: str, value: Any) -> None:
    allowed = isinstance(value, (int, float, Real)) and 0 <= float(value) <= 1
    if not allowed or (value == 0 and expected.startswith("greater")):
        raise ValueError(
            f"{which} multiplicative factor expected to be {expected}, got {name}={value!r}"
        )
