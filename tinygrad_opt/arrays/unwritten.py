"""Gradients that are not arrays yet: backward has them written where they belong.

The gradient of `x[2:5]` is zero but for a part. Several slices of one tensor (q, k and v of one
product, the steps of a sequence) would each fill an array of zeros as large as the whole, and then
all of these would be added. So a pullback may return a `Part`, which backward writes into the
gradient that it has gathered so far. And it may return the product or the rows that make a large
gradient: that of a parameter then goes right into its optimizer's buffer, and is not copied there.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..kernels import blas
from ..kernels.fused import rows
from .sums import names_none_twice

__all__ = ["Part", "Unwritten", "dot_later", "joined", "part_or_none", "rows_or_none"]

LARGE = 16_384  # elements from which on a copy costs more than to think of sparing it

_ndarray = np.ndarray
_references = sys.getrefcount


class Unwritten:
    """A gradient of this shape and type, NumPy's, which `whole` writes."""

    __slots__ = ("kind", "shape")
    dtype = None  # no array's: backward looks at what is not of the input's dtype

    def __init__(self, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
        self.shape, self.kind = shape, kind

    def whole(self, out: Any = None) -> Any:
        """The array; in `out`, contiguous and of this shape and type, if that is given."""
        raise NotImplementedError

    def add_to(self, held: Any) -> None:
        """Add it to the array `held`."""
        np.add(held, self.whole(), held)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.whole() if dtype is None else self.whole().astype(dtype)


class Part(Unwritten):
    """`values` at `index` of an array of zeros of this shape; no place is named twice."""

    __slots__ = ("index", "values")

    def __init__(self, values: Any, shape: tuple[int, ...], index: Any) -> None:
        super().__init__(shape, values.dtype)
        self.values, self.index = values, index

    def whole(self, out: Any = None) -> Any:
        if out is None:
            out = np.zeros(self.shape, self.kind)
        else:
            out.fill(0)
        out[self.index] = self.values
        return out

    def add_to(self, held: Any) -> None:
        held[self.index] += self.values


class Product(Unwritten):
    """The product of two matrices of one type."""

    __slots__ = ("factors",)

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__((x.shape[0], y.shape[1]), x.dtype)
        self.factors = x, y

    def whole(self, out: Any = None) -> Any:
        return blas.multiply(*self.factors, out)


class Rows(Unwritten):
    """`values` added up at the rows `index` of a table of zeros; the row `without` stays zero."""

    __slots__ = ("index", "values", "without")

    def __init__(
        self, values: Any, shape: tuple[int, ...], index: Any, without: int | None
    ) -> None:
        super().__init__(shape, values.dtype)
        self.values, self.index, self.without = values, index, without

    def whole(self, out: Any = None) -> Any:
        out = np.empty(self.shape, self.kind) if out is None else out
        rows.add(out, self.index, self.values, fresh=True)
        if self.without is not None:
            out[self.without] = 0
        return out

    def add_to(self, held: Any) -> None:
        if self.without is not None:
            kept = held[self.without].copy()
        rows.add(held, self.index, self.values)
        if self.without is not None:
            held[self.without] = kept


def dot_later(x: Any, y: Any) -> Any:
    """The product of two matrices of NumPy's, as a Product where it is large."""
    if x.shape[0] * y.shape[1] < LARGE or x.dtype is not y.dtype or type(y) is not _ndarray:
        return blas.multiply(x, y)
    return Product(x, y)


def part_or_none(values: Any, shape: tuple[int, ...], index: Any) -> Part | None:
    """The Part, where `values` is NumPy's and `index` is of integers and slices alone."""
    if type(values) is _ndarray and names_none_twice(index):
        return Part(values, shape, index)
    return None


def rows_or_none(values: Any, table: Any, index: Any, without: int | None = None) -> Rows | None:
    """The Rows of a gradient of `table`, where that is large and the kernel takes these."""
    if type(values) is _ndarray and table.size >= LARGE and rows.fits(table, index, values):
        return Rows(values, table.shape, index, without)
    return None


def joined(held: Any, g: Any, ours: bool = False) -> Any:
    """The sum of two gradients of one shape and dtype, in the memory of `held` if that is free.

    That is, if it is `ours`, or if but one container holds it where this is called.
    """
    if not ours and (
        type(held) is not _ndarray or _references(held) > _ALONE or held.base is not None
    ):
        return held + (g.whole() if isinstance(g, Unwritten) else g)
    if isinstance(g, Unwritten):
        g.add_to(held)
    elif type(g) is _ndarray:
        np.add(held, g, held)
    else:
        return held + g
    return held


def _count(held: Any) -> int:
    return _references(held)


_probe = {0: np.zeros(2)}
_ALONE = _count(_probe[0])  # of an array that one container holds, seen from a function
