"""Learning-rate schedulers: all of PyTorch's, with its names, calls and values, and some more.

Each class holds its settings and a counter, and takes its formula from `optim.schedules`. What they
share (the protocol, warnings, exact resuming, two schedulers on one optimizer) is in
`scheduler_base`. An "epoch" is one call of `scheduler.step()`.

    PyTorch's            lambdas.py, decay.py, cosine.py, cyclic.py, plateau.py, compose.py, swa.py
    the textbook three   textbook.py: FixedLR, ExponentialDecayLR, TimeDecayLR
    with a warm-up       warmup.py: WarmupCosineLR, WarmupStableDecayLR, InverseSqrtLR
    with any schedule    custom.py: ScheduleLR, HyperparameterScheduler (any setting of any group)
    of your own          derive from FactorScheduler or LRScheduler
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
