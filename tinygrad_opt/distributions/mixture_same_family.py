"""Mixtures of distributions of one kind."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import functions as fn
from ..autograd import no_grad
from ..core.tensor import Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """Values of one of the components, which a Categorical chooses.

    `component_distribution`: its last batch axis holds the components, as many as the
    `mixture_distribution` has outcomes.  log_prob(x) = log(sum(p[i] e^log_prob[i](x))).
    Raises ValueError where the two do not fit.

    >>> from tinygrad_opt.distributions import Normal
    >>> choice, parts = Categorical(tensor([0.5, 0.5])), Normal(tensor([-1.0, 1.0]), 1.0)
    >>> MixtureSameFamily(choice, parts).mean
    tensor(0.)
    """

    arg_constraints: ClassVar[Any] = {}
    has_rsample = False

    def __init__(
        self, mixture_distribution: Any, component_distribution: Any,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of "
                             "torch.distributions.Categorical")  # fmt: skip
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution need to be an instance of "
                             "torch.distributions.Distribution")  # fmt: skip
        batch, own = component_distribution.batch_shape[:-1], mixture_distribution.batch_shape
        for a, b in zip(reversed(own), reversed(batch), strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({tuple(own)}) is not compatible with "
                    f"`component_distribution.batch_shape`({tuple(batch)})"
                )
        count = mixture_distribution.logits.shape[-1]
        if count != component_distribution.batch_shape[-1]:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` "
                f"({component_distribution.batch_shape[-1]})"
            )
        self._mixture, self._components, self._count = (
            mixture_distribution, component_distribution, count,
        )  # fmt: skip
        super().__init__(batch, component_distribution.event_shape, validate_args=validate_args)

    def _expand_parts(self, new: Any, batch: Any) -> None:
        new._components = self._components.expand((*batch, self._count))
        new._mixture = self._mixture.expand(batch)
        new._count = self._count

    @constraints.dependent_property
    def support(self) -> Any:
        """The support of the components."""
        return self._components.support

    @property
    def mixture_distribution(self) -> Categorical:
        """The distribution of the choice."""
        return self._mixture

    @property
    def component_distribution(self) -> Any:
        """What is chosen from."""
        return self._components

    def _padded(self, x: Tensor) -> Tensor:
        """x with axes for an event."""
        return x.reshape((*x.shape, *(1,) * len(self.event_shape)))

    def _axis(self) -> int:
        return -1 - len(self.event_shape)

    @property
    def mean(self) -> Tensor:
        """The components' means, weighted."""
        return (self._padded(self._mixture.probs) * self._components.mean).sum(self._axis())

    @property
    def variance(self) -> Tensor:
        """The mean of the components' variances, and the variance of their means."""
        weights, axis = self._padded(self._mixture.probs), self._axis()
        away = self._components.mean - self.mean.unsqueeze(axis)
        return (weights * self._components.variance).sum(axis) + (weights * away.pow(2)).sum(axis)

    def cdf(self, value: Tensor) -> Tensor:
        """The components' cdf, weighted."""
        spread = value.unsqueeze(self._axis())
        return (self._components.cdf(spread) * self._mixture.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log(sum(p[i] e^log_prob[i](value)))."""
        self._validate_sample(value)
        found = self._components.log_prob(value.unsqueeze(self._axis()))
        return fn.logsumexp(found + fn.log_softmax(self._mixture.logits, -1), -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the components that are chosen."""
        with no_grad():
            chosen = self._mixture.expand(self.batch_shape).sample(sample_shape)
            values = self._components.sample(sample_shape)
            axis = len(tuple(sample_shape)) + len(self.batch_shape)
            index = self._padded(chosen.unsqueeze(-1))
            shape = (*chosen.shape, 1, *self.event_shape)
            return fn.gather(values, axis, index.expand(shape)).squeeze(axis)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture}\n  {self._components})"
