"""Schedules as pure functions of the step: no optimizer, no state, no history.

Each function here takes a schedule's settings and returns the schedule, a function from the step
(0, 1, 2, ... in whatever unit `scheduler.step()` is called) to the value. Most values are factors
of an initial one; `cyclic`, `one_cycle` and `anneal` take theirs from their settings. The value of
any step can be asked for in any order:

    >>> halve = step_decay(step_size=2, gamma=0.5)
    >>> [halve(step) for step in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]

They are combined with `*` and `.then`, drawn by `tinygrad_opt.optim.plot.plot_schedule`, and
applied to optimizers by the classes of `lr_scheduler`.
"""

from .core import Schedule, chained, from_json, scaled, schedule, sequential, to_json
from .cyclic import cyclic, one_cycle
from .decay import (
    anneal,
    constant,
    cosine,
    cosine_restarts,
    exponential,
    exponential_decay,
    fixed,
    inverse_sqrt,
    inverse_time,
    linear,
    multi_step,
    multiplicative,
    polynomial,
    step_decay,
    warmup,
    warmup_cosine,
    warmup_stable_decay,
)

__all__ = [
    "Schedule",
    "anneal",
    "chained",
    "constant",
    "cosine",
    "cosine_restarts",
    "cyclic",
    "exponential",
    "exponential_decay",
    "fixed",
    "from_json",
    "inverse_sqrt",
    "inverse_time",
    "linear",
    "multi_step",
    "multiplicative",
    "one_cycle",
    "polynomial",
    "scaled",
    "schedule",
    "sequential",
    "step_decay",
    "to_json",
    "warmup",
    "warmup_cosine",
    "warmup_stable_decay",
]
