"""What NumPy does on one thread, by kernels where arrays are large: copies, choices, running sums.

The kernels are those of `kernels/fused/copies.py`, `kernels/fused/joins.py` and
`kernels/fused/extremes.py`, and hardtanh's of `elementwise.py`; the twins are NumPy's own
functions, and the formulas in `namespace.py` and `ops/reduce.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..kernels.fused import casts, copies, extremes, joins, pairs
from .fused import kernels_of, times

__all__ = ["Large", "write"]

ROLLS = 262_144  # elements from which on kernels roll quicker than NumPy does
CASTS = 65_536  # and for other types
HALVES = 4_096  # and for half precision
SUMS = 2_048  # and for running sums and products
CHOICES = 4_096  # and for choices
EXTREMES = 16_384  # and for extremes of rows
MASKS = 16_384  # and for those by a mask that goes for each item of a batch
_ndarray = np.ndarray
_FLOATS = np.dtype("float32"), np.dtype("float64")
_NUMBERS = int, float
_reshape_tells = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # whether it had to copy


def _is_large(x: Any, least: int = pairs.LEAST) -> bool:
    """Whether the kernels of `pairs` take x."""
    return x.size >= least and x.dtype in _FLOATS and bool(x.flags.carray)


_POWERS: dict[float, Callable[[Any], Any]] = {
    2: lambda x: times(x, x),
    3: lambda x: pairs.run(pairs.cube, (x,), ()) if _is_large(x) else x * x * x,
    4: lambda x: pairs.run(pairs.fourth, (x,), ()) if _is_large(x) else (s := x * x) * s,
    -2: lambda x: 1 / times(x, x),
    -0.5: lambda x: 1 / np.sqrt(x),
}


class Large:
    """The part of NumPy's namespace that copies, chooses and adds up as it goes."""

    def copy(self, x: Any) -> Any:
        return copies.in_order(x)

    def reshape(self, x: Any, shape: Any) -> Any:
        if x.size >= copies.TURNED and not x.flags.c_contiguous and _reshape_tells:
            try:
                return x.reshape(shape, copy=False)
            except ValueError:  # to be copied
                x = self.copy(x)
        return x.reshape(shape)

    def cast(self, x: Any, dtype: Any) -> Any:
        kind = np.dtype(dtype)
        least = HALVES if x.itemsize == 2 or kind.itemsize == 2 else CASTS
        if x.size >= least and type(x) is _ndarray and x.dtype != kind and x.flags.carray:
            y = casts.cast(x, kind)
            if y is not None:
                return y
        return super().cast(x, dtype)  # type: ignore[misc]

    def flipped(self, x: Any, axis: Any) -> Any:
        only = axis[0] if type(axis) is tuple and len(axis) == 1 else axis
        if x.size >= joins.TURNED and type(only) is int and joins.is_taken(x):
            return joins.turned(x, normalize_axis_index(only, x.ndim))
        return super().flipped(x, axis)  # type: ignore[misc]

    def concatenate(self, parts: Any, axis: int | None = 0, out: Any = None) -> Any:
        if axis is not None and out is None and _some_are_large(parts):
            first, joined = parts[0], normalize_axis_index(axis, parts[0].ndim)
            if all(_goes_beside(part, first, joined) for part in parts):
                n, around = sum([part.shape[joined] for part in parts]), list(first.shape)
                around[joined] = n
                y, start = np.empty(around, first.dtype), 0
                for part in parts:
                    start = _put_beside(y, start, part, joined)
                return y
        return np.concatenate(parts, axis, out)

    def stack(self, parts: Any, axis: int = 0) -> Any:
        if not _some_are_large(parts):
            return np.stack(parts, axis)
        at = normalize_axis_index(axis, parts[0].ndim + 1)
        whole = (slice(None),) * at + (None,)
        if any(part.shape != parts[0].shape for part in parts):
            return np.stack(parts, axis)  # tells which
        return self.concatenate([part[whole] for part in parts], at)

    def roll(self, x: Any, shift: Any, axis: Any) -> Any:
        if type(shift) is tuple and len(shift) == 1 == len(axis):
            (shift,), (axis,) = shift, axis
        if x.size < ROLLS or type(shift) is not int or type(axis) is not int:
            return np.roll(x, shift, axis)
        n, y = x.shape[axis], np.empty_like(x)
        shift, before = shift % n, (slice(None),) * normalize_axis_index(axis, x.ndim)
        for target, source in (
            (slice(shift, None), slice(n - shift)),
            (slice(shift), slice(n - shift, None)),
        ):
            write(y, (*before, target), x[(*before, source)])
        return y

    def power(self, x: Any, y: Any) -> Any:
        """x^y; small whole powers as products, of which NumPy's take a hundredth of the time."""
        if type(y) in _NUMBERS and y in _POWERS and type(x) is _ndarray and x.dtype in _FLOATS:
            return _POWERS[y](x)
        return super().power(x, y)  # type: ignore[misc]

    def sign(self, x: Any) -> Any:
        if type(x) is _ndarray and _is_large(x, pairs.SIGNS):
            return pairs.run(pairs.sign, (x,), ())
        return super().sign(x)  # type: ignore[misc]

    def sigmoid(self, x: Any) -> Any:
        if x.size >= CHOICES and x.dtype in _FLOATS and x.flags.carray:
            y = np.empty(x.shape, x.dtype)
            kernels_of("sigmoid", x.size)[x.dtype](x.ravel(), y.ravel())
            return y
        return super().sigmoid(x)  # type: ignore[misc]

    def cumsum(self, x: Any, axis: int | None = None) -> Any:
        if x.size >= SUMS and axis is not None and x.dtype in _FLOATS:
            return _running(x, axis, "cumsum")
        return super().cumsum(x, axis)  # type: ignore[misc]

    def cumprod(self, x: Any, axis: int | None = None) -> Any:
        if x.size >= SUMS and axis is not None and x.dtype in _FLOATS:
            return _running(x, axis, "cumprod")
        return super().cumprod(x, axis)  # type: ignore[misc]

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        array = x if type(x) is _ndarray else y
        large = type(condition) is type(array) is _ndarray and array.size >= CHOICES
        if large and array.dtype in _FLOATS:
            kind, shape = array.dtype, array.shape
            if array.size >= MASKS and condition.shape == shape[-condition.ndim :] != shape:
                condition = self.copy(np.broadcast_to(condition, shape))
            arrays = (type(a) in _NUMBERS or _is_whole(a, kind, shape) for a in (x, y))
            if _is_whole(condition, np.dtype(bool), shape) and all(arrays):
                return copies.choose(condition, x, y, kind)
        return np.where(condition, x, y)

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Any:
        if type(x) is _ndarray and x.size >= CHOICES and x.dtype in _FLOATS and x.flags.carray:
            bounds = -math.inf if min is None else min, math.inf if max is None else max
            if all(type(bound) in _NUMBERS for bound in bounds):
                y = np.empty(x.shape, x.dtype)
                kernels_of("hardtanh", x.size)[x.dtype](x.ravel(), y.ravel(), *bounds)
                return y
        return super().clip(x, min, max)  # type: ignore[misc]

    def amax(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if x.size >= EXTREMES and _has_rows(x, axis):
            return _of_rows(extremes.extremes, x, keepdims, "maximum")
        if x.size >= EXTREMES and _has_columns(x, axis):
            return _of_columns(x, axis, keepdims, "maximum")
        return x.max(axis=axis, keepdims=keepdims)

    def amin(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if x.size >= EXTREMES and _has_rows(x, axis):
            return _of_rows(extremes.extremes, x, keepdims, "minimum")
        if x.size >= EXTREMES and _has_columns(x, axis):
            return _of_columns(x, axis, keepdims, "minimum")
        return x.min(axis=axis, keepdims=keepdims)

    def log_of_sums(self, x: Any, axis: Any, keepdims: bool) -> Any:
        """log(sum(exp(x))) along the last axis of a large array; None of others."""
        if x.size >= EXTREMES and _has_rows(x, axis):
            return _of_rows(extremes.log_of_sums, x, keepdims)
        return None

    def places_of_largest(self, x: Any, k: int, axis: int, largest: bool) -> Any:
        """Where the k largest (or smallest) stand, in order; None where that is not for kernels."""
        if not (x.size >= CHOICES and 1 <= k <= extremes.MOST and _has_rows(x, axis)):
            return None
        places = extremes.places_of_largest(x.reshape(-1, x.shape[-1]), k, largest)
        return places.reshape(*x.shape[:-1], k)


def _running(x: Any, axis: int, name: str) -> Any:
    x = x if x.flags.carray else copies.in_order(x)
    return copies.running(x, normalize_axis_index(axis, x.ndim), name)


def write(y: Any, index: Any, x: Any) -> None:
    """y[index] = x, with which y shares no memory."""
    if y.size >= copies.TURNED and type(x) is _ndarray and x.size and not _names_places(index):
        place = y[index]
        if copies.pays(place) and copies.into(place, x):
            return
    y[index] = x


def _some_are_large(parts: Any) -> bool:
    """Whether what is put together is copied by kernels."""
    return sum([part.size for part in parts]) >= joins.LARGE


def _names_places(index: Any) -> bool:
    """Whether an index is of arrays, too, and what it takes no view."""
    return any(type(part) not in _OF_VIEWS for part in index) if type(index) is tuple else True


_OF_VIEWS = frozenset({slice, type(None), type(Ellipsis)})


def _goes_beside(part: Any, first: Any, axis: int) -> bool:
    """Whether one array is joined to another along an axis, and both have their rows first."""
    if type(part) is not _ndarray or part.dtype != first.dtype or part.ndim != first.ndim:
        return False
    a, b = part.shape, first.shape
    if a != b and (a[:axis] != b[:axis] or a[axis + 1 :] != b[axis + 1 :]):
        return False
    if part.flags.c_contiguous:
        return True
    strides = [stride for stride, n in zip(part.strides, a, strict=True) if n > 1]
    return all(one >= other for one, other in itertools.pairwise(strides))


def _put_beside(y: Any, start: int, part: Any, axis: int) -> int:
    """Put a part into y along an axis from `start` on; return where it ends."""
    if part.size >= _WHOLE_ROWS and joins.is_taken(part):
        return joins.beside(y, start, part, axis)
    stop = start + part.shape[axis]
    write(y, (slice(None),) * axis + (slice(start, stop),), part)
    return stop


_WHOLE_ROWS = 4_096  # elements of a part that a kernel puts beside others


def _of_rows(what: Any, x: Any, keepdims: bool, *rest: Any) -> Any:
    shape = x.shape[:-1]
    return what(x.reshape(-1, x.shape[-1]), *rest).reshape((*shape, 1) if keepdims else shape)


def _of_columns(x: Any, axis: int, keepdims: bool, name: str) -> Any:
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    y = extremes.extremes_of_middle(x.reshape(math.prod(before), x.shape[axis], -1), name)
    return y.reshape((*before, *(1,) * keepdims, *after))


def _has_columns(x: Any, axis: Any) -> bool:
    """Whether `axis`, an integer, is not the last one of x, of floats and in one piece."""
    wide = type(axis) is int and 0 <= axis < x.ndim - 1 and x.shape[-1] >= _WIDE_ENOUGH
    return wide and x.dtype in _FLOATS and x.flags.carray


_WIDE_ENOUGH = 8  # numbers in a row, of which a vector is made


def _has_rows(x: Any, axis: Any) -> bool:
    """Whether x is of floats and in one piece, and `axis`, an integer, its last one."""
    return type(axis) is int and axis in (-1, x.ndim - 1) and x.dtype in _FLOATS and x.flags.carray


def _is_whole(a: Any, kind: Any, shape: tuple[int, ...]) -> bool:
    """Whether `a` is an array of this type and shape, in one piece."""
    return type(a) is _ndarray and a.dtype == kind and a.shape == shape and bool(a.flags.carray)
