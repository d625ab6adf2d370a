"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import functions as fn
from ..core.tensor import Tensor
from . import constraints
from .distribution import Distribution
from .gamma import log_standard_gamma

__all__ = ["Dirichlet"]


class Dirichlet(Distribution):
    """Probabilities drawn at random: gamma variates of the `concentration`, over their sum.

    `concentration`: (..., n). log_prob(x) = sum((a - 1) log(x)) + lgamma(sum(a)) - sum(lgamma(a)).
    Raises ValueError for a 0-d concentration.

    >>> Dirichlet(tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints: ClassVar[Any] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def _expand_parts(self, new: Any, batch: Any) -> None:
        new.concentration = self.concentration.expand((*batch, *self.event_shape))

    @property
    def mean(self) -> Tensor:
        """concentration / its sum."""
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """(a - 1) / (sum(a) - n), of those above 1; where all are below, the first corner."""
        above = (self.concentration - 1).clamp(min=0.0)
        total = above.sum(-1, True)
        found = above / fn.where(total == 0, 1.0, total)
        first = above.new_tensor([1.0] + [0.0] * (above.shape[-1] - 1))
        return fn.where((self.concentration < 1).all(-1, keepdim=True), first, found)

    @property
    def variance(self) -> Tensor:
        """a (s - a) / (s^2 (s + 1)), s the sum."""
        a = self.concentration
        s = a.sum(-1, True)
        return a * (s - a) / (s.pow(2) * (s + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Gamma variates over their sum."""
        shape = self._extended_shape(sample_shape)
        return fn.softmax(log_standard_gamma(self.concentration.expand(shape)), -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        a = self.concentration
        return fn.xlogy(a - 1, value).sum(-1) + fn.lgamma(a.sum(-1)) - fn.lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        a = self.concentration
        s, n = a.sum(-1), a.shape[-1]
        norm = fn.lgamma(a).sum(-1) - fn.lgamma(s)
        return norm - (n - s) * fn.digamma(s) - ((a - 1) * fn.digamma(a)).sum(-1)
