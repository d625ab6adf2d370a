"""Sums and products of a large array's rows, sums of its columns, on several threads.

NumPy adds on one thread; along the last axis it is a third as fast as memory. Here a row is added
in blocks, each as vectors of sums that are under way at once, and blocks in float64; columns are
added in blocks of rows, whose sums are added in float64. Blocks depend on the shape alone, and with
them the bits, whatever the number of threads.

What stays below LEAST elements is `arrays/sums.py`'s, where the choice is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .by_type import ByType

__all__ = ["LEAST", "of_columns", "of_middle", "of_rows", "squared_distance", "total"]

LEAST = 65_536  # elements
PART = 65_536  # that a thread adds up at a time
BLOCK = 2048  # elements of a row that are added in its own type, before float64 takes over
ROWS = 128  # the same for rows, of which a column's sum is made
SPAN = 4096  # columns that are added at a time: their sums stay in the first cache
COLUMNS = 256  # the same where sums are kept in float64

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.axis_sums.
import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import split

zero = np.{dtype}(0)


@njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True)
"""

# Sums over rows: of what stands there, or of squares.
_ROWS = """\
def some_rows(first, last, {names}, sums):
    all_lanes()
    n = x.shape[1]
    for r in range(first, last):
        total = 0.0
        for start in range(0, n, {{block}}):
            end = min(start + {{block}}, n)
            {parts}, part = {slices}, zero
            for j in range(end - start):
{lines}
            total += part
        sums[r] = total


@njit("void({types}, int64, float64[::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={{cache}})
def {kernel}({names}, grain, sums):
    if sums.shape[0] != x.shape[0]{sizes}:
        raise ValueError("sizes differ")
    split(some_rows, x.shape[0], grain, {names}, sums)
"""


def _rows(kernel: str, names: str, *lines: str) -> str:
    """The text of a kernel that adds up along rows; the elements are those of a, and of b."""
    count = len(names.split(","))
    return _ROWS.format(
        kernel=kernel,
        names=names,
        parts="a, b"[: 3 * count - 2],
        slices=", ".join(f"{name}[r, start:end]" for name in names.split(", ")),
        lines="\n".join(f"                {line}" for line in lines),
        types=", ".join(["{matrix}"] * count),
        sizes=" or y.shape[0] != x.shape[0] or y.shape[1] != x.shape[1]" if count == 2 else "",
    )


# Sums over all elements. The last block may be shorter.
_TOTAL = """\
def some_blocks(first, last, {names}, sums):
    all_lanes()
    for r in range(first, last):
        {parts}, part = {slices}, zero
        for j in range(a.shape[0]):
{lines}
        sums[r] = part


@njit("float64({types}, int64)", error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={{cache}})
def {kernel}({names}, grain):
    if grain < 1{sizes}:
        raise ValueError("sizes differ")
    blocks = (x.shape[0] + {{block}} - 1) // {{block}}
    sums, total = np.empty(blocks), 0.0
    split(some_blocks, blocks, grain, {names}, sums)
    for r in range(blocks):
        total += sums[r]
    return total
"""


def _total(kernel: str, names: str, *lines: str) -> str:
    """The text of a kernel that adds up all, as `_rows`."""
    count = len(names.split(","))
    return _TOTAL.format(
        kernel=kernel,
        names=names,
        parts="a, b"[: 3 * count - 2],
        slices=", ".join(
            f"{name}[r * {{block}} : (r + 1) * {{block}}]" for name in names.split(", ")
        ),
        lines="\n".join(f"            {line}" for line in lines),
        types=", ".join(["{vector}"] * count),
        sizes=" or y.shape[0] != x.shape[0]" if count == 2 else "",
    )


# What is added up: the arrays, and the lines for an element of each.
_TERMS = {
    "sums": ("x", "part += a[j]"),
    "squares": ("x", "part += a[j] * a[j]"),
    "distances": ("x, y", "d = a[j] - b[j]", "part += d * d"),
    "dots": ("x, y", "part += a[j] * b[j]"),
}

