"""Of each row of a large array: its extremes, the logarithm of its sum of powers, its k largest.

NumPy compares along short rows on one thread, a few elements at a time, and finds the k largest by
putting all in order. Here rows are shared among threads, and one pass keeps the k best so far.
`arrays/large.py` says for which arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .by_type import ByType

__all__ = ["MOST", "extremes", "extremes_of_middle", "log_of_sums", "places_of_largest"]

PART = 32_768  # elements that a thread looks at at a time
COLUMNS = 1024  # that are compared together: of a few rows as much as the first cache holds
ROWS = 128  # that are compared as one block, where there are many
MOST = 32  # that are kept of a row at the most: each newcomer may move all of them

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.extremes.
import numpy as np
from numpy import {dtype}
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.functions import exp, log
from tinygrad_opt.kernels.functions.primitives import add, maximum, minimum
from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
"""

_ROWS = """\
def some_rows(first, last, x, y):
    all_lanes()
    for r in range(first, last):
        row = x[r]
"""

_TAIL = """\


@njit("void({matrix}, {types})", error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={cache})
def {kernel}(x, y, grain):
    if y.shape[0] != x.shape[0] or x.shape[1] < {least}:
        raise ValueError("sizes differ")
    split(some_rows, x.shape[0], grain, x, y)
"""

# maximum and minimum hand NaN on.
_EXTREME = """\
        top = row[0]
        for j in range(row.shape[0]):
            top = {name}(top, row[j])
        y[r] = top
"""

# Of matrices, by columns: of each block of rows, eight at a time, as what is best so far is fetched
# once for them. The extremes of the blocks are a matrix to do the same with.
_MIDDLE = """\
def some_spans(first, last, x, blocks, spans, y):
    all_lanes()
    tops = np.empty({columns}, {dtype})
    for item in range(first, last):
        start = item % spans * {columns}
        stop = start + {columns}
        matrix, block = item // spans // blocks, item // spans % blocks
        low, high = block * {rows}, min((block + 1) * {rows}, x.shape[1])
        if blocks == 1:
            high = x.shape[1]
        row, to = x[matrix, low, start:stop], y[item // spans, start:stop]
        top = tops[: row.shape[0]]
        for j in range(top.shape[0]):
            top[j] = row[j]
        for r in range(low + 1, high - 7, 8):
            a, b = x[matrix, r, start:stop], x[matrix, r + 1, start:stop]
            c, d = x[matrix, r + 2, start:stop], x[matrix, r + 3, start:stop]
            e, f = x[matrix, r + 4, start:stop], x[matrix, r + 5, start:stop]
            g, h = x[matrix, r + 6, start:stop], x[matrix, r + 7, start:stop]
            for j in range(top.shape[0]):
                p = NAME(NAME(a[j], b[j]), NAME(c[j], d[j]))
                q = NAME(NAME(e[j], f[j]), NAME(g[j], h[j]))
                top[j] = NAME(top[j], NAME(p, q))
        for r in range(high - (high - low - 1) % 8, high):
            row = x[matrix, r, start:stop]
            for j in range(top.shape[0]):
                top[j] = NAME(top[j], row[j])
        for j in range(top.shape[0]):
            to[j] = top[j]


@njit("void({dtype}[:, :, ::1], int64, {matrix}, int64)", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def NAME_of_middle(x, blocks, y, grain):
    if y.shape[0] != x.shape[0] * blocks or y.shape[1] != x.shape[2] or x.shape[1] < 1:
        raise ValueError("sizes differ")
    if blocks < 1 or (blocks > 1 and blocks != (x.shape[1] + {rows} - 1) // {rows}):
        raise ValueError("sizes differ")
    spans = (x.shape[2] + {columns} - 1) // {columns}
    split(some_spans, x.shape[0] * blocks * spans, grain, x, blocks, spans, y)
"""

# Infinities are not taken off: infinity - infinity is NaN.
_LOG = """\
        top = row[0]
        for j in range(row.shape[0]):
            top = maximum(top, row[j])
        if top == np.inf or top == -np.inf:
            top = {dtype}(0)
        total = 0.0
        for start in range(0, row.shape[0], 1024):
            some, part = row[start : start + 1024], {dtype}(0)
            for j in range(some.shape[0]):
                part = add(part, exp(some[j] - top))
            total += part
        y[r] = log(total) + top
"""

# Equals stay in their order: a newcomer moves those behind it, which are worse. NaN is the largest.
_PLACES = """\
        best, count, k = y[r], 0, y.shape[1]
        worst = row[0]
        for j in range(row.shape[0]):
            v = row[j]
            if count == k:
                if not ({above_worst}):
                    continue
            else:
                count += 1
            at = count - 1
            while at > 0:
                w = row[best[at - 1]]
                if not ({above}):
                    break
                best[at] = best[at - 1]
                at -= 1
            best[at] = j
            worst = row[best[count - 1]]
"""
_LARGER, _SMALLER = "v > {0} or (v != v and {0} == {0})", "v < {0} or (v == v and {0} != {0})"


def _text(kernel: str) -> str:
    """The text of a kernel by its name."""
    if kernel.endswith("middle"):
        return _HEAD + _MIDDLE.replace("NAME", kernel.partition("_of_")[0])
    if kernel in ("largest", "smallest"):
        above = _LARGER if kernel == "largest" else _SMALLER
        body = _PLACES.format(above=above.format("w"), above_worst=above.format("worst"))
        types, least = "int64[:, ::1], int64", "y.shape[1] or y.shape[1] < 1"
    else:
        name = kernel.partition("_of_")[0]
        body = _LOG if name == "log" else _EXTREME.replace("{name}", name)
        types, least = "{vector}, int64", "1"
    tail = _TAIL.replace("{types}", types).replace("{least}", least).replace("{kernel}", kernel)
    return _HEAD + _ROWS + body + tail


_kernels = ByType(_text, columns=COLUMNS, rows=ROWS)


def _grain(x: Any) -> int:
    return max(1, PART // x.shape[1])


def extremes(x: Any, name: str) -> Any:
    """The "maximum" or "minimum" of each row of a matrix of floats, in one piece; NaN if one is."""
    y = np.empty(len(x), x.dtype)
    _kernels[f"{name}_of_rows", x.dtype.char](x, y, _grain(x))
    return y


def extremes_of_middle(x: Any, name: str) -> Any:
    """The same over the second of three axes."""
    before, n, after = x.shape
    blocks = (n + ROWS - 1) // ROWS if n > 2 * ROWS else 1
    y = np.empty((before * blocks, after), x.dtype)
    grain = max(1, PART // (min(n, ROWS) * min(after, COLUMNS)))
    _kernels[f"{name}_of_middle", x.dtype.char](x, blocks, y, grain)
    return y if blocks == 1 else extremes_of_middle(y.reshape(before, blocks, after), name)


def log_of_sums(x: Any) -> Any:
    """log(sum(exp(x))) of each row of such a matrix."""
    y = np.empty(len(x), x.dtype)
    _kernels["log_of_sums", x.dtype.char](x, y, _grain(x))
    return y


def places_of_largest(x: Any, k: int, largest: bool) -> Any:
    """Where the k largest (or smallest) of each row stand, in order; 1 <= k <= MOST."""
    y = np.empty((len(x), k), np.int64)
    _kernels["largest" if largest else "smallest", x.dtype.char](x, y, _grain(x))
    return y
