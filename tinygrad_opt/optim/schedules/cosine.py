"""Schedules along half a cosine wave, with and without restarts."""

from __future__ import annotations

import math

from .checks import require_choice, require_fraction, require_integer, require_positive
from .core import Formula, schedule


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
    """Go from one value to another, and stay there.

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
