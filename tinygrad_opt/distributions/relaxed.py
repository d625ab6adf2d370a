"""Softened choices, which have gradients: Gumbel-softmax and its kin."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import functions as fn
from ..core.tensor import Tensor
from . import constraints
from .categorical import Categorical, OfCategorical
from .distribution import Distribution
from .outcomes import TwoOutcomes, one_of
from .transformed_distribution import TransformedDistribution
from .transforms import ExpTransform, SigmoidTransform
from .utils import (  # fmt: skip
    broadcast_all,
    clamp_probs,
    softplus,
    uniform,
)

__all__ = ["RelaxedBernoulli", "RelaxedOneHotCategorical"]


class _LogitRelaxedBernoulli(TwoOutcomes, Distribution):
    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.real
    has_rsample = True
    _parameters = ("probs", "logits")

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        name, given = one_of("probs", probs, "logits", logits)
        self.temperature = temperature
        (vars(self)[name],) = broadcast_all(given)
        super().__init__(self._param.shape, validate_args=validate_args)

    def _expand_parts(self, new: Any, batch: Any) -> None:
        new.temperature = self.temperature

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """(logits + logistic noise) / temperature."""
        u = clamp_probs(uniform(self._extended_shape(sample_shape), self._param))
        return (fn.log(u) - fn.log1p(-u) + self.logits) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        z = logits - value * self.temperature
        return fn.log(_tensor(self.temperature, z)) + z - 2 * softplus(z)


def _tensor(value: Any, like: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else like.new_tensor(value)


class _Relaxed(TransformedDistribution):
    """What both have: a temperature, and samples with gradients."""

    has_rsample = True
    base_dist: Any

    @property
    def temperature(self) -> Any:
        """The lower, the harder."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The logits of the distribution that was softened."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities of the distribution that was softened."""
        return self.base_dist.probs


class RelaxedBernoulli(_Relaxed):
    """A number in (0, 1), nearly 0 or 1 at a low `temperature` (Maddison et al. 2017).

    >>> RelaxedBernoulli(tensor(0.5), 0.25).probs
    tensor(0.2500)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.unit_interval

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        base = _LogitRelaxedBernoulli(temperature, probs, logits, validate_args)
        super().__init__(base, SigmoidTransform(), validate_args)


class _ExpRelaxedCategorical(OfCategorical):
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self._categorical, self.temperature = Categorical(probs, logits, validate_args), temperature
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:],
                         validate_args=validate_args)  # fmt: skip

    def _expand_parts(self, new: Any, batch: Any) -> None:
        new.temperature, new._categorical = self.temperature, self._categorical.expand(batch)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """log softmax((logits + Gumbel noise) / temperature)."""
        u = clamp_probs(uniform(self._extended_shape(sample_shape), self.logits))
        return fn.log_softmax((self.logits - fn.log(-fn.log(u))) / self.temperature, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        n = logits.shape[-1]
        temperature = _tensor(self.temperature, logits)
        norm = math.lgamma(n) + (n - 1) * fn.log(temperature)
        score = logits - value * temperature
        return (score - fn.logsumexp(score, -1, True)).sum(-1) + norm


class RelaxedOneHotCategorical(_Relaxed):
    """Vectors that sum to 1, nearly one-hot at a low `temperature` (Jang et al. 2017).

    >>> RelaxedOneHotCategorical(tensor(0.5), tensor([1.0, 3.0])).probs
    tensor([0.2500, 0.7500])
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    support = constraints.simplex

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        base = _ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args)
