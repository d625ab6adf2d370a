"""PyTorch's place of `NegativeBinomial`."""

from .counts import NegativeBinomial

__all__ = ["NegativeBinomial"]
