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

from ..factor_scheduler import FactorScheduler
from ..scheduler_base import EPOCH_DEPRECATION_WARNING, LRScheduler
from .compose import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts, CosineRestartsLR
from .custom import HyperparameterScheduler, ScheduleLR
from .cyclic import CyclicLR
from .decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from .lambdas import LambdaLR, MultiplicativeLR
from .one_cycle import OneCycleLR
from .plateau import PlateauLR, ReduceLROnPlateau
from .swa import SWALR
from .textbook import ExponentialDecayLR, FixedLR, InverseTimeLR, TimeDecayLR
from .warmup import InverseSqrtLR, WarmupCosineLR, WarmupStableDecayLR

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
