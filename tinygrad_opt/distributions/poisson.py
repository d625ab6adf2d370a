"""PyTorch's place of `Poisson`."""

from .counts import Poisson

__all__ = ["Poisson"]
