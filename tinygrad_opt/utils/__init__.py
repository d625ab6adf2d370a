"""What surrounds training, as `torch.utils`: `data` feeds it."""

from . import data

__all__ = ["data"]
