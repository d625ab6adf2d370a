"""The categorical distribution with values as rows of 0 and a 1."""

from __future__ import annotations

from typing import Any

from ..core.tensor import Tensor
from . import constraints
from .categorical import Categorical, OfCategorical

__all__ = ["OneHotCategorical", "OneHotCategoricalStraightThrough"]


class OneHotCategorical(OfCategorical):
    """Like `Categorical`, with one-hot vectors (..., n) for values.

    >>> OneHotCategorical(tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:],
                         validate_args=validate_args)  # fmt: skip

    def _expand_parts(self, new: Any, batch: Any) -> None:
        new._categorical = self._categorical.expand(batch)

    @property
    def mean(self) -> Tensor:
        """The probabilities."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The most probable vector."""
        return self._hot(self.probs.argmax(-1))

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def _hot(self, index: Tensor) -> Tensor:
        probs = self.probs
        places = probs.new_tensor(range(probs.shape[-1]))
        return (index.unsqueeze(-1) == places).to(probs.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """One-hot vectors."""
        return self._hot(self._categorical.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of one-hot vectors."""
        self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        """-sum(p log(p))."""
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All one-hot vectors, along a first axis."""
        n = self.event_shape[0]
        values = self._hot(self._categorical.enumerate_support(expand=False).reshape(-1))
        values = values.reshape((n,) + (1,) * len(self.batch_shape) + (n,))
        return values.expand((n, *self.batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """One-hot vectors whose gradient goes to the probabilities (Bengio et al. 2013).

    >>> OneHotCategoricalStraightThrough(tensor([0.0, 1.0])).rsample()
    tensor([0., 1.])
    """

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """One-hot vectors; backwards as if they were the probabilities."""
        drawn = self.sample(sample_shape)
        return drawn + (self.probs - self.probs.detach())
