"""The log-normal distribution."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import functions as fn
from ..core.tensor import Tensor
from . import constraints
from .normal import Normal
from .transformed_distribution import TransformedDistribution
from .transforms import ExpTransform

__all__ = ["LogNormal"]


class LogNormal(TransformedDistribution):
    """e^x of a normal x: `loc` and `scale` are those of the logarithm.

    >>> LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    has_rsample = True
    base_dist: Normal

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        """e^(loc + scale^2 / 2)."""
        return fn.exp(self.loc + self.scale.pow(2) / 2)

    @property
    def mode(self) -> Tensor:
        """e^(loc - scale^2)."""
        return fn.exp(self.loc - self.scale.pow(2))

    @property
    def variance(self) -> Tensor:
        """(e^scale^2 - 1) e^(2 loc + scale^2)."""
        square = self.scale.pow(2)
        return fn.expm1(square) * fn.exp(2 * self.loc + square)

    def entropy(self) -> Tensor:
        """The entropy of the normal distribution, + loc."""
        return self.base_dist.entropy() + self.loc
