"""Distribution: batch and event shapes, checks of arguments, what all distributions answer."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from .. import functions as fn
from ..arrays.size import Size
from ..autograd import no_grad
from ..core.tensor import Tensor
from . import constraints
from .utils import lazy_property

__all__ = ["Distribution"]


class Distribution:
    """The base class. A sample has the shape `sample_shape + batch_shape + event_shape`.

    `batch_shape`: independent distributions with parameters of their own; `event_shape`: one value.
    `validate_args`: whether parameters and values are checked; without it as
    `set_default_validate_args` says (True at first).
    Raises ValueError for parameters that are not allowed.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[Any] = {}
    support: Any = None
    _validate_args: bool = True
    _parameters: ClassVar[tuple[str, ...]] = ()  # those that `expand` spreads

    def __init__(
        self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Checks arguments by default, or does not. Raises ValueError unless it is a bool."""
        if value not in (True, False):
            raise ValueError(f"validate_args must be True or False, got {value!r}")
        Distribution._validate_args = value

    def _check_parameters(self) -> None:
        for name, constraint in self.arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(
                getattr(type(self), name, None), lazy_property
            ):
                continue  # the other of probs and logits
            value = getattr(self, name)
            if not constraint.check(value).all().item():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters spread to a larger batch shape."""
        new = self._blank(_instance)
        batch = Size(batch_shape)
        for name in self._parameters:
            if name in self.__dict__:
                vars(new)[name] = self.__dict__[name].expand(batch)
        self._expand_parts(new, batch)
        Distribution.__init__(new, batch, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expand_parts(self, new: Any, batch: Any) -> None:
        """What a class spreads beside the tensors in `_parameters`."""

    def _blank(self, instance: Any) -> Any:
        if instance is None and type(self).__init__ is not self._own_init():
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {self._own_class().__name__} that defines a "
                "custom __init__ method must also define a custom .expand() method."
            )
        return type(self).__new__(type(self)) if instance is None else instance

    def _own_class(self) -> type:
        """The class of this package that the instance is of."""
        package = __name__.rpartition(".")[0]
        return next(c for c in type(self).__mro__ if c.__module__.startswith(package))

    def _own_init(self) -> Any:
        return self._own_class().__init__  # type: ignore[misc]

    @property
    def batch_shape(self) -> Size:
        """The shape of the independent distributions in this one."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        """The expectation."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{type(self).__name__} has no mode")

    @property
    def variance(self) -> Tensor:
        """The mean square of the distance from the mean."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return fn.sqrt(self.variance)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values drawn, of the shape `sample_shape + batch_shape + event_shape`, no gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Values drawn as a function of the parameters, which therefore get gradients."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rsample: its values are no smooth function of its "
            "parameters; draw with sample() and use log_prob (REINFORCE)"
        )

    def sample_n(self, n: int) -> Tensor:
        """Like `sample((n,))`, PyTorch's old name."""
        warnings.warn("sample_n will be deprecated. Use .sample((n,)) instead", UserWarning, 2)
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, of a value."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most this value."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first axis; spread over the batch unless `expand=False`."""
        raise NotImplementedError(f"{type(self).__name__} has no finite support to enumerate")

    def _enumerated(self, values: Tensor, expand: bool) -> Tensor:
        values = values.reshape((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values

    def entropy(self) -> Tensor:
        """The entropy in nats, of the batch shape."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def perplexity(self) -> Tensor:
        """e^entropy."""
        return fn.exp(self.entropy())

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError(
                f"The value argument to log_prob must be a Tensor, got {type(value).__name__}"
            )
        event = len(self._event_shape)
        if tuple(value.shape[value.ndim - event :]) != tuple(self._event_shape):
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{tuple(value.shape)} vs {tuple(self._event_shape)}."
            )
        whole = (*self._batch_shape, *self._event_shape)
        for i, j in zip(reversed(value.shape), reversed(whole), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: "
                    f"{tuple(value.shape)} vs {tuple(whole)}."
                )
        try:
            support = self.support
        except NotImplementedError:
            return
        if support is not None and not support.check(value).all().item():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        names = [name for name in self.arg_constraints if name in self.__dict__]
        told = (
            f"{name}: {value if value.numel() == 1 else value.shape}"
            for name, value in ((name, self.__dict__[name]) for name in names)
        )
        return f"{type(self).__name__}({', '.join(told)})"
