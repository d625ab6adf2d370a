"""Student's t distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import functions as fn
from ..core.tensor import Tensor
from . import constraints
from .distribution import Distribution
from .gamma import log_standard_gamma
from .utils import broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """A normal number over the root of an independent Chi2(df) / df, moved and stretched.

    >>> StudentT(3.0).variance
    tensor(3.)
    """

    arg_constraints: ClassVar[Any] = {
        "df": constraints.positive, "loc": constraints.real, "scale": constraints.positive,
    }  # fmt: skip
    support = constraints.real
    has_rsample = True
    _parameters = ("df", "loc", "scale")

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """loc; NaN where df is at most 1."""
        return fn.where(self.df <= 1, math.nan, self.loc)

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale^2 df / (df - 2); infinite where df is at most 2, NaN where at most 1."""
        wide = self.df > 2
        kept = fn.where(wide, self.df, 3.0)
        found = self.scale.pow(2) * kept / (kept - 2)
        return fn.where(wide, found, fn.where(self.df > 1, math.inf, math.nan))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + scale * normal / sqrt(Chi2(df) / df)."""
        shape = self._extended_shape(sample_shape)
        noise = self.loc.new_empty(shape).normal_()
        half = self.df.expand(shape) / 2
        return self.loc + self.scale * noise * fn.exp(
            0.5 * (fn.log(half) - log_standard_gamma(half))
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        z = (value - self.loc) / self.scale
        norm = (
            fn.log(self.scale) + 0.5 * fn.log(self.df) + 0.5 * math.log(math.pi)
            + fn.lgamma(0.5 * self.df) - fn.lgamma(0.5 * (self.df + 1))
        )  # fmt: skip
        return -0.5 * (self.df + 1) * fn.log1p(z * z / self.df) - norm

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = fn.lgamma(half) + math.lgamma(0.5) - fn.lgamma(more)
        return (
            fn.log(self.scale) + more * (fn.digamma(more) - fn.digamma(half))
            + 0.5 * fn.log(self.df) + log_beta
        )  # fmt: skip
