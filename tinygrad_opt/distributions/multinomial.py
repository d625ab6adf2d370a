"""PyTorch's place of `Multinomial`."""

from .counts import Multinomial

__all__ = ["Multinomial"]
