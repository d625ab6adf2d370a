"""What values are allowed: the supports of distributions and the domains of their parameters.

constraints.positive.check(tensor([1.0, -1.0]))     # tensor([ True, False])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functions as fn
from ..core.tensor import Tensor
from ..tensors.creation import ones_like, zeros_like
from .utils import eps_of

__all__ = [
    "Constraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property",
    "greater_than", "greater_than_eq", "half_open_interval", "independent", "integer_interval",
    "interval", "is_dependent", "less_than", "lower_cholesky", "lower_triangular", "multinomial",
    "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite",
    "positive_integer", "real", "real_vector", "simplex", "square", "stack", "symmetric",
    "unit_interval",
]  # fmt: skip


class Constraint:
    """A set of allowed values; `check(value)` says which are in it.

    `is_discrete`: whether the set is one of integers. `event_dim`: how many of the last axes
    together are one value.
    """

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Which values are allowed: bools of the shape without the last `event_dim` axes."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to check a value")

    def __repr__(self) -> str:
        return type(self).__name__.lstrip("_") + "()"


class _Test(Constraint):
    """A set that one function describes."""

    def __init__(
        self, name: str, test: Callable[[Tensor], Any], event_dim: int = 0, discrete: bool = False
    ) -> None:
        self._name, self._test = name, test
        self.event_dim, self.is_discrete = event_dim, discrete

    def check(self, value: Tensor) -> Tensor:
        return self._test(value)

    def __repr__(self) -> str:
        return self._name


class _Dependent(Constraint):
    """A support that depends on the parameters: the instance of a distribution knows it."""

    def __init__(self, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, *, is_discrete: bool = False, event_dim: int = 0) -> _Dependent:
        return _Dependent(is_discrete=is_discrete, event_dim=event_dim)

    def check(self, value: Tensor) -> Tensor:
        raise ValueError("Cannot determine validity of dependent constraint")


class dependent_property(property, _Dependent):
    """A property `support` that needs an instance; usable with and without arguments."""

    def __init__(self, fn: Any = None, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        super().__init__(fn)
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, fn: Any) -> dependent_property:  # type: ignore[override]
        return dependent_property(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint depends on the parameters of a distribution."""
    return isinstance(constraint, _Dependent)


class independent(Constraint):
    """All of the last axes allowed together, `reinterpreted_batch_ndims` of them."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        found = self.base_constraint.check(value)
        n = self.reinterpreted_batch_ndims
        if found.ndim < n:
            raise ValueError(
                f"Expected value.dim() >= {self.event_dim} but got {value.ndim}: its last axes are "
                "one value"
            )
        return found if n == 0 else found.reshape((*found.shape[: found.ndim - n], -1)).all(-1)

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class _Joined(Constraint):
    """Parts of an axis, each with a constraint of its own."""

    def __init__(self, parts: Any, dim: int, lengths: Any, stacked: bool) -> None:
        self.parts, self.dim, self.lengths, self._stacked = list(parts), dim, lengths, stacked
        self.is_discrete = any(part.is_discrete for part in self.parts)
        widest = max(part.event_dim for part in self.parts)
        self.event_dim = max(widest, -dim) if stacked and dim < 0 else widest

    def check(self, value: Tensor) -> Tensor:
        if self._stacked:
            found = [c.check(v) for c, v in zip(self.parts, value.unbind(self.dim), strict=True)]
            return fn.stack(found, self.dim)
        pieces = value.split(list(self.lengths), self.dim)
        return fn.cat([c.check(v) for c, v in zip(self.parts, pieces, strict=True)], self.dim)


def cat(cseq: Any, dim: int = 0, lengths: Any = None) -> Constraint:
    """The constraints of parts that are joined along `dim`, of the given lengths."""
    return _Joined(cseq, dim, [1] * len(list(cseq)) if lengths is None else lengths, False)


def stack(cseq: Any, dim: int = 0) -> Constraint:
    """The constraints of slices along `dim`."""
    return _Joined(cseq, dim, None, True)


# Intervals ----------------------------------------------------------------------------------------


def _text(kind: str, **bounds: Any) -> str:
    return f"{kind}({', '.join(f'{name}={value}' for name, value in bounds.items())})"


class _Bounded(_Test):
    lower_bound: Any
    upper_bound: Any

    def __init__(self, kind: str, test: Any, discrete: bool = False, **bounds: Any) -> None:
        super().__init__(_text(kind, **bounds), test, discrete=discrete)
        vars(self).update(bounds)


def interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Numbers from the lower bound to the upper, both included."""
    return _Bounded("Interval", lambda x: (lower_bound <= x) & (x <= upper_bound),
                    lower_bound=lower_bound, upper_bound=upper_bound)  # fmt: skip


