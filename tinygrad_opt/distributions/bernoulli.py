"""The Bernoulli distribution."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import functions as fn
from ..core.tensor import Tensor
from . import constraints
from .distribution import Distribution
from .outcomes import TwoOutcomes, one_of
from .utils import broadcast_all, softplus

__all__ = ["Bernoulli"]


class Bernoulli(TwoOutcomes, Distribution):
    """1 with the probability `probs`, else 0; or by `logits`, log(p / (1 - p)): one of the two.

    log_prob(x) = x log(p) + (1 - x) log(1 - p).

    >>> Bernoulli(0.25).log_prob(tensor(1.0))
    tensor(-1.3863)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.boolean
    has_enumerate_support = True
    _parameters = ("probs", "logits")

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, given = one_of("probs", probs, "logits", logits)
        (vars(self)[name],) = broadcast_all(given)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The probability of 1."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """1 or 0; NaN where both are as probable."""
        p = self.probs
        return fn.where(p == 0.5, float("nan"), (p >= 0.5).to(p.dtype))

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Zeros and ones."""
        p = self.probs.detach().expand(self._extended_shape(sample_shape))
        u = p.new_empty(p.shape).uniform_()
        return (u < p).to(p.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """x log(p) + (1 - x) log(1 - p), from the logits without loss."""
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return value * logits - softplus(logits)

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return softplus(self.logits) - self.probs * self.logits

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 and 1."""
        return self._enumerated(self._param.new_tensor([0.0, 1.0]), expand)
