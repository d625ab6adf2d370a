"""Distributions of counts: binomial, geometric, Poisson, negative binomial, multinomial."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import functions as fn
from ..arrays.device import to_device
from ..arrays.random import stream
from ..core.tensor import Tensor, wrap_plain
from ..tensors import sampling
from ..tensors.creation import zeros_like
from . import constraints
from .categorical import OfCategorical
from .distribution import Distribution
from .one_hot_categorical import OneHotCategorical
from .outcomes import TwoOutcomes, one_of
from .utils import (  # fmt: skip
    broadcast_all,
    softplus,
    uniform,
)

__all__ = ["Binomial", "Geometric", "Multinomial", "NegativeBinomial", "Poisson"]


class Binomial(TwoOutcomes, Distribution):
    """How many of `total_count` trials succeed, each with the probability `probs` (or `logits`).

    >>> Binomial(4, tensor(0.5)).mean
    tensor(2.)
    """

    arg_constraints: ClassVar[Any] = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True
    _parameters = ("total_count", "probs", "logits")

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        name, given = one_of("probs", probs, "logits", logits)
        count, vars(self)[name] = broadcast_all(total_count, given)
        self.total_count = count.to(self._param.dtype)
        super().__init__(self._param.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The integers up to total_count."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        """n p."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """floor((n + 1) p), at most n."""
        return fn.minimum(((self.total_count + 1) * self.probs).floor(), self.total_count)

    @property
    def variance(self) -> Tensor:
        """n p (1 - p)."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts, as floats."""
        shape = self._extended_shape(sample_shape)
        n, p = (to_device(x.array, "cpu") for x in (self.total_count, self.probs))
        drawn = stream(None).binomial(n.astype(np.int64), p.astype(np.float64), tuple(shape))
        made = np.asarray(drawn, self.probs.dtype)
        return wrap_plain(to_device(made, self.probs.device))

    def log_prob(self, value: Tensor) -> Tensor:
        """log of (n over k) p^k (1 - p)^(n - k), from the logits without loss."""
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        over = fn.lgamma(n + 1) - fn.lgamma(value + 1) - fn.lgamma(n - value + 1)
        return over + value * logits - n * softplus(logits)

    def entropy(self) -> Tensor:
        """The entropy, summed over all values: `total_count` has to be the same everywhere."""
        n = int(self.total_count.max().item())
        if not self.total_count.min().item() == n:
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(fn.exp(log_prob) * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 ... total_count, which has to be the same everywhere."""
        n = int(self.total_count.max().item())
        if not self.total_count.min().item() == n:
            raise NotImplementedError(
                "Inhomogeneous total count not supported by `enumerate_support`."
            )
        return self._enumerated(self._param.new_tensor(range(n + 1)), expand)


class NegativeBinomial(TwoOutcomes, Distribution):
    """How many trials succeed (with `probs` or `logits`) before `total_count` have failed.

    >>> NegativeBinomial(4.0, tensor(0.5)).mean
    tensor(4.)
    """

    arg_constraints: ClassVar[Any] = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _parameters = ("total_count", "probs", "logits")

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        name, given = one_of("probs", probs, "logits", logits)
        count, vars(self)[name] = broadcast_all(total_count, given)
        self.total_count = count.to(self._param.dtype)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """n p / (1 - p) = n e^logits."""
        return self.total_count * fn.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        """floor((n - 1) e^logits), at least 0."""
        return ((self.total_count - 1) * fn.exp(self.logits)).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        """The mean / (1 - p)."""
        return self.mean / fn.sigmoid(-self.logits)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts, as floats: Poisson with a gamma rate."""
        from .gamma import Gamma

        rate = Gamma(self.total_count.detach(), fn.exp(-self.logits.detach()), validate_args=False)
        return sampling.poisson(rate.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability."""
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        likelihood = -n * softplus(logits)
        likelihood = likelihood - value * softplus(-logits)
        norm = -fn.lgamma(n + value) + fn.lgamma(1.0 + value) + fn.lgamma(n)
        norm = fn.where(n + value == 0.0, 0.0, norm)
        return likelihood - norm


class Geometric(TwoOutcomes, Distribution):
    """How many trials fail before the first success, of probability `probs` (or `logits`).

    log_prob(k) = k log(1 - p) + log(p).

    >>> Geometric(0.25).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _parameters = ("probs", "logits")

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, given = one_of("probs", probs, "logits", logits)
        (vars(self)[name],) = broadcast_all(given)
        super().__init__(self._param.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all().item():
            raise ValueError(
                f"Expected parameter probs of distribution {self!r} to be positive but found "
                f"invalid values:\n{self.probs}"
            )

    @property
    def mean(self) -> Tensor:
        """1 / p - 1."""
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        """0."""
        return zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        """(1 / p - 1) / p."""
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts, as floats."""
        p = self.probs.detach()
        u = uniform(self._extended_shape(sample_shape), p)
        return (fn.log(u) / fn.log1p(-p)).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """k log(1 - p) + log(p)."""
        self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        probs = fn.where((probs == 1) & (value == 0), 0.0, probs)
        return value * fn.log1p(-probs) + fn.log(self.probs)

    def entropy(self) -> Tensor:
        """The entropy of one trial, over the probability of success."""
        return (softplus(self.logits) - self.probs * self.logits) / self.probs


class Poisson(Distribution):
    """How many events there are in a time, if `rate` are to be expected.

    log_prob(k) = k log(rate) - rate - lgamma(k + 1).

    >>> Poisson(2.0).log_prob(tensor(0.0))
    tensor(-2.)
    """

    arg_constraints: ClassVar[Any] = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer
    _parameters = ("rate",)

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """rate."""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """floor(rate)."""
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        """rate."""
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts, as floats."""
        return sampling.poisson(self.rate.detach().expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability."""
        self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return fn.xlogy(value, rate) - rate - fn.lgamma(value + 1)


class Multinomial(OfCategorical):
    """How often each of n outcomes comes in `total_count` draws with `probs` (or `logits`).

    >>> Multinomial(4, tensor([1.0, 3.0])).mean
    tensor([1., 3.])
    """

    total_count: int

    def __init__(
        self, total_count: int = 1, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = OneHotCategorical(probs, logits, validate_args)
        super().__init__(
            self._categorical.batch_shape, self._categorical.event_shape, validate_args
        )

    def _expand_parts(self, new: Any, batch: Any) -> None:
        new.total_count, new._categorical = self.total_count, self._categorical.expand(batch)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Counts that sum to total_count."""
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        """n p."""
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        """n p (1 - p)."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Counts, as floats."""
        return self._categorical.sample((self.total_count, *sample_shape)).sum(0)

    def log_prob(self, value: Tensor) -> Tensor:
        """log of n! prod(p^k / k!)."""
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        product = fn.where((value == 0) & (logits == -float("inf")), 0.0, value * logits)
        return fn.lgamma(value.sum(-1) + 1) - fn.lgamma(value + 1).sum(-1) + product.sum(-1)

    def entropy(self) -> Tensor:
        """The entropy in nats, summed over the counts of each outcome."""
        n = self.total_count
        counts = Binomial(n, self.probs, validate_args=False)
        values = counts.enumerate_support(expand=False)[1:]
        weights = fn.exp(counts.log_prob(values))
        terms = (weights * fn.lgamma(values + 1)).sum((0, -1))
        return n * self._categorical.entropy() - fn.lgamma(values.new_tensor(n + 1.0)) + terms
