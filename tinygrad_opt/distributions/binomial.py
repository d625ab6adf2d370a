"""PyTorch's place of `Binomial`."""

from .counts import Binomial

__all__ = ["Binomial"]
