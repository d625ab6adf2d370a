"""PyTorch's place of `HalfNormal`."""

from .half import HalfNormal

__all__ = ["HalfNormal"]
