"""The distances between rows from the products of all of them, in the memory of the products.

NumPy takes a pass for each step of the formula, which is the one in `ops/linalg.py`.
"""

from __future__ import annotations

from typing import Any

from .by_type import ByType

__all__ = ["LEAST", "from_products"]

LEAST = 4_096  # distances
PART = 16_384  # that a thread computes at a time

_TEXT = """\
# Written by tinygrad_opt.kernels.fused.distances.
import math

from numpy import {dtype}
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.functions.primitives import maximum
from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
def some_rows(first, last, a, b, z):
    all_lanes()
    for r in range(first, last):
        row, own = z[r], a[r]
        for j in range(row.shape[0]):
            row[j] = math.sqrt(maximum((own + b[j]) - {dtype}(2) * row[j], {dtype}(0)))


@njit("void({vector}, {vector}, int64, {matrix})", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def distances(a, b, grain, z):
    if a.shape[0] != z.shape[0] or b.shape[0] != z.shape[1]:
        raise ValueError("sizes differ")
    split(some_rows, z.shape[0], grain, a, b, z)
"""

_kernels = ByType(lambda name: _TEXT)


def from_products(a: Any, b: Any, z: Any) -> None:
    """z[i, j] = sqrt(max(a[i] + b[j] - 2 z[i, j], 0)): of the squares of lengths and the products.

    All of one type of floats, in one piece.
    """
    _kernels["distances", z.dtype.char](a, b, max(1, PART // max(z.shape[1], 1)), z)
