"""Schedules between two given values, there and back: cycles without end, and one cycle."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .core import Formula, require_integer, require_nonnegative, require_positive, schedule
from .decay import powers

__all__ = ["cyclic", "one_cycle"]

MODES = ("triangular", "triangular2", "exp_range")


@schedule
def cyclic(
    base: float,
    peak: float,
    step_size_up: float = 2000,
    step_size_down: float | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
) -> Formula:
    """Goes up and down between two values in straight lines, for ever.

        f(t) = base + (peak - base) * x * scale
        x: rises from 0 to 1 in step_size_up steps, falls back in step_size_down steps
        scale: 1 (triangular), 1/2^(cycle - 1) (triangular2), gamma^t (exp_range)

    step_size_up, step_size_down: steps, above 0 and at least 0; the second is the first if None.
    A peak below the base cycles downwards, as momentum does.
    Raises ValueError on another mode, or settings outside those ranges.
    Source: Smith 2017, arXiv:1506.01186.
    """
    require_positive("step_size_up", step_size_up)
    down = step_size_up if step_size_down is None else step_size_down
    require_nonnegative("step_size_down", down)
    total, share = step_size_up + down, step_size_up / (step_size_up + down)
    scale = cycle_scale(mode, gamma)

    def formula(step: float) -> float:
        height, cycle = triangle(step, total, share)
        return base + (peak - base) * (height * scale(step if mode == "exp_range" else cycle))

    return formula


def triangle(step: float, total: float, share: float) -> tuple[float, int]:
    """(height within [0, 1], number of the cycle from 1 on).

    total: steps of one cycle.  share: the part of them that goes up.
    """
    cycle = math.floor(1 + step / total)
    x = 1.0 + step / total - cycle
    return (x / share if x <= share else (x - 1) / (share - 1)), cycle


def cycle_scale(mode: str, gamma: float) -> Callable[[float], float]:
    """How high the peaks are: a function of the cycle (1, 2, ...), in exp_range of the step."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
    if mode == "triangular":
        return lambda cycle: 1.0
    if mode == "triangular2":
        return lambda cycle: 2.0 ** (1 - cycle)
    return powers(gamma)


@schedule
def one_cycle(
    peak: float,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Formula:
    """Rise to a peak once, then fall to almost nothing: the 1cycle policy.

        start = peak / div_factor,  end = start / final_div_factor
        two phases:   start -> peak -> end,  the peak at step pct_start * total_steps - 1
        three phases: start -> peak -> start -> end, the middle one as long as the first

    total_steps: at least 1; the last step is total_steps - 1, later ones are extrapolated.
    Raises ValueError on settings that make no sense.
    Source: Smith & Topin 2018, arXiv:1708.07120; two phases after fastai.
    """
    ends = one_cycle_ends(total_steps, pct_start, three_phase)
    between = interpolation(anneal_strategy)
    start = peak / div_factor
    last = start / final_div_factor
    values = [start, peak, start, last] if three_phase else [start, peak, last]

    def formula(step: float) -> float:
        i, done = phase_of(step, ends)
        return between(values[i], values[i + 1], done)

    return formula


def one_cycle_ends(total_steps: int, pct_start: float, three_phase: bool) -> list[float]:
    """The step at which each phase ends."""
    require_integer("total_steps", total_steps, least=1)
    if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
        raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
    peak = float(pct_start * total_steps)
    if three_phase:
        return [peak - 1, float(2 * pct_start * total_steps) - 2, total_steps - 1]
    return [peak - 1, total_steps - 1]


def phase_of(step: float, ends: Sequence[float]) -> tuple[int, float]:
    """(the phase that a step is in, the part of it that is done); the last phase never ends."""
    i, start, last = 0, 0.0, len(ends) - 1
    while i < last and step > ends[i]:
        i, start = i + 1, ends[i]
    length = ends[i] - start
    return i, (step - start) / length if length else 1.0  # of no length: it is done at once


def interpolation(strategy: str) -> Callable[[float, float, float], float]:
    """The function (start, end, part done) -> value that a strategy names."""
    if strategy not in ("cos", "linear"):
        raise ValueError(
            f"anneal_strategy must be one of 'cos' or 'linear', instead got {strategy}"
        )
    return along_cosine if strategy == "cos" else along_line


def along_cosine(start: float, end: float, done: float) -> float:
    """Between two values along half a cosine wave."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)


def along_line(start: float, end: float, done: float) -> float:
    """Between two values in a straight line."""
    return (end - start) * done + start
