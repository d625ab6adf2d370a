"""Layer norm and RMS norm of a matrix's rows, forward and backward, in one pass over memory each.

A row is worked on while it lies in the first cache: its mean, its deviation, the result. Long sums
are taken in blocks, so they keep their digits; of a block as an array of its own, LLVM knows that
its elements stand side by side, which it does not of `row[j]` from some start on. What the rows add
to the weights' gradients is kept for each part of the rows, and those are added in order: no bit
depends on the number of threads.

The formulas, and the other norms, are in `normalization.py` beside this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .by_type import ByType

PART = 65_536  # elements that a thread works on at a time
BLOCK = 4096  # elements of a row that are added in its own type, before float64 takes over
ROWS = 128  # the same for the rows that add to a weight's gradient

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.row_norms.
from math import sqrt

import numpy as np
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import split

number, zero = np.{dtype}, np.{dtype}(0)


@njit(fastmath={{"contract", "nsz", "reassoc"}}, error_model="numpy", nogil=True)
"""

_TEXTS = {
    "row_norm": """\
def some_rows(first, last, x, weight, bias, centred, eps, y, mean, rate):
    all_lanes()
    n = x.shape[1]
    for r in range(first, last):
        row, to = x[r], y[r]
        m, total = zero, 0.0
        if centred:
            for start in range(0, n, {block}):
                some, part = row[start : start + {block}], zero
                for j in range(some.shape[0]):
                    part += some[j]
                total += part
            m = number(total / n)
        total = 0.0
        for start in range(0, n, {block}):
            some, part = row[start : start + {block}], zero
            for j in range(some.shape[0]):
                part += (some[j] - m) * (some[j] - m)
            total += part
        k = number(1 / sqrt(total / n + eps))
        mean[r], rate[r] = m, k
        for j in range(n):
            to[j] = (row[j] - m) * k * weight[j] + bias[j]


@njit("void({matrix}, {vector}, {vector}, boolean, float64, int64, {matrix},"
      "{vector}, {vector})", error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def row_norm(x, weight, bias, centred, eps, grain, y, mean, rate):
    split(some_rows, x.shape[0], grain, x, weight, bias, centred, eps, y, mean, rate)
""",
    # h = g weight;  dx = rate (h - mean(h) - z mean(h z)), where z = (x - mean) rate
    "row_norm_back": """\
def some_blocks(first, last, rows, g, x, mean, rate, weight, centred, sums, dx):
    all_lanes()
    n = x.shape[1]
    for block in range(first, last):
        dw, db = sums[block, 0], sums[block, 1]
        for j in range(n):
            dw[j] = db[j] = zero
        for r in range(block * rows, min((block + 1) * rows, x.shape[0])):
            row, gr, to = x[r], g[r], dx[r]
            m, k, total_h, total_z = mean[r], rate[r], 0.0, 0.0
            for start in range(0, n, {block}):
                stop, part_h, part_z = start + {block}, zero, zero
                some, some_g, some_weight = row[start:stop], gr[start:stop], weight[start:stop]
                for j in range(some.shape[0]):
                    h = some_g[j] * some_weight[j]
                    part_h += h
                    part_z += h * (some[j] - m)
                total_h += part_h
                total_z += part_z
            a = number(total_h / n) if centred else zero
            b = number(total_z / n * k * k)
            for j in range(n):
                to[j] = (gr[j] * weight[j] - a - (row[j] - m) * b) * k
                dw[j] += gr[j] * ((row[j] - m) * k)
                db[j] += gr[j]


@njit("void({matrix}, {matrix}, {vector}, {vector}, {vector}, boolean,"
      "int64, int64, {dtype}[:, :, ::1], {matrix}, {matrix})", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def row_norm_back(g, x, mean, rate, weight, centred, rows, grain, sums, dx, total):
    split(some_blocks, sums.shape[0], grain, rows, g, x, mean, rate, weight, centred, sums, dx)
    for k in range(2):
        for j in range(x.shape[1]):
            wide = 0.0
            for block in range(sums.shape[0]):
                wide += sums[block, k, j]
            total[k, j] = wide
""",
}

_kernels = ByType(lambda name: _HEAD + _TEXTS[name], {"row_norm": "row_norm_back"}, block=BLOCK)


def forward(x: Any, weight: Any, bias: Any, centred: bool, eps: float) -> tuple[Any, Any, Any]:
    """((x - mean) * rate * weight + bias, mean, rate) of each row of x (rows, n).

    Args:
        x: contiguous, float32 or float64.
        weight: (n,) of the same type, as `bias`.
        centred: the mean is taken off (layer norm); else it counts as 0 (RMS norm).
        eps: added to the mean of the squares, of which the rate is one over the root.
    """
    y, (mean, rate) = np.empty_like(x), np.empty((2, len(x)), x.dtype)
    _kernels["row_norm", x.dtype.char](x, weight, bias, centred, eps, _grain(x), y, mean, rate)
    return y, mean, rate


def backward(
    g: Any, x: Any, mean: Any, rate: Any, weight: Any, centred: bool
) -> tuple[Any, Any, Any]:
    """The gradients of x, weight and bias from that of the result; the rest as in `forward`."""
    dx, rows = np.empty_like(x), min(max(PART // x.shape[1], 8), ROWS)
    sums = np.empty((-(-len(x) // rows), 2, x.shape[1]), x.dtype)
    total = np.empty((2, x.shape[1]), x.dtype)
    settings = (centred, rows, max(_grain(x) // rows, 1))
    _kernels["row_norm_back", x.dtype.char](g, x, mean, rate, weight, *settings, sums, dx, total)
    return dx, total[0], total[1]


def _grain(x: Any) -> int:
    """Rows of a part."""
    return max(PART // x.shape[1], 1)
