"""Gradients that come in several parts: added up in place, where nobody else looks.

The gradient of `x[2:5]` is zero but for a part. Several slices of one tensor (q, k and v of one
product, the steps of a sequence) would each fill an array of zeros as large as the whole, and then
all of these would be added. So a pullback may return a `Part`, which backward writes into the
gradient that it has gathered so far.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .sums import names_none_twice

__all__ = ["Part", "joined", "part_or_none"]

_ndarray = np.ndarray
_references = sys.getrefcount


class Part:
    """`values` at `index` of an array of zeros of this shape; no place is named twice."""

    __slots__ = ("index", "shape", "values")
    dtype = None  # no array's: backward looks at what is not of the input's dtype

    def __init__(self, values: Any, shape: tuple[int, ...], index: Any) -> None:
        self.values, self.shape, self.index = values, shape, index

    def whole(self) -> Any:
        """The array of zeros, with the values."""
        y = np.zeros(self.shape, self.values.dtype)
        y[self.index] = self.values
        return y

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.whole() if dtype is None else self.whole().astype(dtype)


def part_or_none(values: Any, shape: tuple[int, ...], index: Any) -> Part | None:
    """The Part, where `values` is NumPy's and `index` is of integers and slices alone."""
    if type(values) is _ndarray and names_none_twice(index):
        return Part(values, shape, index)
    return None


def joined(held: Any, g: Any) -> Any:
    """The sum of two gradients of one shape and dtype, in the memory of `held` if that is free.

    Only one container may hold `held` where this is called.
    """
    if type(held) is not _ndarray or _references(held) > _ALONE or held.base is not None:
        return held + (g.whole() if type(g) is Part else g)
    if type(g) is Part:
        held[g.index] += g.values
    elif type(g) is _ndarray:
        np.add(held, g, held)
    else:
        return held + g
    return held


def _count(held: Any) -> int:
    return _references(held)


_probe = {0: np.zeros(2)}
_ALONE = _count(_probe[0])  # of an array that one container holds, seen from a function
