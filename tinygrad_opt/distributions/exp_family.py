"""PyTorch's place of `ExponentialFamily`."""

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """The base class of distributions of an exponential family: `Distribution`."""
