"""What NumPy does on one thread, by kernels where arrays are large: copies, choices, running sums.

The kernels are those of `kernels/fused/copies.py` and `kernels/fused/extremes.py`, and hardtanh's
of `elementwise.py`; the twins are NumPy's own functions, and the formulas in `namespace.py` and
`ops/reduce.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..kernels.fused import copies, extremes
from .fused import kernels_of, times

__all__ = ["Large"]

COPIES = 262_144  # elements from which on kernels copy quicker than NumPy does
SUMS = 32_768  # the same for running sums
CHOICES = 4_096  # and for choices
EXTREMES = 16_384  # and for extremes of rows
MASKS = 16_384  # and for those by a mask that goes for each item of a batch
_ndarray = np.ndarray
_FLOATS = np.dtype("float32"), np.dtype("float64")
_NUMBERS = int, float
_reshape_tells = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # whether it had to copy


_POWERS: dict[float, Callable[[Any], Any]] = {
    2: lambda x: times(x, x),
    3: lambda x: times(times(x, x), x),
    4: lambda x: times(s := times(x, x), s),
    -2: lambda x: 1 / times(x, x),
    -0.5: lambda x: 1 / np.sqrt(x),
}


class Large:
    """The part of NumPy's namespace that copies, chooses and adds up as it goes."""

    def copy(self, x: Any) -> Any:
        y = copies.copy(x) if x.size >= COPIES else None
        return x.copy() if y is None else y

    def reshape(self, x: Any, shape: Any) -> Any:
        if x.size >= COPIES and not x.flags.c_contiguous and _reshape_tells:
            try:
                return x.reshape(shape, copy=False)
            except ValueError:  # to be copied
                x = self.copy(x)
        return x.reshape(shape)

    def power(self, x: Any, y: Any) -> Any:
        """x^y; small whole powers as products, of which NumPy's take a hundredth of the time."""
        if type(y) in _NUMBERS and y in _POWERS and type(x) is _ndarray and x.dtype in _FLOATS:
            return _POWERS[y](x)
        return super().power(x, y)  # type: ignore[misc]

    def cumsum(self, x: Any, axis: int | None = None) -> Any:
        if x.size >= SUMS and axis is not None and x.dtype in _FLOATS and x.flags.carray:
            return copies.cumsum(x, normalize_axis_index(axis, x.ndim))
        return super().cumsum(x, axis)  # type: ignore[misc]

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
        return x.max(axis=axis, keepdims=keepdims)

    def amin(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if x.size >= EXTREMES and _has_rows(x, axis):
            return _of_rows(extremes.extremes, x, keepdims, "minimum")
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


def _of_rows(what: Any, x: Any, keepdims: bool, *rest: Any) -> Any:
    shape = x.shape[:-1]
    return what(x.reshape(-1, x.shape[-1]), *rest).reshape((*shape, 1) if keepdims else shape)


def _has_rows(x: Any, axis: Any) -> bool:
    """Whether x is of floats and in one piece, and `axis`, an integer, its last one."""
    return type(axis) is int and axis in (-1, x.ndim - 1) and x.dtype in _FLOATS and x.flags.carray


def _is_whole(a: Any, kind: Any, shape: tuple[int, ...]) -> bool:
    """Whether `a` is an array of this type and shape, in one piece."""
    return type(a) is _ndarray and a.dtype == kind and a.shape == shape and bool(a.flags.carray)
