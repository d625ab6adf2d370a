"""Schedules that fall, step by step or smoothly: factors of an initial value."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from .core import (
    Formula,
    require_choice,
    require_fraction,
    require_integer,
    require_nonnegative,
    require_positive,
    schedule,
)

__all__ = [
    "anneal", "constant", "cosine", "cosine_restarts", "exponential", "exponential_decay", "fixed",
    "inverse_sqrt", "inverse_time", "linear", "multi_step", "multiplicative", "polynomial",
    "step_decay", "warmup", "warmup_cosine", "warmup_stable_decay",
]  # fmt: skip


@schedule
def fixed() -> Formula:
    """Always 1: the fixed rate of textbooks."""
    return lambda step: 1.0


@schedule
def constant(factor: float = 1 / 3, total_iters: int = 5) -> Formula:
    """Holds a fraction of the rate for a while, then give all of it.

        f(t) = factor for t < total_iters, and 1 from then on

    factor: within [0, 1].  total_iters: steps, at least 0 (0: no waiting, f = 1 from the start).
    Raises ValueError on settings outside those ranges.
    """
    _require_factor("Constant", "between 0 and 1", "factor", factor)
    require_integer("total_iters", total_iters, least=0)
    return lambda step: factor if step < total_iters else 1.0


@schedule
def linear(start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5) -> Formula:
    """Goes from one fraction of the rate to another in a straight line, and stay there.

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
    """Multiplies the rate by gamma every step_size steps.

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
    """Multiplies the rate by gamma at each milestone, twice where one is listed twice.

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
    """Multiplies the rate by gamma at every step.

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

        f(t) = e ^ (-decay_rate * t),  which is `exponential` with gamma = e ^ -decay_rate

    decay_rate: per step, finite, at least 0.  Raises ValueError otherwise.
    """
    require_nonnegative("decay_rate", decay_rate)
    return lambda step: math.exp(-decay_rate * step)


