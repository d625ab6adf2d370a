"""The normal distribution."""

from __future__ import annotations

import math
from typing import Any

from .. import functions as fn
from ..core.tensor import Tensor
from .location_scale import LocationScale

__all__ = ["Normal"]


class Normal(LocationScale):
    """The normal distribution of mean `loc` and standard deviation `scale`, which broadcast.

    log_prob(x) = -((x - loc) / scale)^2 / 2 - log(scale) - log(2 pi) / 2.

    >>> Normal(0.0, 1.0).log_prob(tensor(0.0))
    tensor(-0.9189)
    """

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """scale."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """scale^2."""
        return self.scale.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + scale * standard normal noise."""
        noise = self.loc.new_empty(self._extended_shape(sample_shape)).normal_()
        return self.loc + noise * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - fn.log(self.scale) - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most this value."""
        self._validate_sample(value)
        return 0.5 * (1 + fn.erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile."""
        return self.loc + self.scale * fn.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Tensor:
        """log(scale) + (1 + log(2 pi)) / 2."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + fn.log(self.scale)
