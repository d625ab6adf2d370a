"""PyTorch's place of `RelaxedBernoulli`."""

from .relaxed import RelaxedBernoulli

__all__ = ["RelaxedBernoulli"]
