"""Schedules that begin with a warm-up.

All warm up in the same way: with W steps of warm-up, f(t) = (t + 1) / W before step W - 1. So the
first step is small but not lost to a rate of zero, and step W - 1 is the first with the whole rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .checks import require_choice, require_fraction, require_integer
from .core import Formula, schedule
from .cosine import half_cosine

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
