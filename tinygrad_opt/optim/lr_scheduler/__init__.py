"""Learning-rate schedulers: all of PyTorch's, with its names, calls and values, and some more.

Each class holds its settings and a counter, and takes its formula from `optim.schedules`. What they
share (the protocol, warnings, exact resuming, two schedulers on one optimizer) is in `base.py`. An
"epoch" is one call of `scheduler.step()`.

    a factor of the step     factors.py: most of PyTorch's, the textbook three, with a warm-up
    up and down, momentum    cyclic.py: CyclicLR, OneCycleLR
    by what the loss does    plateau.py
    of several schedulers    compose.py
    with any function        custom.py: LambdaLR, ScheduleLR, HyperparameterScheduler
    for averaged weights     swa.py
    of your own              derive from FactorScheduler or LRScheduler
"""

from .base import EPOCH_DEPRECATION_WARNING, LRScheduler
from .compose import ChainedScheduler, SequentialLR
from .custom import HyperparameterScheduler, LambdaLR, MultiplicativeLR, ScheduleLR
from .cyclic import CyclicLR, OneCycleLR
from .factor import FactorScheduler
from .factors import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CosineRestartsLR,
    ExponentialDecayLR,
    ExponentialLR,
    FixedLR,
    InverseSqrtLR,
    InverseTimeLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
    TimeDecayLR,
    WarmupCosineLR,
    WarmupStableDecayLR,
)
from .plateau import PlateauLR, ReduceLROnPlateau
from .swa import SWALR

__all__ = [
    "EPOCH_DEPRECATION_WARNING",
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CosineRestartsLR",
    "CyclicLR",
    "ExponentialDecayLR",
    "ExponentialLR",
    "FactorScheduler",
    "FixedLR",
    "HyperparameterScheduler",
    "InverseSqrtLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PlateauLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "ScheduleLR",
    "SequentialLR",
    "StepLR",
    "TimeDecayLR",
    "WarmupCosineLR",
    "WarmupStableDecayLR",
]


class _LRScheduler(LRScheduler):
    """The older name, for code that still derives from it."""
