"""Optimizers and learning-rate schedulers, as `torch.optim`; `textbook`: other forms."""

from . import (
    adam,
    adam_relatives,
    adaptive,
    layerwise,
    lr_scheduler,
    matrix,
    parameters,
    prodigy,
    schedule_free,
    sgd,
    soap,
    swa_utils,
    textbook,
)
from .adam import *
from .adam_relatives import *
from .adaptive import *
from .layerwise import *
from .lbfgs import LBFGS
from .matrix import *
from .optimizer import Optimizer
from .parameters import *
from .prodigy import *
from .schedule_free import *
from .sgd import *
from .soap import *

_FILES = (
    adam, adam_relatives, adaptive, layerwise, matrix, parameters, prodigy, schedule_free, sgd,
    soap,
)  # fmt: skip
__all__ = [name for file in _FILES for name in file.__all__]
__all__ += ("LBFGS", "Optimizer", "lr_scheduler", "swa_utils", "textbook")