_TEXTS = {
    **{f"{what}_of_rows": _rows(f"{what}_of_rows", *how) for what, how in _TERMS.items()},
    **{f"{what}_of_all": _total(f"{what}_of_all", *how) for what, how in _TERMS.items()},
    "products_of_rows": """\
def some_rows(first, last, x, products):
    all_lanes()
    for r in range(first, last):
        row, product = x[r], 1.0
        for j in range(row.shape[0]):
            product *= row[j]
        products[r] = product


@njit("void({matrix}, int64, float64[::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def products_of_rows(x, grain, products):
    if products.shape[0] != x.shape[0]:
        raise ValueError("sizes differ")
    split(some_rows, x.shape[0], grain, x, products)
""",
    "sums_of_middle": """\
def some_spans(first, last, x, spans, sums):
    all_lanes()
    totals = np.empty({columns}, np.float64)
    for item in range(first, last):
        matrix, start = item // spans, item % spans * {columns}
        to = sums[matrix, start : start + {columns}]
        for j in range(to.shape[0]):
            totals[j] = 0.0
        for r in range(x.shape[1]):
            row = x[matrix, r, start : start + {columns}]
            for j in range(row.shape[0]):
                totals[j] += row[j]
        for j in range(to.shape[0]):
            to[j] = totals[j]


@njit("void({dtype}[:, :, ::1], int64, {matrix})", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def sums_of_middle(x, grain, sums):
    if sums.shape[0] != x.shape[0] or sums.shape[1] != x.shape[2]:
        raise ValueError("sizes differ")
    spans = (x.shape[2] + {columns} - 1) // {columns}
    split(some_spans, x.shape[0] * spans, grain, x, spans, sums)
""",
    "sums_of_columns": """\
def some_blocks(first, last, x, spans, parts):
    all_lanes()
    for item in range(first, last):
        block, start = item // spans, item % spans * {span}
        sums = parts[block, start : start + {span}]
        for j in range(sums.shape[0]):
            sums[j] = zero
        low, high = block * {rows}, min((block + 1) * {rows}, x.shape[0])
        for r in range(low, high - 7, 8):  # what is under way is fetched once for eight rows
            a, b = x[r, start : start + {span}], x[r + 1, start : start + {span}]
            c, d = x[r + 2, start : start + {span}], x[r + 3, start : start + {span}]
            e, f = x[r + 4, start : start + {span}], x[r + 5, start : start + {span}]
            g, h = x[r + 6, start : start + {span}], x[r + 7, start : start + {span}]
            for j in range(sums.shape[0]):
                sums[j] += ((a[j] + b[j]) + (c[j] + d[j])) + ((e[j] + f[j]) + (g[j] + h[j]))
        for r in range(high - (high - low) % 8, high):
            row = x[r, start : start + {span}]
            for j in range(sums.shape[0]):
                sums[j] += row[j]


@njit("void({matrix}, int64, {matrix})", error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={cache})
def sums_of_columns(x, grain, parts):
    if parts.shape[1] != x.shape[1] or parts.shape[0] * {rows} < x.shape[0]:
        raise ValueError("sizes differ")
    spans = (x.shape[1] + {span} - 1) // {span}
    split(some_blocks, parts.shape[0] * spans, grain, x, spans, parts)
    totals = np.empty(64, np.float64)
    for start in range(0, parts.shape[1], 64):
        sums = parts[0, start : start + 64]
        for j in range(sums.shape[0]):
            totals[j] = sums[j]
        for block in range(1, parts.shape[0]):
            part = parts[block, start : start + 64]
            for j in range(part.shape[0]):
                totals[j] += part[j]
        for j in range(sums.shape[0]):
            sums[j] = totals[j]
""",
}

_kernels = ByType(
    lambda name: _HEAD + _TEXTS[name], block=BLOCK, rows=ROWS, span=SPAN, columns=COLUMNS
)


def of_rows(x: Any, y: Any = None, *, what: str = "sums") -> Any:
    """The sums of a matrix's rows, float64; x (rows, n) of float32 or float64, in one piece.

    `what`: "sums", "squares" or, of x and another such matrix y, "distances", which are squared, or
    "dots", the sums of their products; or "products" along a row, which are no sums.
    """
    sums, grain = np.empty(len(x)), max(1, PART // max(x.shape[1], 1))
    matrices = (x,) if y is None else (x, y)
    _kernels[f"{what}_of_rows", x.dtype.char](*matrices, grain, sums)
    return sums


def of_columns(x: Any) -> Any:
    """The sums of a matrix's columns, in its type; x as in `of_rows`."""
    rows, n = x.shape
    parts = np.empty(((rows + ROWS - 1) // ROWS, n), x.dtype)
    grain = max(1, PART // (min(rows, ROWS) * min(n, SPAN)))
    _kernels["sums_of_columns", x.dtype.char](x, grain, parts)
    return parts[0].copy() if len(parts) > 1 else parts[0]


def of_middle(x: Any) -> Any:
    """The sums over the second of three axes, in x's type; x in one piece."""
    before, n, after = x.shape
    sums = np.empty((before, after), x.dtype)
    grain = max(1, PART // (n * min(after, COLUMNS)))
    _kernels["sums_of_middle", x.dtype.char](x, grain, sums)
    return sums


def total(x: Any, y: Any = None, *, what: str = "sums") -> Any:
    """The sum over all of an array's elements, a float; x in one piece, the rest as `of_rows`."""
    kernel = _kernels[f"{what}_of_all", x.dtype.char]
    if y is None:
        return kernel(x.reshape(-1), PART // BLOCK)
    return kernel(x.reshape(-1), y.reshape(-1), PART // BLOCK)


def squared_distance(x: Any, y: Any) -> Any:
    """The sum of (x - y)^2, a float; x and y of one type and shape, in one piece."""
    return total(x, y, what="distances")
