"""The gamma distribution, and its variates with their gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import functions as fn
from .. import ops
from ..arrays.device import device_of, to_device
from ..arrays.random import stream
from ..core.node import Variable
from ..core.record import op
from ..core.tensor import Tensor
from ..kernels.fused.gamma import log_variate_slope
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["Gamma", "log_standard_gamma"]


@op
def _log_variate(concentration, *, drawn):
    """What was drawn; a change of the concentration moves it along its quantile."""

    def back(g):
        if isinstance(g, Variable):
            raise RuntimeError(
                "rsample: the gradient through gamma variates cannot be differentiated again "
                "(create_graph=True)"
            )
        slope = log_variate_slope(to_device(concentration, "cpu"), to_device(drawn, "cpu"))
        return g * to_device(slope, device_of(concentration))

    return drawn, back


def log_standard_gamma(concentration: Tensor) -> Tensor:
    """The logarithm of gamma variates of rate 1, with the gradient of the concentration.

    Drawn as gamma(a + 1) * u^(1/a) (Marsaglia & Tsang 2000), so that those of a small
    concentration, which are no longer numbers themselves, still have a logarithm. The gradient is
    the implicit one (Figurnov et al. 2018); it is not differentiated again.
    """
    a = to_device(concentration.array, "cpu").astype(np.float64)
    source = stream(None)
    with np.errstate(all="ignore"):
        drawn = np.log(source.standard_gamma(a + 1)) - source.standard_exponential(a.shape) / a
    kept = to_device(np.asarray(drawn, concentration.dtype), concentration.device)
    return _log_variate(concentration, drawn=kept)


class Gamma(Distribution):
    """The sum of `concentration` waiting times of events that come at `rate`.

    log_prob(x) = a log(b) + (a - 1) log(x) - b x - lgamma(a), a the concentration, b the rate.

    >>> Gamma(2.0, 4.0).mean
    tensor(0.5000)
    """

    arg_constraints: ClassVar[Any] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative
    has_rsample = True
    _parameters = ("concentration", "rate")

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """concentration / rate."""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """(concentration - 1) / rate, at least 0."""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """concentration / rate^2."""
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Standard gamma variates / rate, never 0."""
        shape = self._extended_shape(sample_shape)
        drawn = fn.exp(log_standard_gamma(self.concentration.expand(shape)))
        drawn = drawn / self.rate.expand(shape)
        return drawn.clamp(min=float(np.finfo(drawn.dtype).tiny))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        a, b = self.concentration, self.rate
        return fn.xlogy(a, b) + fn.xlogy(a - 1, value) - b * value - fn.lgamma(a)

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most this value."""
        self._validate_sample(value)
        return ops.igamma(*fn.broadcast_tensors(self.concentration, self.rate * value))

    def entropy(self) -> Tensor:
        """a - log(b) + lgamma(a) + (1 - a) digamma(a)."""
        a = self.concentration
        return a - fn.log(self.rate) + fn.lgamma(a) + (1 - a) * fn.digamma(a)
