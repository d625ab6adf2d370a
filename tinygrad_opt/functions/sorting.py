"""Sorting and searching: order, the k largest, distinct values.

Gradients flow through the values that were moved, not through their positions. NaN counts as
larger than everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.tensor import Tensor, wrap_plain
from . import return_types
from .shape import narrow, squeeze

__all__ = [
    "argsort", "bucketize", "kthvalue", "msort", "searchsorted", "sort", "topk", "unique",
    "unique_consecutive",
]  # fmt: skip


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The positions along `dim` that put the elements in order; equal ones always keep theirs."""
    x = input.array
    axis = axis_index(dim, x.ndim)
    space = xp(x)
    if not x.ndim:
        return wrap_plain(space.zeros((), "int64"))
    if not descending:
        return wrap_plain(space.argsort(x, axis=axis, kind="stable"))
    backward = space.argsort(space.flip(x, axis=axis), axis=axis, kind="stable")
    return wrap_plain(x.shape[axis] - 1 - space.flip(backward, axis=axis))


def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The named tuple (values, indices) of the elements in order along `dim`."""
    return return_types.sort(*_sorted(input, dim, descending))


def _sorted(input: Tensor, dim: int, descending: bool = False) -> tuple[Tensor, Tensor]:
    order = argsort(input, dim, descending)
    axis = axis_index(dim, input.array.ndim)
    return ops.take_along_axis(input, indices=order.array, axis=axis), order


def msort(input: Tensor) -> Tensor:
    """The elements in order along the first axis."""
    return _sorted(input, 0)[0]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The named tuple (values, indices) of the k largest (or smallest) along `dim`, in order.

    Raises RuntimeError if there are fewer than k.
    """
    n = _length(input, dim)
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: selected index k out of range: {k} of an axis of {n}")
    x = input.array
    if type(x) is np.ndarray and x.ndim:
        axis = axis_index(dim, x.ndim)
        places = xp(x).places_of_largest(x, k, axis, largest)
        if places is not None:
            values = ops.take_along_axis(input, indices=places, axis=axis)
            return return_types.topk(values, wrap_plain(places))
    values, order = _sorted(input, dim, largest)
    if not input.array.ndim:
        return return_types.topk(values, order)
    return return_types.topk(narrow(values, dim, 0, k), narrow(order, dim, 0, k))


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The named tuple (values, indices) of the k-th smallest along `dim`, counted from 1."""
    n = _length(input, dim)
    if not n:
        raise IndexError(f"kthvalue(): Expected reduction dim {dim} to have non-zero size.")
    if not 1 <= k <= n:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {dim}: {k} of {n}"
        )
    return return_types.kthvalue(*_kth(input, k - 1, dim, keepdim))


def _kth(input: Tensor, k: int, dim: int, keepdim: bool) -> tuple[Tensor, ...]:
    """(value, index) of the k-th smallest along `dim`, counted from 0."""
    x = input.array
    if sorts_values(x):
        axis = axis_index(dim, x.ndim)
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        place = place_in_order(x, axis, lambda ordered: np.full(shape, k))
        pair = ops.take_along_axis(input, indices=place, axis=axis), wrap_plain(place)
        return pair if keepdim else (squeeze(pair[0], dim), squeeze(pair[1], dim))
    pair = _sorted(input, dim)
    if input.array.ndim:
        pair = narrow(pair[0], dim, k, 1), narrow(pair[1], dim, k, 1)
    return pair if keepdim else (squeeze(pair[0], dim), squeeze(pair[1], dim))


MANY = 4_096  # elements whose values alone are sorted quicker than their places


def sorts_values(x: Any) -> bool:
    """Whether `place_in_order` is the quicker way to an element of x."""
    return type(x) is np.ndarray and x.ndim > 0 and x.size >= MANY and x.dtype.kind in "fiu"


def place_in_order(x: Any, axis: int, position: Any) -> Any:
    """Where along `axis` the elements stand that sorting puts at `position(x in order)`.

    Equals keep their order. Of a NumPy array that `sorts_values`; NumPy sorts values in a fraction
    of the time that their places take.
    """
    ordered = np.sort(x, axis)
    at = position(ordered)
    value = np.take_along_axis(ordered, at, axis)
    is_nan, no_number = x != x, value != value
    equal = (x == value) | (is_nan & no_number)
    before = (x < value) | (~is_nan & no_number)
    rank = at - np.count_nonzero(before, axis, keepdims=True)  # among its equals
    if rank.any():
        equal &= np.cumsum(equal, axis) > rank
    return equal.argmax(axis, keepdims=True)


def _length(input: Tensor, dim: int) -> int:
    axis = axis_index(dim, input.array.ndim)
    return input.array.shape[axis] if input.array.ndim else 1


# Searching ----------------------------------------------------------------------------------------


def searchsorted(
    sorted_sequence: Tensor, input: Tensor | float, *, out_int32: bool = False, right: bool = False,
    side: str | None = None, sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where each value would stand in the sorted sequence, row by row if that has several axes.

    `right` (or `side="right"`): behind its equals, else before them.
    """
    where = side or ("right" if right else "left")
    edges = sorted_sequence.array
    if not edges.ndim:
        raise RuntimeError(
            "searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if sorter is not None:
        edges = xp(edges).take_along_axis(edges, sorter.array, -1)
    values = input.array if isinstance(input, Variable) else xp(edges).asarray(input)
    if edges.ndim == 1:
        found = xp(edges).asarray(xp(edges).searchsorted(edges, values, where))
    else:
        if edges.shape[:-1] != values.shape[:-1]:
            raise RuntimeError(
                "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
                "dimensions of boundaries tensor and input value tensor must match, got "
                f"{list(edges.shape)} and {list(values.shape)}"
            )
        found = xp(edges).empty(values.shape, "int64")
        rows = zip(edges.reshape((-1, edges.shape[-1])), values.reshape((-1, values.shape[-1])),
                   found.reshape((-1, values.shape[-1])), strict=True)  # fmt: skip
        for row, value, place in rows:
            place[...] = xp(edges).searchsorted(row, value, where)
    return wrap_plain(found.astype(dtypes.int32 if out_int32 else dtypes.int64))


def bucketize(
    input: Tensor | float, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The bucket between the sorted boundaries that each value falls in."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# Distinct values ----------------------------------------------------------------------------------


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """The distinct elements (or slices along `dim`) in order.

    `return_inverse` adds where each element went, `return_counts` how often each occurs.
    """
    x = input.array
    axis = None if dim is None else axis_index(dim, x.ndim)
    found = xp(x).unique(x, return_inverse=True, return_counts=True, axis=axis)
    values, inverse, counts = found
    shape = x.shape if axis is None else (x.shape[axis],)
    return _chosen(values, inverse.reshape(shape), counts, return_inverse, return_counts)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """The elements (or slices along `dim`) without repeats of the one just before."""
    x = input.array
    space = xp(x)
    dim = None if dim is None else axis_index(dim, x.ndim)
    if dim is not None and not x.size and x.ndim > 1:
        _check_slices(x.shape, dim)
    if dim is None or not x.ndim:
        rows = x.reshape(x.size, 1)
    else:
        rows = space.moveaxis(x, dim, 0).reshape(x.shape[dim], -1 if x.size else 1)
    new = space.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = space.flatnonzero(new)
    counts = space.diff(space.append(starts, len(rows)))
    inverse = space.cumsum(new) - 1
    values = x.reshape(-1)[starts] if dim is None or not x.ndim else space.take(x, starts, axis=dim)
    inverse = inverse.reshape(x.shape) if dim is None else inverse
    return _chosen(values, inverse, counts, return_inverse, return_counts)


def _check_slices(shape: tuple[int, ...], dim: int) -> None:
    if sum(n == 0 for n in shape) > 1:
        raise RuntimeError(
            f"unique_consecutive: Number of zero sized dimensions of {list(shape)} is more than "
            "one, so unique cannot be applied"
        )
    if shape[dim]:
        raise RuntimeError(
            f"unique_consecutive: There are 0 sized dimensions in {list(shape)}, and they aren't "
            "selected, so unique cannot be applied"
        )


def _chosen(values: Any, inverse: Any, counts: Any, want_inverse: bool, want_counts: bool) -> Any:
    results = [values]
    results += [inverse] if want_inverse else []
    results += [counts] if want_counts else []
    wrapped = tuple(map(wrap_plain, results))
    return wrapped if len(wrapped) > 1 else wrapped[0]
