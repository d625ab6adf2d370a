"""Sums of slices along an axis, each times its weight: images in another size, on several threads.

NumPy takes the slices, multiplies and adds in passes of their own; here each element of the result
is written once. Both round the same products and sums. `arrays/places.py` says for which arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .by_type import ByType

__all__ = ["resample"]

PART = 16_384  # elements that a thread writes at a time

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.resampling.
from numpy import uint64
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
"""

_CHECK = """\
    if weights.shape[0] != places.shape[0] or weights.shape[1] != places.shape[1]:
        raise ValueError("sizes differ")
    n = uint64(x.shape[1])
    for k in range(places.shape[0]):
        for i in range(places.shape[1]):
            if places[k, i] >= n:
                raise ValueError("a place lies outside")
"""

_TEXTS = {
    "resample_rows": """\
def some_rows(first, last, x, places, weights, y):
    for r in range(first, last):
        row, to = x[r], y[r]
        place, weight = places[0], weights[0]
        if places.shape[0] == 2:
            other, its_weight = places[1], weights[1]
            for i in range(to.shape[0]):
                to[i] = row[place[i]] * weight[i] + row[other[i]] * its_weight[i]
        else:
            for i in range(to.shape[0]):
                to[i] = row[place[i]] * weight[i]
            for k in range(1, places.shape[0]):
                place, weight = places[k], weights[k]
                for i in range(to.shape[0]):
                    to[i] += row[place[i]] * weight[i]


@njit("void({matrix}, uint64[:, ::1], {matrix}, int64, {matrix})", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def resample_rows(x, places, weights, grain, y):
    if y.shape[0] != x.shape[0] or y.shape[1] != places.shape[1]:
        raise ValueError("sizes differ")
{check}    split(some_rows, x.shape[0], grain, x, places, weights, y)
""",
    "resample_slices": """\
def some_slices(first, last, x, places, weights, y):
    all_lanes()
    m = y.shape[1]
    for item in range(first, last):
        matrix, i = item // m, item % m
        to, row, weight = y[matrix, i], x[matrix, places[0, i]], weights[0, i]
        for j in range(to.shape[0]):
            to[j] = row[j] * weight
        for k in range(1, places.shape[0]):
            row, weight = x[matrix, places[k, i]], weights[k, i]
            for j in range(to.shape[0]):
                to[j] += row[j] * weight


@njit("void({dtype}[:, :, ::1], uint64[:, ::1], {matrix}, int64, {dtype}[:, :, ::1])",
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def resample_slices(x, places, weights, grain, y):
    if y.shape[0] != x.shape[0] or y.shape[1] != places.shape[1] or y.shape[2] != x.shape[2]:
        raise ValueError("sizes differ")
{check}    split(some_slices, y.shape[0] * y.shape[1], grain, x, places, weights, y)
""",
}

_kernels = ByType(lambda name: _HEAD + _TEXTS[name], check=_CHECK)


def resample(x: Any, axis: int, places: Any, weights: Any) -> Any:
    """Along an axis y[o] = sum over k of weights[k, o] x[places[k, o]].

    x: floats in one piece.  places, weights: (terms, outputs), int64 and of x's type, at least one
    term.  Raises ValueError if a place lies outside.
    """
    shape, m, places = x.shape, places.shape[1], places.view(np.uint64)  # none lies before 0
    y = np.empty((*shape[:axis], m, *shape[axis + 1 :]), x.dtype)
    source: Any
    to: Any
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    if after == 1:
        source, to, name = x.reshape(before, -1), y.reshape(before, m), "resample_rows"
    else:
        source, to = x.reshape(before, -1, after), y.reshape(before, m, after)
        name = "resample_slices"
    grain = max(1, PART // (m if after == 1 else after))
    _kernels[name, x.dtype.char](source, places, weights, grain, to)
    return y
