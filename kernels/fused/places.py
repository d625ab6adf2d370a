"""Elements and slices by their places along an axis, taken or added up, on several threads.

NumPy makes of such an index one for every axis, and takes and adds element by element. Here an
array counts as (before, n, after) around its axis: what is taken is independent place by place, and
sums are independent item by item of `before` and column by column of `after`. Each sum is taken in
float64, in the order of the index, and rounded once: the result is the same on any number of
threads, and that of NumPy's `bincount`. Every place is looked at before memory is touched; one that
lies outside is left out, and told.

`arrays/places.py` says for which arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..pool import ahead
from . import rows
from .by_type import ByType
from .layouts import plain

__all__ = ["add", "are_within", "gather", "pick", "put"]

PART = 16_384  # elements that a thread takes, adds or looks at at a time
SPAN = 32_768  # float64 sums that are under way at a time, which the second cache holds
COLUMNS = 16  # that are added up together at least: a cache line of float32

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.places.
import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
def are_within(places, n):
    outside = 0
    for i in range(places.shape[0]):
        outside |= (places[i] < -n) | (places[i] >= n)
    return outside == 0


@njit(error_model="numpy", nogil=True)
def are_from_zero(places, n):
    outside = 0
    for i in range(places.shape[0]):
        outside |= (places[i] < 0) | (places[i] >= n)
    return outside == 0


@njit(error_model="numpy", nogil=True)
"""

