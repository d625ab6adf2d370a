"""Sums, means, variances, extremes, norms, softmax. Medians and histograms: `statistics`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..arrays import dtypes
from ..arrays.size import WHOLE
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.half import widened
from ..core.node import Variable
from ..core.tensor import Tensor, wrap_plain
from . import return_types
from .comparison import ne
from .shape import squeeze

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "log_softmax",
    "logsumexp", "max", "mean", "min", "nanmean", "nansum", "norm", "prod", "softmax", "std",
    "std_mean", "sum", "var", "var_mean",
]  # fmt: skip

Dim = int | Sequence[int] | None


def axis_of(dim: Dim) -> Any:
    """`dim` as NumPy's axis; no dims at all means every one. RuntimeError for a repeated one."""
    if not isinstance(dim, (list, tuple)):
        return dim
    for d in dim:
        if dim.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims {list(dim)}")
    return tuple(dim) or None


def summable(x: Tensor, dtype: Any = None) -> Tensor:
    """x in the type in which it is summed: uint8 in int64, where NumPy would take uint64."""
    if dtype is None and x.array.dtype is dtypes.uint8:
        dtype = dtypes.int64
    return x if dtype is None else x.to(dtype)


def in_type(y: Tensor, dtype: Any) -> Tensor:
    """The sum y in the type that was asked for: NumPy adds small integers up in int64."""
    return y if dtype is None else y.to(dtype)


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an axis, several, or all); bools and ints give int64."""
    return in_type(ops.sum(summable(input, dtype), axis=axis_of(dim), keepdims=keepdim), dtype)


def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` of all that is not NaN."""
    return sum(_without_nan(input), dim, keepdim, dtype=dtype)


@widened
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` of all that is not NaN."""
    count = sum(ops.logical_not(ops.isnan(input)), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


def _without_nan(x: Tensor) -> Tensor:
    return ops.where(ops.isnan(x), 0, x) if x.array.dtype.kind == "f" else x


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None
         ) -> Tensor:  # fmt: skip
    """The product of all elements, or along `dim`; bools and ints give int64."""
    axis = dim if dim is None else axes_of(dim, input.array.ndim)
    return in_type(ops.prod(summable(input, dtype), axis=axis, keepdims=keepdim), dtype)


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim`. Raises RuntimeError for integers, whose mean has no obvious type."""
    x = input if dtype is None else ops.cast(input, dtype=dtype)
    if x.array.dtype.kind not in "fc":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {dtypes.name_of(x.array.dtype)}; convert with .float()"
        )
    return ops.mean(x, axis=axis_of(dim), keepdims=keepdim)


def var(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: float | None = None,
) -> Tensor:  # fmt: skip
    """The variance over `dim`: sum of (x - mean)^2 / (n - correction), correction 1 by default."""
    return _spread(ops.variance, input, dim, unbiased, keepdim, correction)[0]


def std(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: float | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the square root of `var`."""
    return _spread(ops.deviation, input, dim, unbiased, keepdim, correction)[0]


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The variance and the mean over `dim`. Raises RuntimeError for integers."""
    spread, axis = _spread(ops.variance, input, dim, unbiased, keepdim, correction)
    return spread, ops.mean(input, axis=axis, keepdims=keepdim)


def _spread(
    operation: Any, input: Tensor, dim: Any, unbiased: bool, keepdim: bool,
    correction: float | None,
) -> tuple[Tensor, Any]:  # fmt: skip
    """The variance or deviation, and the axis that it was taken over."""
    if isinstance(dim, bool):  # var(x, False), where the axis was left out
        dim, unbiased = None, dim
    if input.array.dtype.kind not in "fc":
        raise RuntimeError(
            "std and var only support floating point and complex dtypes, got "
            f"{dtypes.name_of(input.array.dtype)}; convert with .float()"
        )
    correction = int(unbiased) if correction is None else correction
    axis = axis_of(dim)

    def of(x: Any) -> Any:
        return operation(x, axis=axis, keepdims=keepdim, correction=correction)

    if input.array.dtype.kind == "c":
        join = ops.add if operation is ops.variance else ops.hypot
        return join(of(ops.real_part(input)), of(ops.imag_part(input))), axis
    return of(input), axis


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The standard deviation and the mean over `dim`."""
    spread, axis = _spread(ops.deviation, input, dim, unbiased, keepdim, correction)
    return spread, ops.mean(input, axis=axis, keepdims=keepdim)


