"""The categorical distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import functions as fn
from ..core.tensor import Tensor
from ..tensors.sampling import multinomial
from . import constraints
from .distribution import Distribution
from .outcomes import Outcomes, one_of
from .utils import lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Categorical", "OfCategorical"]


class Categorical(Outcomes, Distribution):
    """An integer from 0 to n - 1 with the probabilities `probs` (..., n), which are normalized.

    Or by `logits`, their logarithms up to a constant: one of the two.  log_prob(i) = log(p[i]).
    Raises ValueError for both, for none, and for a 0-d parameter.

    >>> Categorical(tensor([1.0, 3.0])).log_prob(tensor(1))
    tensor(-0.2877)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    has_enumerate_support = True

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, given = one_of("probs", probs, "logits", logits)
        if given.ndim < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if name == "probs":
            self.probs = given / given.sum(-1, True)
        else:
            self.logits = given - fn.logsumexp(given, -1, True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def _expand_parts(self, new: Any, batch: Any) -> None:
        for name in ("probs", "logits"):
            if name in vars(self):
                vars(new)[name] = vars(self)[name].expand((*batch, self._num_events))
        new._num_events = self._num_events

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The integers below n."""
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return logits_to_probs(self.logits)

    @property
    def mean(self) -> Tensor:
        """NaN: categories are not numbers."""
        return self._param.detach()[..., 0] * 0 + float("nan")

    @property
    def mode(self) -> Tensor:
        """The most probable integer."""
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """NaN: categories are not numbers."""
        return self.mean

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Integers of the shape `sample_shape + batch_shape`."""
        rows = self.probs.detach().reshape((-1, self._num_events))
        count = int(np.prod(tuple(sample_shape), dtype=int))
        shape = self._extended_shape(sample_shape)
        if not count or not rows.shape[0]:
            return rows.new_empty(shape).to(np.dtype("int64"))
        return multinomial(rows, count, True).T.reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of the integers `value`."""
        self._validate_sample(value)
        index = value.to(np.dtype("int64")).unsqueeze(-1)
        shape = np.broadcast_shapes(tuple(index.shape[:-1]), tuple(self.batch_shape))
        rows = self.logits.expand((*shape, self._num_events))
        return fn.gather(rows, -1, index.expand((*shape, 1))).squeeze(-1)

    def entropy(self) -> Tensor:
        """-sum(p log(p))."""
        finite = self.logits.clamp(min=float(np.finfo(self.logits.dtype).min))
        return -(finite * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 ... n - 1."""
        values = self._param.new_tensor(range(self._num_events)).to(np.dtype("int64"))
        return self._enumerated(values, expand)


class OfCategorical(Distribution):
    """What is made of a `Categorical`, which has the parameter."""

    arg_constraints: ClassVar[Any] = Categorical.arg_constraints
    _categorical: Any

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter."""
        return self._categorical.param_shape
