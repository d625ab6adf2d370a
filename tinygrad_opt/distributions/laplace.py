"""The Laplace distribution."""

from __future__ import annotations

from typing import Any

from .. import functions as fn
from ..core.tensor import Tensor
from .location_scale import LocationScale
from .utils import uniform

__all__ = ["Laplace"]


class Laplace(LocationScale):
    """Two exponential tails about `loc`.  log_prob(x) = -|x - loc| / scale - log(2 scale).

    >>> Laplace(0.0, 1.0).log_prob(tensor(0.0))
    tensor(-0.6931)
    """

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """2 scale^2."""
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        """sqrt(2) scale."""
        return 2**0.5 * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + scale * the difference of two standard exponential numbers."""
        shape = self._extended_shape(sample_shape)
        noise = fn.log(uniform(shape, self.loc)) - fn.log(uniform(shape, self.loc))
        return self.loc + self.scale * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        return -fn.log(2 * self.scale) - fn.abs(value - self.loc) / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most this value."""
        self._validate_sample(value)
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * fn.expm1(-fn.abs(away) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile."""
        away = value - 0.5
        return self.loc - self.scale * away.sign() * fn.log1p(-2 * fn.abs(away))

    def entropy(self) -> Tensor:
        """1 + log(2 scale)."""
        return 1 + fn.log(2 * self.scale)