def norm(
    input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^p)^(1/p) over `dim`; p may be inf, -inf, 0 (which counts the non-zeros) or "fro".

    The Frobenius norm "fro" is the norm of p = 2 of all elements.
    """
    input, axis = input if dtype is None else input.to(dtype), axis_of(dim)
    if input.array.dtype.kind == "c":
        input = ops.abs(input)
    if p in (math.inf, -math.inf):
        extremum = ops.amax if p > 0 else ops.amin
        return extremum(ops.abs(input), axis=axis, keepdims=keepdim, nans=True)
    if p is None or p in (2, "fro"):
        return ops.norm2(input, axis=axis, keepdims=keepdim)
    if p == 0:
        steps = ops.sign(ops.abs(ops.nan_to_num(input, nan=1.0, posinf=None, neginf=None)))
        return ops.sum(steps, axis=axis, keepdims=keepdim)
    if p == 1:
        return ops.sum(ops.abs(input), axis=axis, keepdims=keepdim)
    return ops.norm_p(input, p=p, axis=axis, keepdims=keepdim)


def _truth(name: str, what: str) -> Any:
    def function(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
        x = input.array
        y = wrap_plain(getattr(x, name)(axis=axes_of(dim, x.ndim), keepdims=keepdim))
        return y.to(x.dtype) if x.dtype is dtypes.uint8 else y  # as PyTorch

    function.__name__ = name
    function.__doc__ = f"Whether {what} over `dim` (an axis, several, or all) is true (non-zero)."
    return function


all, any = _truth("all", "every element"), _truth("any", "at least one element")


def axes_of(dim: Dim, ndim: int) -> Any:
    """`axis_of`, checked against the number of axes. Raises IndexError if there is no such axis."""
    axis = axis_of(dim)
    if axis is None:
        return None
    if not ndim:
        for d in (axis,) if isinstance(axis, WHOLE) else axis:
            axis_index(d, ndim)
        return None
    return (
        axis_index(axis, ndim)
        if isinstance(axis, WHOLE)
        else axis_of([axis_index(a, ndim) for a in axis])
    )


def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements over `dim` are not 0."""
    return sum(ne(input, 0), dim)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / sum of exp(x) along `dim`."""
    axis_index(dim, input.array.ndim)
    return ops.softmax(input if dtype is None else ops.cast(input, dtype=dtype), axis=dim)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, computed without overflow."""
    axis_index(dim, input.array.ndim)
    return ops.log_softmax(input if dtype is None else ops.cast(input, dtype=dtype), axis=dim)


def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log(sum of exp(x)) along `dim`, computed without overflow; -inf if there is nothing."""
    if not input.array.size:
        return ops.sub(ops.sum(input, axis=axis_of(dim), keepdims=keepdim), math.inf)
    return ops.logsumexp(input, axis=axis_of(dim), keepdims=keepdim)


# Maxima and minima, and where they stand ----------------------------------------------------------


def _argextremum(name: str) -> Any:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        x = input.array
        _refuse_empty(x, dim, name, IndexError)
        space = xp(x)
        if dim is None:
            found = getattr(space, name)(x)
            return wrap_plain(found.reshape((1,) * x.ndim) if keepdim else found)
        axis = axis_index(dim, x.ndim)
        found = getattr(space, name)(x, axis=axis)
        return wrap_plain(space.expand_dims(found, axis) if keepdim and x.ndim else found)

    function.__name__ = name
    function.__doc__ = (
        f"The int64 position of the {name[3:]}imum, over all elements or along `dim`."
    )
    return function


argmax, argmin = _argextremum("argmax"), _argextremum("argmin")


def _extremum(name: str, arg: Any, reduce: Any, pairwise: Any) -> Any:
    result = getattr(return_types, name)

    def function(
        input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None
    ) -> Any:
        if isinstance(dim, Variable):
            dim, other = None, dim
        if other is not None:
            return pairwise(input, other)
        if dim is None:
            _refuse_empty(input.array, None, name, RuntimeError)
            return reduce(input, nans=True)
        indices = arg(input, dim, keepdim=True)
        values = ops.take_along_axis(
            input, indices=indices.array, axis=axis_index(dim, input.array.ndim)
        )
        if keepdim:
            return result(values, indices)
        return result(squeeze(values, dim), squeeze(indices, dim))

    function.__name__ = name
    function.__doc__ = (
        f"The {name}imum of all elements (ties share the gradient, so do NaNs); with `dim` an axis,"
        " the named tuple (values, indices) along it; with a second Tensor, the element-wise "
        f"{name}imum."
    )
    return function


max = _extremum("max", argmax, ops.amax, ops.maximum)
min = _extremum("min", argmin, ops.amin, ops.minimum)


def _reduction(name: str) -> Any:
    def function(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
        axis = axis_of(dim)
        if not input.array.size:
            for d in axis if isinstance(axis, tuple) else (axis,):
                _refuse_empty(input.array, d, name, RuntimeError)
        return getattr(ops, name)(input, axis=axis, keepdims=keepdim)

    function.__name__ = name
    function.__doc__ = f"The {name[1:]}imum over `dim`; ties share the gradient equally."
    return function


amax, amin = _reduction("amax"), _reduction("amin")


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The named tuple (min, max) over all elements or along `dim`."""
    if dim is not None:
        _refuse_empty(input.array, dim, "aminmax", IndexError)
    elif not input.array.size:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    return return_types.aminmax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def _refuse_empty(x: Any, dim: Any, name: str, kind: type[Exception]) -> None:
    if x.size:
        return
    if dim is None:
        raise kind(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument."
        )
    if not x.shape[axis_index(dim, x.ndim)]:
        raise IndexError(
            f"{name}(): Expected reduction dim {dim} to have non-zero size: an empty axis has no "
            "extreme element"
        )
