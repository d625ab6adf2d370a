"""Arithmetic, choices and comparisons, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from ..autograd.errors import explain
from ..autograd.graph import Variable, wrap_plain
from ..backend import xp

if TYPE_CHECKING:
    from .._tensor import Tensor


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input + alpha * other, broadcast."""
    return ops.add(input, other if alpha == 1 else ops.mul(other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input - alpha * other, broadcast."""
    return ops.sub(input, other if alpha == 1 else ops.mul(other, alpha))


def square(input: Tensor) -> Tensor:
    """input^2, element by element."""
    return ops.mul(input, input)


def reciprocal(input: Tensor) -> Tensor:
    """1 / input, element by element."""
    return ops.div(1.0, input)


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input), element by element."""
    return ops.div(1.0, ops.sqrt(input))


def clip(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input limited to [min, max]; the bounds are numbers, Tensors or None.

    The gradient passes where min <= input <= max. Raises RuntimeError if both bounds are None.
    """
    if min is None and max is None:
        raise RuntimeError("clip: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Variable) or isinstance(max, Variable):
        y = input if min is None else ops.maximum(input, min)
        return y if max is None else ops.minimum(y, max)
    return ops.clip(input, min=min, max=max)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where condition holds, else other, broadcast; with one argument: the true indices."""
    if input is None and other is None:
        return tuple(wrap_plain(i) for i in condition.array.nonzero())
    return ops.where(condition, input, other)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with `value` where mask is True."""
    return ops.where(mask, value, input)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return input + value * (tensor1 * tensor2)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    return input + value * (tensor1 / tensor2)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    return input + weight * (end - input)


# Comparison ---------------------------------------------------------------------------------------


def _raw(x: Any) -> Any:
    return x.array if isinstance(x, Variable) else x


def _comparison(symbol: str, compare: Any) -> Any:
    def function(input: Any, other: Any) -> Tensor:
        try:
            return wrap_plain(compare(_raw(input), _raw(other)))
        except (TypeError, ValueError) as error:
            raise explain(symbol, (input, other), error) from error

    function.__name__ = symbol
    function.__doc__ = f"{symbol}, element by element: a bool tensor, without gradient."
    return function


eq = _comparison("eq", lambda x, y: xp(x).equal(x, y))
ne = _comparison("ne", lambda x, y: xp(x).not_equal(x, y))
lt = _comparison("lt", lambda x, y: xp(x).less(x, y))
le = _comparison("le", lambda x, y: xp(x).less_equal(x, y))
gt = _comparison("gt", lambda x, y: xp(x).greater(x, y))
ge = _comparison("ge", lambda x, y: xp(x).greater_equal(x, y))
logical_and = _comparison("logical_and", lambda x, y: xp(x).logical_and(x, y))
logical_or = _comparison("logical_or", lambda x, y: xp(x).logical_or(x, y))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    a, b = input.array, other.array
    return tuple(a.shape) == tuple(b.shape) and bool((a == b).all())


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """|input - other| <= atol + rtol * |other|, element by element."""
    a, b = input.array, other.array
    return wrap_plain(xp(a).isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds for every element."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())
