"""Adding rows into a table at given places: the backward pass of an embedding.

NumPy's `add.at` takes the elements one by one through its indexing machinery; here a row is added
in one go, in the order of the list, so the result is the same on every run. What goes to one place
very often is added up in float64: the gradient of a frequent word is as exact as any.

The same in array code is `scatter_add` in `arrays/sums.py`; `tests/test_twins.py` holds both equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler import cache

_TEXT = """\
# Written by tinygrad_opt.kernels.fused.rows.
import numpy as np
from numba import njit


@njit("void({dtype}[:, ::1], float64[:, ::1], int64[::1], int64[::1], {dtype}[:, ::1])",
      error_model="numpy", nogil=True, cache={cache})
def add_rows(table, sums, slot, index, rows):
    n = table.shape[0]
    for i in range(index.shape[0]):
        k = index[i]
        if k < 0:
            k += n
        if sums.shape[0] > 0 and slot[k] >= 0:
            for j in range(table.shape[1]):
                sums[slot[k], j] += rows[i, j]
        else:
            for j in range(table.shape[1]):
                table[k, j] += rows[i, j]
"""

_OFTEN = 128  # additions in float32, of which the rounding errors do no harm

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


def add(table: Any, index: Any, rows: Any) -> None:
    """table[index[i]] += rows[i] for each i; the index must lie within the table."""
    kernel = _kernels.get(table.dtype.char)
    if kernel is None:
        dtype = table.dtype.name
        kernel = cache.load("add_rows", lambda on_disk: _TEXT.format(dtype=dtype, cache=on_disk))
        _kernels[table.dtype.char] = kernel
    n = len(table)
    flat = np.ascontiguousarray(index).reshape(-1)
    if ((flat < -n) | (flat >= n)).any():
        raise IndexError(f"index out of range: rows 0 to {n - 1}, got {flat.min()} to {flat.max()}")
    flat_table = table.reshape(n, -1)
    often = _named_often(flat, n)
    sums = flat_table[often].astype(np.float64)
    slot = np.full(n if len(often) else 0, -1)
    slot[often] = np.arange(len(often))
    values = np.require(rows, requirements=["C", "W"]).reshape(len(flat), -1)
    kernel(flat_table, sums, slot, flat, values)
    flat_table[often] = sums


def _named_often(index: Any, n: int) -> Any:
    """The places that more than `_OFTEN` of the index name."""
    if len(index) <= _OFTEN:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.bincount(index % n, minlength=n) > _OFTEN)
