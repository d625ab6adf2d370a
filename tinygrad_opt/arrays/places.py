"""Taking and adding up by places along an axis, by kernels where arrays are large.

The kernels are those of `kernels/fused/places.py` and `kernels/fused/resampling.py`; the twins are
NumPy's indexing, `scatter_add` in `arrays/namespace.py` and `arrays/sums.py`, and `resample` in
`ops/images.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.fused import copies, places, resampling
from .large import write

__all__ = ["Along", "Places", "are_within"]

LEAST = 4_096  # elements from which on kernels take them quicker than NumPy does
ADDS = 1_024  # the same where they are added up
SLICES = 131_072  # and for slices
LOOKS = 512  # and where they are looked at, once instead of twice
_ndarray = np.ndarray
_FLOATS = np.dtype("float32"), np.dtype("float64")
_INT64 = np.dtype("int64")
_ALL = slice(None)


class Along(tuple[Any, ...]):
    """The index that takes, for each place of `indices`, the element it names along `axis`.

    A tuple of one array for each axis, as NumPy wants it, that remembers what it was made from.
    """

    indices: Any
    axis: int
    names_one_each: bool  # in each line along the axis: so none is named twice

    def __new__(cls, grid: Any, indices: Any, axis: int) -> Along:
        parts = list(grid)  # these broadcast to the full grid
        parts[axis] = indices
        index = super().__new__(cls, parts)
        index.indices, index.axis = indices, axis % len(parts)
        index.names_one_each = indices.shape[axis] == 1
        return index


class Places:
    """The part of NumPy's namespace that goes by places along an axis."""

    def picked(self, x: Any, index: Any) -> Any:
        kind = type(index)
        if kind is Along:
            if index.indices.size >= LEAST and _are_these(x, x.shape, index):
                return places.gather(x, index.indices, index.axis)
        elif kind is tuple and index and type(index[-1]) is _ndarray:
            found = _slices(x, x.shape, index)
            if found is not None and x.size // x.shape[found[1]] * found[0].size >= SLICES:
                return places.pick(x, *found)
        return x[index]

    def rows(self, table: Any, index: Any) -> Any:
        many = index.size * (table.size // max(len(table), 1)) >= SLICES
        if many and _is_index(index) and _is_taken(table):
            y = places.pick(table, index.reshape(-1), 0)
            return y.reshape(*index.shape, *table.shape[1:])
        return super().rows(table, index)  # type: ignore[misc]

    def resampled(self, x: Any, axis: int, places: Any, weights: Any) -> Any:
        """Along an axis of a large array the sum of the slices at `places`, times their weights.

        None where that is not for kernels.
        """
        n, m = x.shape[axis], getattr(places[0], "size", 0)
        if not (x.size // max(n, 1) * m >= LEAST and _is_taken(x) and all(map(_is_index, places))):
            return None
        if any(type(w) is not _ndarray or w.dtype != x.dtype or w.shape != (m,) for w in weights):
            return None
        return resampling.resample(x, axis % x.ndim, np.stack(places), np.stack(weights))

    def put(self, x: Any, values: Any, index: Any) -> Any:
        """A copy of x with `values` at `index`; of equal places the last one counts."""
        y = x.copy() if x.size < LEAST else self.copy(x)  # type: ignore[attr-defined]
        many = type(index) is Along and index.indices.size >= LEAST
        alike = many and type(values) is _ndarray and values.shape == index.indices.shape
        if alike and values.dtype == y.dtype and _are_these(y, y.shape, index):
            return places.put(y, values, index.indices, index.axis)
        write(y, index, values)
        return y

    def framed(self, x: Any, shape: tuple[int, ...], index: Any, value: float) -> Any:
        y = copies.framed(x, shape, index, value)
        if y is None:
            y = np.full(shape, value, x.dtype)
            write(y, index, x)
        return y

    def scatter_add(self, g: Any, shape: tuple[int, ...], index: Any) -> Any:
        kind = type(index)
        if g.size < ADDS or type(g) is not _ndarray or g.dtype not in _FLOATS:
            pass
        elif kind is Along:
            if g.shape == index.indices.shape and _are_these(None, shape, index):
                return places.add(g, index.indices, shape, index.axis)
        elif kind is tuple:
            found = _slices(None, shape, index)
            if found is not None and g.shape == _without(shape, found[1], found[0].size):
                if found[1] or len(shape) == 1:
                    return places.add(g, found[0], shape, found[1])
                index = found[0]  # whole rows, which another kernel adds
        return super().scatter_add(g, shape, index)  # type: ignore[misc]


def are_within(index: Any, lowest: int, n: int) -> bool:
    """Whether all elements of an array of integers lie in [lowest, n)."""
    if index.size >= LOOKS and _is_index(index) and index.flags.carray:
        return places.are_within(index, lowest, n)
    return not index.size or bool(index.min() >= lowest and index.max() < n)


def _are_these(x: Any, shape: tuple[int, ...], index: Along) -> bool:
    """Whether the kernels take such an index into x, or into zeros of a shape (x is None)."""
    indices, axis = index.indices, index.axis
    return (
        _is_index(indices)
        and len(shape) == indices.ndim
        and shape[axis] > 0
        and shape == _without(indices.shape, axis, shape[axis])
        and (x is None or _is_taken(x))
    )


def _slices(x: Any, shape: tuple[int, ...], index: tuple[Any, ...]) -> tuple[Any, int] | None:
    """The vector of an index `[:, :, vector]`, and its axis; None for any other index."""
    axis = len(index) - 1
    if not 0 <= axis < len(shape) or not shape[axis] or (x is not None and not _is_taken(x)):
        return None
    if any(type(part) is not slice or part != _ALL for part in index[:axis]):
        return None
    vector = index[axis]
    return (vector, axis) if _is_index(vector) and vector.ndim == 1 else None


def _is_index(index: Any) -> bool:
    return type(index) is _ndarray and index.dtype == _INT64


def _is_taken(x: Any) -> bool:
    return type(x) is _ndarray and x.dtype in _FLOATS and x.flags.carray and x.size > 0


def _without(shape: tuple[int, ...], axis: int, n: int) -> tuple[int, ...]:
    """A shape with n in the place of its axis."""
    return (*shape[:axis], n, *shape[axis + 1 :])
