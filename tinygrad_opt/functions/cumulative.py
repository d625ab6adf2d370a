"""Running sums, products and extremes along an axis, and differences of neighbours."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.half import widened
from ..core.tensor import Tensor, wrap_plain
from . import return_types
from .arithmetic import times
from .joining import cat
from .reduce import in_type, summable
from .shape import narrow

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "logcumsumexp",
    "trapezoid", "trapz",
]  # fmt: skip


def _running(operation: Any, input: Tensor, dim: int) -> Tensor:
    axis = axis_index(dim, input.array.ndim)
    if input.array.ndim:
        return operation(input, axis=axis)
    # A 0-d tensor is its own running total.
    return ops.reshape(operation(ops.reshape(input, shape=(1,)), axis=0), shape=())


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The running sum along `dim`; bools and ints give int64."""
    return in_type(_running(ops.cumsum, summable(input, dtype), dim), dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The running product along `dim`; bools and ints give int64."""
    return in_type(_running(ops.cumprod, summable(input, dtype), dim), dtype)


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log of the running sum of exp(x) along `dim`, computed without overflow."""
    return _running(ops.logcumsumexp, input, dim)


def _running_extremum(name: str, ufunc: str, better: Any) -> Any:
    def function(input: Tensor, dim: int) -> Any:
        x = input.array
        axis = axis_index(dim, x.ndim)
        if not x.ndim:
            return getattr(return_types, name)(ops.clone(input), wrap_plain(xp(x).zeros((), int)))
        space = xp(x)
        best = space.accumulate(x, ufunc, axis)
        # The last place so far that reached the best; a NaN is best of all.
        places = space.arange(x.shape[axis]).reshape(
            [-1 if i == axis else 1 for i in range(x.ndim)]
        )
        places = space.where(better(x, best) | (x != x), places, 0)
        indices = space.accumulate(places, "maximum", axis)
        values = ops.take_along_axis(input, indices=indices, axis=axis)
        return getattr(return_types, name)(values, wrap_plain(indices))

    function.__name__ = name
    function.__doc__ = (
        f"The named tuple (values, indices) of the running {name[3:]}imum along `dim`; of equals "
        "the last one counts."
    )
    return function


cummax = _running_extremum("cummax", "maximum", lambda x, best: x >= best)
cummin = _running_extremum("cummin", "minimum", lambda x, best: x <= best)


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The difference of each element to the one before along `dim`, taken n times."""
    if input.array.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    parts = [part for part in (prepend, input, append) if part is not None]
    y = cat(parts, dim) if len(parts) > 1 else input
    if n == 0:
        return ops.clone(y)
    for _ in range(min(n, y.array.shape[axis_index(dim, y.array.ndim)])):
        count = y.array.shape[axis_index(dim, y.array.ndim)]
        later, earlier = narrow(y, dim, 1, count - 1), narrow(y, dim, 0, count - 1)
        y = later ^ earlier if y.array.dtype.kind == "b" else ops.sub(later, earlier)
    return y


def _strips(y: Tensor, x: Any, dx: float, dim: int) -> Tensor:
    """The areas of the trapezoids between neighbours."""
    axis = axis_index(dim, y.array.ndim)
    if not y.array.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    n = y.array.shape[axis]
    if not n:  # no neighbours, as with a single one
        return y / 2
    widths: Any = dx
    if x is not None:
        widths = diff(x, dim=dim if x.array.ndim > 1 else 0)
        if x.array.ndim == 1:
            shape = [1] * y.array.ndim
            shape[dim] = n - 1
            widths = ops.reshape(widths, shape=tuple(shape))
    means = ops.scaled(narrow(y, dim, 0, n - 1) + narrow(y, dim, 1, n - 1), by=0.5)
    return times(means, widths)


@widened
def trapezoid(y: Tensor, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """The integral of y along `dim` by the trapezoidal rule, at the points x or at steps dx."""
    return ops.sum(_strips(y, x, dx, dim), axis=dim)


@widened
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """The running integral of y along `dim` by the trapezoidal rule."""
    return ops.cumsum(_strips(y, x, dx, dim), axis=dim)


trapz = trapezoid
