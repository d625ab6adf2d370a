"""Reductions, softmax and running sums."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import dtypes, ops
from ..autograd.graph import Variable, wrap_plain
from ..backend import xp
from .elementwise import ne
from .shape import squeeze

if TYPE_CHECKING:
    from .._tensor import Tensor

Dim = int | Sequence[int] | None


class Extremum(NamedTuple):
    """What `max(dim)` and `min(dim)` return: the values and where they stand."""

    values: Tensor
    indices: Tensor


def _axis(dim: Dim) -> Any:
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def _summable(x: Tensor) -> Tensor:
    """x, but uint8 as int64: NumPy would sum it to uint64, a type that nothing else here has."""
    return x.long() if x.array.dtype is dtypes.uint8 else x


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an axis, several, or all); bools and ints give int64."""
    x = _summable(input) if dtype is None else ops.cast(input, dtype=dtype)
    return ops.sum(x, axis=_axis(dim), keepdims=keepdim)


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim`. Raises RuntimeError for integers, whose mean has no obvious type."""
    x = input if dtype is None else ops.cast(input, dtype=dtype)
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be a floating point type, "
            f"got {dtypes.name_of(x.array.dtype)}; convert with .float()"
        )
    return ops.mean(x, axis=_axis(dim), keepdims=keepdim)


def _extremum(name: str, arg: Any, reduce: Any, pairwise: Any) -> Any:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, Variable):
            return pairwise(input, dim)
        if dim is None:
            return reduce(input)
        indices = arg(input, dim, keepdim=True)
        values = ops.take_along_axis(input, indices=indices.array, axis=dim)
        if keepdim:
            return Extremum(values, indices)
        return Extremum(squeeze(values, dim), squeeze(indices, dim))

    function.__name__ = name
    function.__doc__ = (
        f"The {name}imum of all elements (ties share the gradient); with `dim` an axis, the named "
        f"tuple (values, indices) along it; with a second Tensor, the element-wise {name}imum."
    )
    return function


def _argextremum(name: str) -> Any:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        x = input.array
        if dim is None:
            return wrap_plain(getattr(xp(x), name)(x))
        found = getattr(xp(x), name)(x, axis=dim)
        return wrap_plain(xp(x).expand_dims(found, dim) if keepdim else found)

    function.__name__ = name
    function.__doc__ = (
        f"The int64 position of the {name[3:]}imum, over all elements or along `dim`."
    )
    return function


argmax, argmin = _argextremum("argmax"), _argextremum("argmin")
max = _extremum("max", argmax, ops.amax, ops.maximum)
min = _extremum("min", argmin, ops.amin, ops.minimum)


def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The maximum over `dim`; ties share the gradient equally."""
    return ops.amax(input, axis=_axis(dim), keepdims=keepdim)


def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The minimum over `dim`; ties share the gradient equally."""
    return ops.amin(input, axis=_axis(dim), keepdims=keepdim)


def var(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: int | None = None,
) -> Tensor:  # fmt: skip
    """The variance over `dim`: sum of (x - mean)^2 / (n - correction), correction 1 by default."""
    correction = int(unbiased) if correction is None else correction
    centred = input - ops.mean(input, axis=_axis(dim), keepdims=True)
    squares = ops.mean(centred * centred, axis=_axis(dim), keepdims=keepdim)
    n = input.array.size // builtins.max(squares.array.size, 1)
    return squares * (n / (n - correction) if n > correction else math.nan)


def std(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: int | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the square root of `var`."""
    return ops.sqrt(var(input, dim, unbiased, keepdim, correction=correction))


def norm(input: Tensor, p: Any = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """(sum |x|^p)^(1/p) over `dim`; p may be inf, -inf, or 0 (which counts the non-zeros)."""
    axis = _axis(dim)
    if p in (math.inf, -math.inf):
        extremum = ops.amax if p > 0 else ops.amin
        return extremum(ops.abs(input), axis=axis, keepdims=keepdim)
    if p in (2, "fro"):
        return ops.norm2(input, axis=axis, keepdims=keepdim)
    if p == 0:
        return ops.sum(ops.cast(ne(input, 0), dtype=input.dtype), axis=axis, keepdims=keepdim)
    return ops.power(ops.sum(ops.power(ops.abs(input), p), axis=axis, keepdims=keepdim), 1 / p)


def all(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are true (non-zero)."""
    return wrap_plain(input.array.all(axis=dim, keepdims=keepdim))


def any(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Whether any element is true (non-zero)."""
    return wrap_plain(input.array.any(axis=dim, keepdims=keepdim))


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / sum of exp(x) along `dim`."""
    return ops.softmax(input if dtype is None else ops.cast(input, dtype=dtype), axis=dim)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, computed without overflow."""
    return ops.log_softmax(input if dtype is None else ops.cast(input, dtype=dtype), axis=dim)


def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log(sum of exp(x)) along `dim`, computed without overflow."""
    return ops.logsumexp(input, axis=_axis(dim), keepdims=keepdim)


def cumsum(input: Tensor, dim: int) -> Tensor:
    """The running sum along `dim`."""
    return ops.cumsum(_summable(input), axis=dim)
