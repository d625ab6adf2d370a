"""The halves above 0 of the normal and of the Cauchy distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import functions as fn
from ..core.tensor import Tensor
from ..tensors.creation import zeros_like
from . import constraints
from .cauchy import Cauchy
from .normal import Normal
from .transformed_distribution import TransformedDistribution
from .transforms import AbsTransform

__all__ = ["HalfCauchy", "HalfNormal"]


class _Half(TransformedDistribution):
    arg_constraints: ClassVar[Any] = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    base_dist: Any

    @property
    def scale(self) -> Tensor:
        """The scale of the whole distribution."""
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        """0."""
        return zeros_like(self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log probability of the whole + log 2, and -inf below 0."""
        self._validate_sample(value)
        found = self.base_dist.log_prob(value) + math.log(2)
        return fn.where(value >= 0, found, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """2 cdf - 1."""
        self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile."""
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        """The entropy of the whole - log 2."""
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(_Half):
    """|x| of a normal x of mean 0.

    >>> HalfNormal(1.0).mean
    tensor(0.7979)
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, False), AbsTransform(), validate_args)

    @property
    def mean(self) -> Tensor:
        """scale sqrt(2 / pi)."""
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        """scale^2 (1 - 2 / pi)."""
        return self.scale.pow(2) * (1 - 2 / math.pi)


class HalfCauchy(_Half):
    """|x| of a Cauchy x about 0.

    >>> HalfCauchy(1.0).log_prob(tensor(0.0))
    tensor(-0.4516)
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, False), AbsTransform(), validate_args)

    @property
    def mean(self) -> Tensor:
        """Infinite."""
        return self.scale * math.inf

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.scale * math.inf
