"""Large arrays in one piece, put beside each other or turned round, on several threads.

`copies.py` copies whatever has strides, and takes longer to find out how than these to copy the
little that the second cache holds. Until they are made it is NumPy's turn. `arrays/large.py` says
for which arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .by_type import ByType

__all__ = ["LARGE", "TURNED", "beside", "is_taken", "turned"]

LARGE = 131_072  # elements of all parts from which on this is quicker than NumPy
TURNED = 16_384  # the same where they are turned round
PART = 32_768  # elements that a thread copies at a time

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.joins.
import numpy as np
from numba import types
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
"""

_TEXTS = {
    # The columns of x, as those of y from `start` on.
    "columns_beside": """\
def some_pieces(first, last, x, start, pieces, y):
    all_lanes()
    r, piece = first // pieces, first % pieces
    for _ in range(first, last):
        begin = piece * {part}
        row = x[r, begin : begin + {part}]
        to = y[r, start + begin : start + begin + row.shape[0]]
        for j in range(to.shape[0]):
            to[j] = row[j]
        piece += 1
        if piece == pieces:
            r, piece = r + 1, 0


@njit(types.void(types.Array(types.{dtype}, 2, "C", readonly=True), types.int64, types.int64,
      types.{dtype}[:, ::1]), error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def columns_beside(x, start, grain, y):
    if x.shape[0] != y.shape[0] or start < 0 or start + x.shape[1] > y.shape[1]:
        raise ValueError("sizes differ")
    pieces = (x.shape[1] + {part} - 1) // {part}
    split(some_pieces, x.shape[0] * pieces, grain, x, start, pieces, y)
""",
    # The second of three axes, from its end to its beginning.
    "turned_rows": """\
def some_rows(first, last, x, y):
    all_lanes()
    n = x.shape[1]
    item, i = first // n, first % n
    for _ in range(first, last):
        row, to = x[item, n - 1 - i], y[item, i]
        for j in range(to.shape[0]):
            to[j] = row[j]
        i += 1
        if i == n:
            item, i = item + 1, 0


@njit(types.void(types.Array(types.{dtype}, 3, "C", readonly=True), types.int64,
      types.{dtype}[:, :, ::1]), error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={cache})
def turned_rows(x, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1] or x.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    split(some_rows, x.shape[0] * x.shape[1], grain, x, y)
""",
    "turned_columns": """\
def some_pieces(first, last, x, pieces, y):
    all_lanes()
    n, r, piece = x.shape[1], first // pieces, first % pieces
    for _ in range(first, last):
        begin = piece * {part}
        to = y[r, begin : begin + {part}]
        row = x[r, n - begin - to.shape[0] : n - begin]
        for j in range(to.shape[0]):
            to[j] = row[np.uint64(to.shape[0] - 1 - j)]
        piece += 1
        if piece == pieces:
            r, piece = r + 1, 0


@njit(types.void(types.Array(types.{dtype}, 2, "C", readonly=True), types.int64,
      types.{dtype}[:, ::1]), error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def turned_columns(x, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1]:
        raise ValueError("sizes differ")
    pieces = (x.shape[1] + {part} - 1) // {part}
    split(some_pieces, x.shape[0] * pieces, grain, x, pieces, y)
""",
}

_kernels = ByType(lambda name: _HEAD + _TEXTS[name], part=PART)
_WHOLE = {size: np.dtype(f"uint{8 * size}") for size in (1, 2, 4, 8)}  # copied as integers


def is_taken(x: Any) -> bool:
    """Whether the kernels take x: of numbers of up to eight bytes, in one piece."""
    return x.itemsize in _WHOLE and x.dtype.kind in "fiubc" and x.flags.carray


def beside(y: Any, start: int, x: Any, axis: int) -> int:
    """Put x into y along an axis from `start` on; return where it ends.

    x, y: of one type and shape but for the axis, and as `is_taken` says; x not empty.
    """
    kind, before = _WHOLE[x.itemsize], math.prod(x.shape[:axis])
    source, to = x.view(kind).reshape(before, -1), y.view(kind).reshape(before, -1)
    n = source.shape[1]
    place = start * (n // x.shape[axis])
    kernel = _kernels.ready("columns_beside", kind.char)
    if kernel is None:
        to[:, place : place + n] = source
    else:
        kernel(source, place, max(1, PART // n), to)
    return start + x.shape[axis]


def turned(x: Any, axis: int) -> Any:
    """A copy of x, not empty, from the end of an axis to its beginning; x as `is_taken` says."""
    kind, n = _WHOLE[x.itemsize], x.shape[axis]
    y, before, after = np.empty(x.shape, x.dtype), math.prod(x.shape[:axis]), x.shape[axis + 1 :]
    if math.prod(after) == 1:
        name, grain = "turned_columns", max(1, PART // n)
        shape: tuple[int, ...] = before, n
    else:
        name, shape = "turned_rows", (before, n, -1)
        grain = max(1, PART // math.prod(after))
    source, to = x.view(kind).reshape(shape), y.view(kind).reshape(shape)
    kernel = _kernels.ready(name, kind.char)
    if kernel is None:
        to[...] = source[:, ::-1]
    else:
        kernel(source, grain, to)
    return y
