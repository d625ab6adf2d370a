"""The Cauchy distribution, and the half of it above 0."""

from __future__ import annotations

import math
from typing import Any

from .. import functions as fn
from ..core.tensor import Tensor
from .location_scale import LocationScale
from .utils import uniform

__all__ = ["Cauchy"]


class Cauchy(LocationScale):
    """The ratio of two normal numbers: tails so heavy that there is no mean.

    log_prob(x) = -log(pi scale) - log(1 + ((x - loc) / scale)^2).

    >>> Cauchy(0.0, 1.0).log_prob(tensor(0.0))
    tensor(-1.1447)
    """

    @property
    def mean(self) -> Tensor:
        """NaN: there is none."""
        return self.loc.detach() * math.nan

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.loc.detach() * 0 + math.inf

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + scale * standard Cauchy noise."""
        u = uniform(self._extended_shape(sample_shape), self.loc)
        return self.loc + self.scale * fn.tan(math.pi * (u - 0.5))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return -math.log(math.pi) - fn.log(self.scale) - fn.log1p(z * z)

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most this value."""
        self._validate_sample(value)
        return fn.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile."""
        return self.loc + self.scale * fn.tan(math.pi * (value - 0.5))

    def entropy(self) -> Tensor:
        """log(4 pi scale)."""
        return math.log(4 * math.pi) + fn.log(self.scale)