_TEXTS = {
    "look_at_places": """\
def some_looks(first, last, index, lowest, n, wrong):
    some, outside = index[first:last], 0
    for i in range(some.shape[0]):
        outside |= (some[i] < lowest) | (some[i] >= n)
    if outside != 0:
        wrong[0] = 1


@njit("void(int64[::1], int64, int64, int64, int64[::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def look_at_places(index, lowest, n, grain, wrong):
    if wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    split(some_looks, index.shape[0], grain, index, lowest, n, wrong)
""",
    # Here and below an index of one row, or of one column, goes for all.
    "gather_in_rows": """\
def some_pieces(first, last, x, index, y, wrong):
    n, m = x.shape[1], y.shape[1]
    pieces = (m + {part} - 1) // {part}
    for item in range(first, last):
        row, start = item // pieces, item % pieces * {part}
        source, to = x[row], y[row, start : start + {part}]
        places = index[min(row, index.shape[0] - 1), start : start + {part}]
        if are_from_zero(places, n):
            for i in range(places.shape[0]):
                to[i] = source[np.uint64(places[i])]
        elif are_within(places, n):
            for i in range(places.shape[0]):
                to[i] = source[places[i]]
        else:
            wrong[0] = 1


@njit("void({matrix}, int64[:, ::1], int64, {matrix}, int64[::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def gather_in_rows(x, index, grain, y, wrong):
    if x.shape[0] != y.shape[0] or index.shape[1] != y.shape[1] or wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    if index.shape[0] != 1 and index.shape[0] != y.shape[0]:
        raise ValueError("sizes differ")
    pieces = (y.shape[1] + {part} - 1) // {part}
    split(some_pieces, y.shape[0] * pieces, grain, x, index, y, wrong)
""",
    "gather_from_rows": """\
def some_rows(first, last, x, index, y, wrong):
    n, m = x.shape[1], y.shape[1]
    for row in range(first, last):
        item, i = row // m, row % m
        source, places, to = x[item], index[item, i], y[item, i]
        if are_within(places, n):
            for j in range(places.shape[0]):
                to[j] = source[places[j], j]
        else:
            wrong[0] = 1


@njit("void({dtype}[:, :, ::1], int64[:, :, ::1], int64, {dtype}[:, :, ::1], int64[::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def gather_from_rows(x, index, grain, y, wrong):
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    if index.shape[0] != y.shape[0] or index.shape[1] != y.shape[1] or wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    if index.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    split(some_rows, y.shape[0] * y.shape[1], grain, x, index, y, wrong)
""",
    "pick_slices": """\
def some_slices(first, last, x, index, y, wrong):
    n, m = x.shape[1], y.shape[1]
    item = first // m
    i = first - item * m
    for _ in range(first, last):
        k = index[i] if index[i] >= 0 else index[i] + n
        if k >= 0 and k < n:
            source, to = x[item, k], y[item, i]
            for j in range(to.shape[0]):
                to[j] = source[j]
        else:
            wrong[0] = 1
        i += 1
        if i == m:
            item, i = item + 1, 0


@njit("void({dtype}[:, :, ::1], int64[::1], int64, {dtype}[:, :, ::1], int64[::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def pick_slices(x, index, grain, y, wrong):
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[2] or index.shape[0] != y.shape[1]:
        raise ValueError("sizes differ")
    if wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    split(some_slices, y.shape[0] * y.shape[1], grain, x, index, y, wrong)
""",
    "add_in_rows": """\
def some_sums(first, last, g, index, y, wrong):
    n, sums = y.shape[1], np.empty(y.shape[1])
    for row in range(first, last):
        values, places, to = g[row], index[min(row, index.shape[0] - 1)], y[row]
        if are_within(places, n):
            for k in range(sums.shape[0]):
                sums[k] = 0.0
            if are_from_zero(places, n):
                for i in range(places.shape[0]):
                    sums[np.uint64(places[i])] += values[i]
            else:
                for i in range(places.shape[0]):
                    sums[places[i]] += values[i]
            for k in range(sums.shape[0]):
                to[k] = sums[k]
        else:
            wrong[0] = 1


@njit("void({matrix}, int64[:, ::1], int64, {matrix}, int64[::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def add_in_rows(g, index, grain, y, wrong):
    if g.shape[0] != y.shape[0] or index.shape[1] != g.shape[1] or wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    if index.shape[0] != 1 and index.shape[0] != g.shape[0]:
        raise ValueError("sizes differ")
    split(some_sums, y.shape[0], grain, g, index, y, wrong)
""",
    "put_in_rows": """\
def some_rows(first, last, values, index, y, wrong):
    for row in range(first, last):
        source, places, to = values[row], index[row], y[row]
        if are_within(places, to.shape[0]):
            for i in range(places.shape[0]):
                to[places[i]] = source[i]
        else:
            wrong[0] = 1


@njit("void({matrix}, int64[:, ::1], int64, {matrix}, int64[::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def put_in_rows(values, index, grain, y, wrong):
    if values.shape[0] != y.shape[0] or index.shape[0] != y.shape[0] or wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    if index.shape[1] != values.shape[1]:
        raise ValueError("sizes differ")
    split(some_rows, y.shape[0], grain, values, index, y, wrong)
""",
    "put_to_rows": """\
def some_items(first, last, values, index, y, wrong):
    n = y.shape[1]
    for item in range(first, last):
        for i in range(values.shape[1]):
            source, places, to = values[item, i], index[item, i], y[item]
            if are_within(places, n):
                for j in range(places.shape[0]):
                    to[places[j], j] = source[j]
            else:
                wrong[0] = 1


@njit("void({dtype}[:, :, ::1], int64[:, :, ::1], int64, {dtype}[:, :, ::1], int64[::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def put_to_rows(values, index, grain, y, wrong):
    if values.shape[0] != y.shape[0] or values.shape[2] != y.shape[2] or wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    if index.shape[0] != y.shape[0] or index.shape[1] != values.shape[1]:
        raise ValueError("sizes differ")
    if index.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    split(some_items, y.shape[0], grain, values, index, y, wrong)
""",
    "add_to_rows": """\
def some_columns(first, last, g, index, width, y, wrong):
    n, blocks = y.shape[1], (y.shape[2] + width - 1) // width
    sums = np.empty((n, width))
    for item in range(first, last):
        whole, start = item // blocks, item % blocks * width
        where, to = index[min(whole, index.shape[0] - 1)], y[whole, :, start : start + width]
        for k in range(n):
            total = sums[k]
            for j in range(total.shape[0]):
                total[j] = 0.0
        for i in range(g.shape[1]):
            values = g[whole, i, start : start + width]
            if where.shape[1] == 1:
                k = where[i, 0] if where[i, 0] >= 0 else where[i, 0] + n
                if k >= 0 and k < n:
                    total = sums[k]
                    for j in range(values.shape[0]):
                        total[j] += values[j]
                else:
                    wrong[0] = 1
            else:
                places = where[i, start : start + width]
                if are_within(places, n):
                    for j in range(places.shape[0]):
                        sums[places[j], j] += values[j]
                else:
                    wrong[0] = 1
        for k in range(n):
            total, row = sums[k], to[k]
            for j in range(row.shape[0]):
                row[j] = total[j]


@njit("void({dtype}[:, :, ::1], int64[:, :, ::1], int64, int64, {dtype}[:, :, ::1], int64[::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def add_to_rows(g, index, width, grain, y, wrong):
    if g.shape[0] != y.shape[0] or g.shape[2] != y.shape[2] or index.shape[1] != g.shape[1]:
        raise ValueError("sizes differ")
    if index.shape[0] != 1 and index.shape[0] != g.shape[0]:
        raise ValueError("sizes differ")
    if index.shape[2] != 1 and index.shape[2] != g.shape[2]:
        raise ValueError("sizes differ")
    if width < 1 or wrong.shape[0] != 1:
        raise ValueError("sizes differ")
    blocks = (y.shape[2] + width - 1) // width
    split(some_columns, y.shape[0] * blocks, grain, g, index, width, y, wrong)
""",
}

_kernels = ByType(lambda name: _HEAD + _TEXTS[name], part=PART)
_WHOLE: dict[int, Any] = {
    4: np.dtype("uint32"),
    8: np.dtype("uint64"),
}  # what is taken is copied as integers


