"""Adding rows into a table at given places: the backward pass of an embedding.

NumPy's `add.at` takes the elements one by one through its indexing machinery. Here the list is
sorted by place first, by counting, so that each row of the table is made once, from all that goes
to it, in the order of the list: the result is the same on every run, on any number of threads. What
goes to one place very often is added up in float64: the gradient of a frequent word is as exact as
any.

The same in array code is `scatter_add` in `arrays/sums.py`; `tests/test_twins.py` holds both equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import pool
from ..pool import ahead
from .layouts import plain

_TEXT = """\
# Written by tinygrad_opt.kernels.fused.rows.
import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.pool import split

zero = np.{dtype}(0)


@njit(error_model="numpy", nogil=True)
def some_parts(first, last, bounds, table, start, order, rows, wide, fresh):
    n, total = table.shape[1], wide[first]
    for k in range(bounds[first], bounds[last]):
        to, begin, end = table[k], start[k], start[k + 1]
        if fresh:
            for j in range(n):
                to[j] = zero
        if end - begin <= {often}:
            for p in range(begin, end):
                row = rows[order[p]]
                for j in range(n):
                    to[j] += row[j]
        else:
            for j in range(n):
                total[j] = to[j]
            for p in range(begin, end):
                row = rows[order[p]]
                for j in range(n):
                    total[j] += row[j]
            for j in range(n):
                to[j] = total[j]


# start (places + 2) zeros: in the end, where in `order` the rows of each place begin.
# bounds: the place that each part begins with, so that all have about as much to do; then the end.
@njit("boolean({dtype}[:, ::1], int64[::1], {dtype}[:, ::1], boolean, int64[::1], int64[::1],"
      "int64[::1], float64[:, ::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def add_rows(table, index, rows, fresh, bounds, start, order, wide):
    places, parts = table.shape[0], wide.shape[0]
    for i in range(index.shape[0]):
        k = index[i] if index[i] >= 0 else index[i] + places
        if k < 0 or k >= places:
            return False
        start[k + 2] += 1
    for k in range(places):
        start[k + 2] += start[k + 1]
    for i in range(index.shape[0]):
        k = index[i] if index[i] >= 0 else index[i] + places
        order[start[k + 1]] = i
        start[k + 1] += 1
    part, work = 1, places + index.shape[0]
    for k in range(places):
        while part < parts and (k + start[k]) * parts >= part * work:
            bounds[part] = k
            part += 1
    while part <= parts:
        bounds[part] = places
        part += 1
    split(some_parts, parts, 1, bounds, table, start, order, rows, wide, fresh)
    return True
"""

OFTEN = 128  # additions in float32, of which the rounding errors do no harm
PART = 32_768  # elements that a thread adds at a time, about

_kernels: dict[str, Any] = {}


def fits(table: Any, index: Any, rows: Any) -> bool:
    """Whether `add` takes these: one int64 array as index, floats of one type."""
    return (
        type(index) is np.ndarray
        and index.dtype.char in "lq"
        and index.dtype.isnative
        and table.dtype.char in "fd"
        and table.ndim > 1
        and table.flags.carray
        and rows.dtype == table.dtype
        and table.dtype.isnative
        and rows.shape == index.shape + table.shape[1:]
        and rows.size > 0
    )


def load(dtype: str) -> Any:
    """The kernel for tables of this type."""
    settings = {"dtype": dtype, "often": OFTEN}
    return pool.load("add_rows", lambda on_disk: _TEXT.format(cache=on_disk, **settings))


def add(table: Any, index: Any, rows: Any, fresh: bool = False) -> None:
    """table[index[i]] += rows[i] for each i.

    Args:
        table: (places, ...), floats.
        index: integers of any shape, negative ones from the end; IndexError if they lie outside.
        rows: (*index.shape, ...) floats.
        fresh: the table counts as zeros, whatever it holds.
    """
    kernel = _kernels.get(table.dtype.char)
    if kernel is None:
        kernel = _kernels[table.dtype.char] = ahead.made(load, table.dtype.name)
    flat_table, flat = table.reshape(len(table), -1), plain(index).reshape(-1)
    places, n = flat_table.shape
    parts = min((len(flat) + places) * n // PART + 1, places)
    start, order = np.zeros(places + 2, np.int64), np.empty(len(flat), np.int64)
    values, wide = plain(rows).reshape(len(flat), n), np.empty((parts, n))
    bounds = np.zeros(parts + 1, np.int64)
    if not kernel(flat_table, flat, values, fresh, bounds, start, order, wide):
        raise IndexError(
            f"index out of range: rows 0 to {places - 1}, got {flat.min()} to {flat.max()}"
        )
