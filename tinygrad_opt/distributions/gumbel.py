"""The Gumbel distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import functions as fn
from ..core.tensor import Tensor
from .location_scale import LocationScale
from .utils import uniform

__all__ = ["Gumbel"]

EULER = 0.57721566490153286060


class Gumbel(LocationScale):
    """The largest of many: loc - scale * log(exponential noise).

    log_prob(x) = z - e^z - log(scale), z = (loc - x) / scale.

    >>> Gumbel(0.0, 1.0).log_prob(tensor(0.0))
    tensor(-1.)
    """

    @property
    def mean(self) -> Tensor:
        """loc + 0.5772 scale."""
        return self.loc + self.scale * EULER

    @property
    def stddev(self) -> Tensor:
        """pi / sqrt(6) scale."""
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self) -> Tensor:
        """pi^2 / 6 scale^2."""
        return self.stddev.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + scale * standard Gumbel noise."""
        u = uniform(self._extended_shape(sample_shape), self.loc)
        return self.loc - self.scale * fn.log(-fn.log1p(-u))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        z = (self.loc - value) / self.scale
        return z - fn.exp(z) - fn.log(self.scale)

    def cdf(self, value: Tensor) -> Tensor:
        """e^-e^((loc - value) / scale)."""
        self._validate_sample(value)
        return fn.exp(-fn.exp((self.loc - value) / self.scale))

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile."""
        return self.loc - self.scale * fn.log(-fn.log(value))

    def entropy(self) -> Tensor:
        """log(scale) + 1 + 0.5772."""
        return fn.log(self.scale) + (1 + EULER)