def are_within(index: Any, lowest: int, n: int) -> bool:
    """Whether all of an int64 array in one piece, not empty, lie in [lowest, n)."""
    kernel, wrong = _kernels.ready("look_at_places", "l"), np.zeros(1, np.int64)
    if kernel is None:  # NumPy goes through it twice
        return bool(index.min() >= lowest and index.max() < n)
    kernel(index.reshape(-1), lowest, n, PART, wrong)
    return not wrong[0]


def gather(x: Any, indices: Any, axis: int) -> Any:
    """x[i, indices[i, j], k...]: for each element of `indices` the one it names along the axis.

    x: floats in one piece.  indices: int64, negative ones from the end, of x's shape but for the
    axis.  Raises IndexError if one lies outside.
    """
    wrong = np.zeros(1, np.int64)
    y, kind, where = np.empty(indices.shape, x.dtype), _WHOLE[x.itemsize], plain(indices)
    arrays = [_around(a, axis) for a in (x.view(kind), where, y.view(kind))]
    m, after = arrays[2].shape[1:]
    if after == 1:
        name, arrays = "gather_in_rows", [a[:, :, 0] for a in arrays]
        grain = max(1, PART // m)
    else:
        name, grain = "gather_from_rows", max(1, PART // after)
    source, places, to = arrays
    _kernels[name, kind.char](source, places, grain, to, wrong)
    return _told(y, wrong, indices, x.shape[axis], axis)


def pick(x: Any, index: Any, axis: int) -> Any:
    """The slices along an axis that a vector lists; x, places and error as in `gather`.

    NumPy takes them until there is a kernel.
    """
    y = np.empty((*x.shape[:axis], len(index), *x.shape[axis + 1 :]), x.dtype)
    kind, wrong = _WHOLE[x.itemsize], np.zeros(1, np.int64)
    source, to = _around(x.view(kind), axis), _around(y.view(kind), axis)
    m, after = to.shape[1:]
    if after == 1:
        arrays = source[:, :, 0], plain(index).reshape(1, m), max(1, PART // m), to[:, :, 0]
        _kernels["gather_in_rows", kind.char](*arrays, wrong)
    else:
        kernel = _kernels.ready("pick_slices", kind.char)
        if kernel is None:
            if axis == 0 and ahead.gradients():
                ahead.soon(rows.load, x.dtype.name)
            return x.take(index, axis)
        kernel(source, plain(index), max(1, PART // after), to, wrong)
    return _told(y, wrong, index, x.shape[axis], axis)


def add(g: Any, indices: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros of a shape, and in the places along the axis that `indices` names, g added.

    g: floats of that shape but for the axis.  indices: of g's shape, or a vector that lists slices;
    error as in `gather`.
    """
    y, wrong = np.empty(shape, g.dtype), np.zeros(1, np.int64)
    values, to = _around(plain(g), axis), _around(y, axis)
    _, n, after = to.shape
    if indices.shape == g.shape:
        places = _around(plain(indices), axis)
    else:
        places = plain(indices).reshape(1, -1, 1)
    if after == 1:
        grain = max(1, PART // (values.shape[1] + n))
        arrays = values[:, :, 0], places[:, :, 0], grain, to[:, :, 0]
        _kernels["add_in_rows", g.dtype.char](*arrays, wrong)
    else:
        width = min(after, max(SPAN // n, COLUMNS))
        grain = max(1, PART // ((values.shape[1] + n) * width))
        _kernels["add_to_rows", g.dtype.char](values, places, width, grain, to, wrong)
    return _told(y, wrong, indices, n, axis)


def put(y: Any, values: Any, indices: Any, axis: int) -> Any:
    """y, whose elements that `indices` names along the axis have become the values, in order.

    y: floats in one piece.  values: of its type and the shape of `indices`; error as in `gather`.
    """
    kind, wrong = _WHOLE[y.itemsize], np.zeros(1, np.int64)
    arrays = plain(values).view(kind), plain(indices), y.view(kind)
    source, places, to = (_around(a, axis) for a in arrays)
    grain = max(1, PART // max(1, source.shape[1] * source.shape[2]))
    if source.shape[2] == 1:
        source, places, to = source[:, :, 0], places[:, :, 0], to[:, :, 0]
        _kernels["put_in_rows", kind.char](source, places, grain, to, wrong)
    else:
        _kernels["put_to_rows", kind.char](source, places, grain, to, wrong)
    return _told(y, wrong, indices, y.shape[axis], axis)


def _around(x: Any, axis: int) -> Any:
    """An array in one piece as (before, n, after), of which n are along the axis."""
    before, n = math.prod(x.shape[:axis]), x.shape[axis]
    return x.reshape(before, n, math.prod(x.shape[axis + 1 :]))


def _told(y: Any, wrong: Any, indices: Any, n: int, axis: int) -> Any:
    """y, unless a place lay outside: then NumPy's error."""
    if wrong[0]:
        k = indices[(indices < -n) | (indices >= n)][0]
        raise IndexError(f"index {k} is out of bounds for axis {axis} with size {n}")
    return y
