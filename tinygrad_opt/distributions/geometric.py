"""PyTorch's place of `Geometric`."""

from .counts import Geometric

__all__ = ["Geometric"]
