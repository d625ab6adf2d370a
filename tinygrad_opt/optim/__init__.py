"""Optimizers and learning-rate schedulers, as `torch.optim`; `textbook`: other forms."""

from . import (
    adam,
    adaptive,
    layerwise,
    lr_scheduler,
    matrix,
    parameters,
    prodigy,
    schedule_free,
    sgd,
    swa_utils,
    textbook,
)
from .adam import *
from .adaptive import *
from .layerwise import *
from .lbfgs import LBFGS
from .matrix import *
from .optimizer import Optimizer
from .parameters import *
from .prodigy import *
from .schedule_free import *
from .sgd import *

__all__ = [
    name for file in (adam, adaptive, layerwise, matrix, parameters, prodigy, schedule_free, sgd)
    for name in file.__all__
]  # fmt: skip
__all__ += ("LBFGS", "Optimizer", "lr_scheduler", "swa_utils", "textbook")