@schedule
def inverse_time(decay_rate: float) -> Formula:
    """Lets the rate fall as one over time, the "time decay" of textbooks.

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


# Schedules along half a cosine wave, with and without restarts ------------------------------------


@schedule
def cosine(T_max: float, end_factor: float = 0.0) -> Formula:
    """Fall from 1 along half a cosine wave, and rise again in the same way, for ever.

        f(t) = end_factor + (1 - end_factor) * (1 + cos(pi * t / T_max)) / 2

    T_max: steps from top to bottom, above 0.  end_factor: the bottom, within [0, 1].
    Raises ValueError on settings outside those ranges.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without its restarts.
    """
    require_positive("T_max", T_max)
    require_fraction("end_factor", end_factor)
    return lambda step: end_factor + (1 - end_factor) * half_cosine(step, T_max)


@schedule
def cosine_restarts(T_0: float, T_mult: float = 1, end_factor: float = 0.0) -> Formula:
    """Fall along half a cosine wave, jump back to the top, and fall again, ever more slowly.

        f(t) = end_factor + (1 - end_factor) * (1 + cos(pi * T_cur / T_i)) / 2

    T_cur: steps since the last restart.  T_i = T_0 * T_mult ^ (restarts so far).
    T_0: steps to the first restart, above 0.  T_mult: any real number, at least 1.
    end_factor: the bottom, within [0, 1].  Raises ValueError on settings outside those ranges.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5.
    """
    require_positive("T_0", T_0)
    if not T_mult >= 1:
        raise ValueError(f"T_mult must be at least 1, got {T_mult!r}")
    require_fraction("end_factor", end_factor)
    return lambda step: end_factor + (1 - end_factor) * half_cosine(*in_cycle(step, T_0, T_mult))


@schedule
def anneal(start: float, end: float, steps: int, strategy: str = "cos") -> Formula:
    """Goes from one value to another, and stay there.

        p = min(t / steps, 1)
        f(t) = start + (end - start) * (p, or (1 - cos(pi * p)) / 2)

    strategy: "linear", or "cos" for the second.  steps: at least 0 (0: `end` from the start).
    Raises ValueError on settings outside those ranges.
    """
    require_integer("steps", steps, least=0)
    require_choice("strategy", strategy, ("cos", "linear"))
    return lambda step: end + (start - end) * left_of(step, steps, strategy)


def half_cosine(step: float, length: float) -> float:
    """1 at step 0, 0 at step `length`, half a cosine wave between; exactly 0 at its bottom."""
    return (1 + math.cos(math.pi * step / length)) / 2


def left_of(step: float, steps: int, strategy: str) -> float:
    """What is left of a way after some of its steps: from 1 to 0, and 0 beyond its end."""
    if step >= steps:
        return 0.0
    return half_cosine(step, steps) if strategy == "cos" else 1 - step / steps


def in_cycle(step: float, first: float, growth: float) -> tuple[float, float]:
    """Where `step` lies: (steps since the cycle began, the length of that cycle).

    Cycle i is first * growth^i long; whole numbers stay whole.
    """
    if growth == 1:
        return step % first, first
    i = int(math.log1p(step / first * (growth - 1)) / math.log(growth))
    start, length = _cycle(i, first, growth)
    if not start <= step < start + length:  # the logarithm was rounded across a restart
        start, length = _cycle(i - 1 if step < start else i + 1, first, growth)
    return step - start, length


def _cycle(i: int, first: float, growth: float) -> tuple[float, float]:
    """The step at which cycle i begins, first + first * growth + ... (i terms), and its length."""
    length = first * growth**i
    sum_before = length - first  # of a geometric series, times (growth - 1)
    if isinstance(length, int) and isinstance(growth, int):
        return sum_before // (growth - 1), length
    return sum_before / (growth - 1), length


# Schedules that begin with a warm-up --------------------------------------------------------------


COOLDOWNS: dict[str, Callable[[float], float]] = {
    "1-sqrt": lambda done: 1 - math.sqrt(done),
    "linear": lambda done: 1 - done,
    "cosine": lambda done: half_cosine(done, 1),
}


@schedule
def warmup(steps: int) -> Formula:
    """Rise in a straight line, and stay.

        f(t) = min(1, (t + 1) / steps)

    steps: at least 0 (0: no warm-up).  Raises ValueError otherwise.
    """
    require_integer("steps", steps, least=0)
    return lambda step: (step + 1) / steps if step + 1 < steps else 1.0


@schedule
def warmup_cosine(warmup_steps: int, total_steps: int, end_factor: float = 0.0) -> Formula:
    """Warm up, then fall along half a cosine wave until total_steps, and stay there.

        f(t) = (t + 1) / warmup_steps,                                             t < warmup_steps
        f(t) = end_factor + (1 - end_factor) * (1 + cos(pi * p)) / 2,
               p = (t - warmup_steps) / (total_steps - warmup_steps), at most 1

    warmup_steps: at least 0.  total_steps: warm-up included, more than warmup_steps.
    end_factor: within [0, 1].  Raises ValueError on settings outside those ranges.
    """
    rise = warmup(warmup_steps)
    require_integer("total_steps", total_steps, least=warmup_steps + 1)
    require_fraction("end_factor", end_factor)
    length = total_steps - warmup_steps

    def formula(step: float) -> float:
        if step < warmup_steps:
            return rise(step)
        if step >= total_steps:
            return end_factor
        return end_factor + (1 - end_factor) * half_cosine(step - warmup_steps, length)

    return formula


@schedule
def warmup_stable_decay(
    warmup_steps: int,
    stable_steps: int,
    decay_steps: int,
    end_factor: float = 0.0,
    cooldown: str = "1-sqrt",
) -> Formula:
    """Warm up, hold, then cool down.

        f(t) = (t + 1) / warmup_steps,  then 1,  then end_factor + (1 - end_factor) * c(p)
        c(p) = 1 - sqrt(p)  or  1 - p  or  (1 + cos(pi * p)) / 2,  p from 0 to 1 over decay_steps

    The three lengths: steps, at least 0.  end_factor: within [0, 1].
    cooldown: "1-sqrt", "linear" or "cosine".  Raises ValueError on anything else.
    Source: Hägele et al. 2024, arXiv:2405.18392, sect. 4 (1-sqrt beats linear); the name: Hu et al.
    2024, arXiv:2404.06395.
    """
    rise = warmup(warmup_steps)
    require_integer("stable_steps", stable_steps, least=0)
    require_integer("decay_steps", decay_steps, least=0)
    require_fraction("end_factor", end_factor)
    require_choice("cooldown", cooldown, tuple(COOLDOWNS))
    shape, start = COOLDOWNS[cooldown], warmup_steps + stable_steps

    def formula(step: float) -> float:
        if step < start:
            return rise(step)
        if step >= start + decay_steps:
            return end_factor
        return end_factor + (1 - end_factor) * shape((step - start) / decay_steps)

    return formula


@schedule
def inverse_sqrt(warmup_steps: int) -> Formula:
    """Warm up, then fall as one over the square root of the step: the Noam schedule.

        f(t) = min((t + 1) / warmup_steps, sqrt(warmup_steps / (t + 1)))

    warmup_steps: at least 1.  Raises ValueError otherwise.
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 3; differs: divided by its peak, so that the
    initial rate is the peak. For the paper's values let that be (d_model * warmup_steps) ** -0.5.
    """
    require_integer("warmup_steps", warmup_steps, least=1)
    return lambda step: min((step + 1) / warmup_steps, math.sqrt(warmup_steps / (step + 1)))
