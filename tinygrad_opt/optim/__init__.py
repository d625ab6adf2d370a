"""Optimizers and learning-rate schedulers, as `torch.optim`; `textbook`: other forms."""

from . import lr_scheduler, textbook
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler", "textbook"]
