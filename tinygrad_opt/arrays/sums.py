"""Sums and products of NumPy arrays that keep their digits, however many elements they take in.

NumPy adds float32 in pairs along the innermost axis only; along any other axis, and in running
sums, one by one: of four million numbers the fourth digit is wrong already. And float16 ends at
65504. So long sums are taken in float64, or in blocks, and rounded once; `scatter_add` adds whole
rows in `kernels/fused/rows.py`. The plain twins of all are in `arrays/namespace.py`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..kernels import blas
from ..kernels.fused import axis_sums, distances, rows

__all__ = ["Sums", "names_none_twice"]

# So many float32 additions one after the other cost a rounding error of 2e-6 at the very worst,
# and the products with ones below, which have several sums under way, a few 1e-7.
_FEW = 128
_WIDE_ENOUGH = 8  # numbers in a row, of which a vector is made
_array: Any = np.array
_reduce: Any = np.add.reduce  # its arguments count by place, which type checkers do not know
_APART = frozenset({int, slice, type(None), type(Ellipsis)})
_BOOL = np.dtype(bool)
_FLOATS = _FLOAT32, _FLOAT64 = np.dtype("float32"), np.dtype("float64")


class Sums:
    """The part of NumPy's namespace that adds up and multiplies."""

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if x.size >= axis_sums.LEAST and x.dtype in _FLOATS and x.flags.carray:
            return _large_sum(x, axis, keepdims)
        # The bare ufunc reduction: np.sum spends as long again on its Python-level arguments.
        if x.itemsize == 2 or (x.size > _FEW and x.dtype is _FLOAT32):
            return _long_sum(x, axis, keepdims)
        return _reduce(x, axis, None, None, keepdims)

    def sum_of_squares(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum of x^2 of real numbers: large arrays of squares are not written down."""
        if x.size >= axis_sums.LEAST and x.dtype in _FLOATS and x.flags.carray:
            return _large_sum(x, axis, keepdims, "squares")
        return self.sum(x * x, axis, keepdims)

    def distances(self, x: Any, y: Any) -> Any:
        """|x_i - y_j| for the rows of two matrices; None where that is not for kernels."""
        if x.ndim != 2 or y.ndim != 2 or len(x) * len(y) < distances.LEAST:
            return None
        if x.dtype not in _FLOATS or x.dtype is not y.dtype:
            return None
        z = blas.multiply(x, y.T)
        distances.from_products(_squares(x), _squares(y), z)
        return z

    def sum_rows(self, x: Any) -> Any:
        """The sum of a matrix's rows: as products with ones, half the time of a reduction."""
        if (x.ndim == 1 and len(x) > _FEW) or x.itemsize == 2 or x.size >= axis_sums.LEAST:
            return self.sum(x, 0)
        return _sum_of_rows(x)

    def prod(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        large = x.size >= axis_sums.LEAST and x.dtype is _FLOAT32 and x.flags.carray
        if large and type(axis) is int and axis in (-1, x.ndim - 1):
            y = axis_sums.of_rows(x.reshape(-1, x.shape[-1]), what="products")
            return y.astype(_FLOAT32).reshape(x.shape[:-1] + (1,) * keepdims)
        return _rounded(x.prod(axis, _wide(x), keepdims=keepdims), x)

    def cumsum(self, x: Any, axis: int | None = None) -> Any:
        return _rounded(x.cumsum(axis, _wide(x)), x)

    def cumprod(self, x: Any, axis: int | None = None) -> Any:
        return _rounded(x.cumprod(axis, _wide(x)), x)

    def logcumsumexp(self, x: Any, axis: int) -> Any:
        return _rounded(np.logaddexp.accumulate(x, axis, _wide(x)), x)

    def scatter_add(self, g: Any, shape: tuple[int, ...], index: Any) -> Any:
        """Zeros of `shape` with `g` added at `index`; repeated positions add up."""
        apart = names_none_twice(index) or getattr(index, "names_one_each", False)
        if apart or g.dtype.kind != "f":
            y = np.zeros(shape, g.dtype)
            if apart:
                y[index] = g
            else:
                np.add.at(y, index, g)
            return y
        wide = g.astype(_FLOAT32) if g.itemsize == 2 else g
        y = np.empty(shape, wide.dtype)
        if rows.fits(y, index, wide):
            rows.add(y, index, wide, fresh=True)
            return _rounded(y, g)
        places = _places(index, shape)
        values = np.broadcast_to(g, places.shape).reshape(-1)
        return _rounded(np.bincount(places.reshape(-1), values, y.size).reshape(shape), g)


def _squares(x: Any) -> Any:
    """The sum of the squares of each of a matrix's rows."""
    x = x if x.flags.carray else x.copy()
    return axis_sums.of_rows(x, what="squares").astype(x.dtype)


def _large_sum(x: Any, axis: Any, keepdims: bool, what: str = "sums") -> Any:
    """The sum of a large array in one piece: by kernels, if axes are the first ones or the last.

    `what`: "sums", or "squares" for that of x^2.
    """
    if type(axis) is int and 0 <= axis < x.ndim:
        axes, last = [axis], int(axis == x.ndim - 1)
    else:
        axes = list(range(x.ndim)) if axis is None else sorted(normalize_axis_tuple(axis, x.ndim))
        last = _trailing(axes, x.ndim)
    if last == x.ndim:
        y = _array(axis_sums.total(x, what=what), x.dtype)
        return y.reshape((1,) * x.ndim) if keepdims else y
    if last:
        left = x.shape[: x.ndim - last]
        y = axis_sums.of_rows(x.reshape(math.prod(left), -1), what=what).reshape(left)
        if len(axes) > last:
            y = y.sum(tuple(axes[: len(axes) - last]))
    elif what == "squares":
        return _large_sum(x * x, axis, keepdims)
    elif axes and axes == list(range(len(axes))):
        y = axis_sums.of_columns(x.reshape(math.prod(x.shape[: len(axes)]), -1))
    elif axes and axes == list(range(axes[0], axes[-1] + 1)) and x.shape[-1] >= _WIDE_ENOUGH:
        before, n = math.prod(x.shape[: axes[0]]), math.prod(x.shape[axes[0] : axes[-1] + 1])
        y = axis_sums.of_middle(x.reshape(before, n, -1))
    else:
        return _long_sum(x, axis, keepdims)
    kept = [1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a not in axes]
    return y.astype(x.dtype, copy=False).reshape(kept)


def _long_sum(x: Any, axis: Any, keepdims: bool) -> Any:
    """The sum of many float32 numbers, or of float16, with a few roundings at most."""
    if x.dtype is not _FLOAT32:
        return _rounded(_reduce(x, axis, _wide(x), None, keepdims), x)
    if type(axis) is int and -x.ndim <= axis < x.ndim and x.shape[axis] <= _FEW:
        return _reduce(x, axis, None, None, keepdims)
    if x.flags.c_contiguous:
        only = axis[0] if type(axis) is tuple and len(axis) == 1 else axis
        if only is None or only == -1 or x.ndim == 1:
            return _reduce(x, axis, None, None, keepdims)
        axes = sorted(normalize_axis_tuple(axis, x.ndim))
        many = math.prod(x.shape[a] for a in axes[: len(axes) - _trailing(axes, x.ndim)])
        if many <= _FEW:  # in pairs along the inner axes, and then these
            return _reduce(x, axis, None, None, keepdims)
        if axes == list(range(len(axes))):  # leading axes: whole rows are added
            total = _sum_of_rows(x.reshape(many, -1))
            return total.reshape((1,) * (len(axes) if keepdims else 0) + x.shape[len(axes) :])
    return _reduce(x, axis, _FLOAT64, None, keepdims).astype(_FLOAT32)


def _trailing(axes: list[int], ndim: int) -> int:
    """How many of the last axes are among the sorted `axes`, without a gap."""
    count = 0
    while count < len(axes) and axes[-1 - count] == ndim - 1 - count:
        count += 1
    return count


def _sum_of_rows(x: Any) -> Any:
    """The sum of a matrix's rows: block by block, then that of the blocks' sums."""
    n = len(x)
    if n <= 2 * _FEW or x.dtype is not _FLOAT32:
        return _ones(n, x.dtype).dot(x)
    blocks, left = divmod(n, _FEW)
    parts = np.matmul(_ones(_FEW, x.dtype), x[: n - left].reshape(blocks, _FEW, *x.shape[1:]))
    total = _sum_of_rows(parts)
    return total + _ones(left, x.dtype).dot(x[n - left :]) if left else total


def _places(index: Any, shape: tuple[int, ...]) -> Any:
    """For each element that `index` names, its place in a flat array of `shape`."""
    if isinstance(index, tuple) and len(index) == len(shape) and all(map(_is_integers, index)):
        return np.ravel_multi_index(np.broadcast_arrays(*index), shape, mode="wrap")
    return np.arange(math.prod(shape)).reshape(shape)[index]


def _is_integers(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "i"


def names_none_twice(index: Any) -> bool:
    """Whether an index is of slices, integers and masks, which never name a position twice."""
    for part in index if isinstance(index, tuple) else (index,):
        if type(part) not in _APART:
            return getattr(index, "dtype", None) == _BOOL
    return True


def _wide(x: Any) -> Any:
    """The type to accumulate in: float64 for the narrower floats, NumPy's choice for the rest."""
    return _FLOAT64 if x.dtype.kind == "f" else None


def _rounded(y: Any, x: Any) -> Any:
    """A float64 result in the type of the input x; others as they are."""
    return y.astype(x.dtype) if x.dtype.kind == "f" and y.dtype != x.dtype else y


@functools.lru_cache(maxsize=64)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)
