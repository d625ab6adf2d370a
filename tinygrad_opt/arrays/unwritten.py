"""Gradients that are not arrays yet: backward has them written where they belong.

The gradient of `x[2:5]` is zero but for a part. Several slices of one tensor (q, k and v of one
product, the steps of a sequence) would each fill an array of zeros as large as the whole, and then
all of these would be added. So a pullback may return a `Part`. Parts of one array wait for each
other, and are written once the gradient is asked for; or not at all, where they are views that make
up the whole as they lie. And it may return the product or the rows that make a large gradient: that
of a parameter then goes right into its optimizer's buffer, and is not copied there.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ..kernels import blas
from ..kernels.fused import arithmetic, rows
from ..kernels.fused.copies import in_order
from .large import write
from .sums import names_none_twice

__all__ = [
    "Part",
    "Unwritten",
    "copied",
    "dot_later",
    "is_free",
    "joined",
    "part_or_none",
    "rows_or_none",
]

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

    def waits(self, x: Any) -> bool:
        """Whether the gradient of x is to be written when its turn comes."""
        return False

    def add_to(self, held: Any) -> None:
        """Add it to the array `held`."""
        _accumulate(held, self.whole())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.whole() if dtype is None else self.whole().astype(dtype)


class Part(Unwritten):
    """`values` at `index` of an array of zeros of this shape, where no place is named twice.

    parts: with the parts that were joined to it, which add up: an index and the values of each.
    """

    __slots__ = ("parts",)

    def __init__(self, values: Any, shape: tuple[int, ...], index: Any) -> None:
        super().__init__(shape, values.dtype)
        self.parts = [(index, values)]

    def waits(self, x: Any) -> bool:
        return x.node is not None and self.kind is x.array.dtype

    def whole(self, out: Any = None) -> Any:
        if _fill(self.parts, self.shape):
            if out is None:
                out = self._in_one()
                if out is not None:
                    return out
                out = np.empty(self.shape, self.kind)
            for index, values in self.parts:
                write(out, index, values)
            return out
        if out is None:
            out = np.zeros(self.shape, self.kind)
        else:
            out.fill(0)
        (index, values), *more = self.parts
        write(out, index, values)
        for index, values in more:
            out[index] += values
        return out

    def _in_one(self) -> Any:
        """The array that the parts are views of, if each lies there in its place; else None."""
        base = self.parts[0][1].base
        if type(base) is not _ndarray or base.dtype is not self.kind or not base.flags.carray:
            return None
        if base.size != math.prod(self.shape):
            return None
        whole = base.reshape(self.shape)
        for index, values in self.parts:
            place = whole[index]
            if values.base is not base or _look(place) != _look(values):
                return None
        return whole

    def add_to(self, held: Any) -> None:
        for index, values in self.parts:
            held[index] += values


def _look(x: Any) -> tuple[Any, ...]:
    """What tells a view from all others of the same memory."""
    return x.__array_interface__["data"], x.shape, x.strides, x.dtype


def _fill(parts: list[tuple[Any, Any]], shape: tuple[int, ...]) -> bool:
    """Whether several parts are stretches of one axis, one after the other, from end to end."""
    if len(parts) < 2:
        return False
    stretches = [_stretch(index, shape) for index, _ in parts]
    if None in stretches:
        return False
    stretches.sort()
    (axis, end, _), last = stretches[0], stretches[-1]
    for _, start, stop in stretches:
        if start != end:
            return False
        end = stop
    return stretches[0][1] == 0 and axis == last[0] and end == shape[axis]


def _stretch(index: Any, shape: tuple[int, ...]) -> Any:
    """(axis, start, stop) of an index that takes a stretch of one axis, and all of the others."""
    found = None
    for axis, part in enumerate(index if isinstance(index, tuple) else (index,)):
        if type(part) is int:
            start = part + shape[axis] if part < 0 else part
            stop = start + 1
        elif type(part) is slice:
            start, stop, step = part.indices(shape[axis])
            if start == 0 and stop == shape[axis] and step == 1:
                continue
            if step != 1 or stop <= start:
                return None
        else:
            return None
        if found is not None:
            return None
        found = axis, start, stop
    return found


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
    if type(held) is Part:
        if type(g) is Part:
            held.parts += g.parts
            return held
        return joined([held.whole()].pop(), g)
    if not ours and (
        type(held) is not _ndarray or _references(held) > _ALONE or not _owns_memory(held)
    ):
        return held + (g.whole() if isinstance(g, Unwritten) else g)
    if isinstance(g, Unwritten):
        g.add_to(held)
    elif type(g) is _ndarray:
        _accumulate(held, g)
    else:
        return held + g
    return held


def is_free(gradients: dict[Any, Any], key: Any) -> bool:
    """Whether a large gradient is an array that nobody sees but through this dictionary."""
    held = gradients[key]
    if type(held) is not _ndarray or held.size < LARGE or _references(held) > _ALONE:
        return False
    whole = held.base is None or held.base.size == held.size
    return whole and held.flags.carray and _owns_memory(held)


def copied(g: Any) -> Any:
    """A copy of a gradient in one piece."""
    return in_order(g) if type(g) is _ndarray else g.copy()


def _accumulate(held: Any, g: Any) -> None:
    if held.size < arithmetic.LEAST or not arithmetic.into("add", held, g):
        np.add(held, g, held)


def _owns_memory(held: Any) -> bool:
    """Whether nobody sees an array's memory but through it: it may be another shape of its own."""
    base = held.base
    return base is None or (
        type(base) is _ndarray
        and base.base is None
        and held.flags.carray
        and _references(base) <= _BASE_ALONE
    )


def _count(held: Any) -> int:
    return _references(held)


def _count_base(held: Any) -> int:
    base = held.base
    return _references(base)


_probe = {0: np.zeros(2)}
_ALONE = _count(_probe[0])  # of an array that one container holds, seen from a function
_BASE_ALONE = _count_base(np.zeros((2, 2)).reshape(4))  # of one that but a view holds