def half_open_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Numbers from the lower bound to below the upper."""
    return _Bounded("HalfOpenInterval", lambda x: (lower_bound <= x) & (x < upper_bound),
                    lower_bound=lower_bound, upper_bound=upper_bound)  # fmt: skip


def integer_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Integers from the lower bound to the upper, both included."""
    return _Bounded(
        "IntegerInterval",
        lambda x: (x % 1 == 0) & (lower_bound <= x) & (x <= upper_bound),
        discrete=True, lower_bound=lower_bound, upper_bound=upper_bound,
    )  # fmt: skip


def greater_than(lower_bound: Any) -> Constraint:
    """Numbers above the bound."""
    return _Bounded("GreaterThan", lambda x: lower_bound < x, lower_bound=lower_bound)


def greater_than_eq(lower_bound: Any) -> Constraint:
    """Numbers from the bound on."""
    return _Bounded("GreaterThanEq", lambda x: lower_bound <= x, lower_bound=lower_bound)


def less_than(upper_bound: Any) -> Constraint:
    """Numbers below the bound."""
    return _Bounded("LessThan", lambda x: x < upper_bound, upper_bound=upper_bound)


def _from_integer(lower_bound: int) -> Constraint:
    return _Bounded("IntegerGreaterThan", lambda x: (x % 1 == 0) & (x >= lower_bound),
                    discrete=True, lower_bound=lower_bound)  # fmt: skip


# Vectors and matrices -----------------------------------------------------------------------------


def _sums_to_one(x: Tensor) -> Tensor:
    return (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6)


def _one_hot(x: Tensor) -> Tensor:
    return ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1)


def _square(x: Tensor) -> Tensor:
    same = x.shape[-2] == x.shape[-1]
    return ones_like(x[..., 0, 0]).to(bool) if same else zeros_like(x[..., 0, 0]).to(bool)


def _over_matrix(x: Tensor) -> Tensor:
    return x.reshape((*x.shape[:-2], -1)).all(-1)


def _symmetric(x: Tensor) -> Tensor:
    return _square(x) & _over_matrix(fn.isclose(x, x.mT, atol=1e-6))


def _lower(x: Tensor) -> Tensor:
    return _over_matrix(x.tril() == x)


def _positive_diagonal(x: Tensor) -> Tensor:
    return (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


def _positive_definite(x: Tensor) -> Tensor:
    flat = np.asarray(x.detach().cpu().array, np.float64).reshape(-1, *x.shape[-2:])
    fits = np.array([_has_root(a) for a in flat], bool).reshape(tuple(x.shape[:-2]))
    return _symmetric(x) & fn_from(fits, x)


def _has_root(a: Any) -> bool:
    try:
        np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return False
    return True


def fn_from(array: Any, like: Tensor) -> Tensor:
    """A Tensor of the bools, where `like` lies."""
    return like.new_tensor(array.astype(np.uint8)) > 0


def _rows_of_length_one(x: Tensor) -> Tensor:
    limit = eps_of(x) * x.shape[-1] * 10
    return _lower(x) & _positive_diagonal(x) & (((x * x).sum(-1) - 1).abs() < limit).all(-1)


real = _Test("Real()", lambda x: x == x)
real_vector = independent(real, 1)
boolean = _Test("Boolean()", lambda x: (x == 0) | (x == 1), discrete=True)
one_hot = _Test("OneHot()", _one_hot, 1, discrete=True)
nonnegative_integer = _from_integer(0)
positive_integer = _from_integer(1)
nonnegative = greater_than_eq(0.0)
positive = greater_than(0.0)
unit_interval = interval(0.0, 1.0)
simplex = _Test("Simplex()", _sums_to_one, 1)
square = _Test("Square()", _square, 2)
symmetric = _Test("Symmetric()", _symmetric, 2)
positive_definite = _Test("PositiveDefinite()", _positive_definite, 2)
lower_triangular = _Test("LowerTriangular()", _lower, 2)
lower_cholesky = _Test("LowerCholesky()", lambda x: _lower(x) & _positive_diagonal(x), 2)
corr_cholesky = _Test("CorrCholesky()", _rows_of_length_one, 2)
dependent = _Dependent()


def multinomial(upper_bound: Any) -> Constraint:
    """Counts that sum to the bound."""
    told = _text("Multinomial", upper_bound=upper_bound)
    return _Test(told, lambda x: (x >= 0).all(-1) & (x.sum(-1) <= upper_bound), 1, discrete=True)
