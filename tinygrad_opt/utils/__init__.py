"""What surrounds training, as `torch.utils`: `data` feeds it, `checkpoint` saves memory."""

from ..autograd import recompute
from ..data import loader
from . import hooks

__all__ = ["checkpoint", "data", "hooks"]
