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

from .core import *
from .core import __all__ as _core
from .cyclic import *
from .cyclic import __all__ as _cyclic
from .decay import *
from .decay import __all__ as _decay

__all__ = [*_core, *_cyclic, *_decay]
