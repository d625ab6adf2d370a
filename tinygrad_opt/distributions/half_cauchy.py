"""PyTorch's place of `HalfCauchy`."""

from .half import HalfCauchy

__all__ = ["HalfCauchy"]
