"""Learning-rate schedulers: all of PyTorch's, with its names, calls and values, and some more.

Each class holds its settings and a counter, and takes its formula from `optim.schedules`. What they
share (the protocol, warnings, exact resuming, two schedulers on one optimizer) is in `base.py`. An
"epoch" is one call of `scheduler.step()`.

    a factor of the step     decay.py: most of PyTorch's, the textbook three, with a warm-up
    up and down, momentum    cyclic.py: CyclicLR, OneCycleLR
    by what the loss does    plateau.py
    of several schedulers    compose.py
    with any function        custom.py: LambdaLR, ScheduleLR, HyperparameterScheduler
    for averaged weights     swa.py
    of your own              derive from FactorScheduler or LRScheduler
"""

from . import base, compose, custom, cyclic, decay, factor, plateau, swa
from .base import *
from .base import LRScheduler
from .compose import *
from .custom import *
from .cyclic import *
from .decay import *
from .decay import InverseTimeLR
from .factor import *
from .plateau import *
from .swa import *

__all__ = [
    name for file in (base, compose, custom, cyclic, decay, factor, plateau, swa)
    for name in file.__all__
]  # fmt: skip


class _LRScheduler(LRScheduler):
    """The older name, for code that still derives from it."""
