"""RowSparse: the gradient of a table of which few rows were looked up.

It travels through backward as an array does, and is added to its like by being put behind it; to an
array, by being added into its rows. The Tensor around it is `SparseTensor`, in `tensors/`.
"""

from __future__ import annotations

import math
from typing import Any

from .device import device_of, to_device
from .namespace import is_writable
from .xp import xp

__all__ = ["RowSparse", "added"]


class _Refusing:
    """What `xp` answers with for a RowSparse: the few names that it has, an error for the rest."""

    def cast(self, x: RowSparse, dtype: Any) -> RowSparse:
        return x.astype(dtype)

    def isnan(self, x: RowSparse) -> Any:
        return xp(x.values).isnan(x.values)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"Could not run '{name}' on a row-sparse tensor: it can be added, scaled, and made "
            "dense; call .to_dense() first"
        )


class RowSparse:
    """An array of `shape` that is zero but for `values[i]`, added at `rows[i]` of its first axis.

    rows: (n,) int64.  values: (n, *shape[1:]).  unique: rows ascend, and none occurs twice.
    """

    __slots__ = ("rows", "shape", "unique", "values")
    __array_ufunc__ = None  # NumPy and CuPy leave `array + rows` to `__radd__`
    _namespace = _Refusing()
    tensor_class: Any  # SparseTensor, which says so itself

    def __init__(self, rows: Any, values: Any, shape: tuple[int, ...], unique: bool = False):
        self.rows, self.values, self.shape, self.unique = rows, values, tuple(shape), unique

    dtype = property(lambda self: self.values.dtype)
    itemsize = property(lambda self: self.values.itemsize)
    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: math.prod(self.shape))

    def coalesce(self) -> RowSparse:
        """The same with each row once, in order; repeats are added in pairs, in a fixed order."""
        if self.unique:
            return self
        space, n = xp(self.rows), len(self.rows)
        if n == 0:
            return RowSparse(self.rows, self.values, self.shape, unique=True)
        order = space.argsort(self.rows, kind="stable")
        rows, values = self.rows[order], self.values[order]
        first = space.ones(n, bool)
        first[1:] = rows[1:] != rows[:-1]
        starts = space.nonzero(first)[0]
        stops = space.concatenate([starts[1:], space.full(1, n)])
        owner = space.cumsum(first) - 1
        place, count = space.arange(n) - starts[owner], (stops - starts)[owner]
        step, longest = 1, int(count.max())
        while step < longest:  # what lies `step` behind is added, then twice as far, and so on
            into = space.nonzero((place % (2 * step) == 0) & (place + step < count))[0]
            values[into] += values[into + step]
            step *= 2
        return RowSparse(rows[starts], values[starts], self.shape, unique=True)

    def to_dense(self) -> Any:
        """The array with all its zeros."""
        dense = xp(self.values).zeros(self.shape, self.dtype)
        once = self.coalesce()
        dense[once.rows] = once.values
        return dense

    def add_to(self, dense: Any) -> None:
        """Add to an array of this shape, in place."""
        once = self.coalesce()
        dense[once.rows] += once.values

    def copy(self) -> RowSparse:
        """Values of its own; rows are never written to."""
        return RowSparse(self.rows, self.values.copy(), self.shape, self.unique)

    def astype(self, dtype: Any) -> RowSparse:
        return RowSparse(self.rows, self.values.astype(dtype), self.shape, self.unique)

    def to_device(self, device: Any) -> RowSparse:
        rows, values = to_device(self.rows, device), to_device(self.values, device)
        return RowSparse(rows, values, self.shape, self.unique)

    @property
    def device(self) -> Any:
        return device_of(self.values)

    def __add__(self, other: Any) -> Any:
        if type(other) is RowSparse:
            space = xp(self.rows)
            rows = space.concatenate([self.rows, other.rows])
            return RowSparse(rows, space.concatenate([self.values, other.values]), self.shape)
        if not hasattr(other, "shape"):
            return NotImplemented
        dense = other.copy()
        self.add_to(dense)
        return dense

    __radd__ = __add__

    def __mul__(self, number: Any) -> RowSparse:
        return RowSparse(self.rows, self.values * number, self.shape, self.unique)

    __rmul__ = __mul__

    def __imul__(self, number: Any) -> RowSparse:
        self.values *= number
        return self

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first: NumPy has "
            "no row-sparse arrays"
        )


def added(held: Any, g: Any) -> Any:
    """The sum of two gradients, arrays or RowSparse: in the memory of `held`, where that goes."""
    if type(held) is RowSparse:
        return held + g
    if not is_writable(held):  # a gradient of the caller's
        held = held.copy()
    if type(g) is RowSparse:
        g.add_to(held)
    else:
        held += g
    return held
