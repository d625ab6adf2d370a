"""What NumPy does on one thread, by kernels where arrays are large: copies, choices, running sums.

The kernels are those of `kernels/fused/copies.py`, and hardtanh's of `elementwise.py`; the twins
are NumPy's own functions, and the formula in `namespace.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..kernels.fused import copies
from .fused import kernels_of

__all__ = ["Large"]

COPIES = 262_144  # elements from which on kernels copy quicker than NumPy does
SUMS = 32_768  # the same for running sums
CHOICES = 4_096  # and for choices
MASKS = 16_384  # and for those by a mask that goes for each item of a batch
_ndarray = np.ndarray
_FLOATS = np.dtype("float32"), np.dtype("float64")
_NUMBERS = int, float
_reshape_tells = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # whether it had to copy


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


def _is_whole(a: Any, kind: Any, shape: tuple[int, ...]) -> bool:
    """Whether `a` is an array of this type and shape, in one piece."""
    return type(a) is _ndarray and a.dtype == kind and a.shape == shape and bool(a.flags.carray)
