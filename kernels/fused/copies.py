"""Copies, choices and running sums of large arrays, on several threads.

NumPy copies on one thread and, where axes have changed places, number by number, across memory; it
chooses between two arrays by a jump for each element, which processors guess wrongly. Here blocks
are copied that the first cache holds both ways, and choices are vectors. `arrays/large.py` says for
which arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import pool
from .by_type import ByType
from .loops import Loop

__all__ = ["choose", "copy", "cumsum"]

PART = 32_768  # elements that a thread copies at a time
BLOCK = 32  # rows and columns of what is copied together

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.copies.
import numpy as np
from numba import types
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
"""

_TEXTS = {
    # Rows in one piece, at distances s0, s1 and s2 along three axes.
    "copy_of_rows": """\
def some_pieces(first, last, memory, b, c, s0, s1, s2, y):
    n = y.shape[1]
    pieces, groups = (n + {part} - 1) // {part}, (c + {block} - 1) // {block}
    for item in range(first, last):
        matrix, begin = item // (groups * pieces), item % pieces * {part}
        low, end = item // pieces % groups * {block}, min(begin + {part}, n)
        start = matrix // b * s0 + matrix % b * s1 + begin
        for k in range(low, min(low + {block}, c)):
            source = memory[start + k * s2 : start + k * s2 + (end - begin)]
            target = y[matrix * c + k, begin:end]
            for at in range(source.shape[0]):
                target[at] = source[at]


@njit(types.void(types.Array(types.{dtype}, 1, "C", readonly=True), types.int64, types.int64,
      types.int64, types.int64, types.int64, types.int64, types.{dtype}[:, ::1]),
      error_model="numpy", nogil=True, no_cfunc_wrapper=True, cache={cache})
def copy_of_rows(memory, b, c, s0, s1, s2, grain, y):
    rows, n = y.shape
    if b < 1 or c < 1 or s0 < 0 or s1 < 0 or s2 < 0 or rows % (b * c) != 0:
        raise ValueError("the rows lie outside the memory")
    matrices = rows // c
    if (matrices // b - 1) * s0 + (b - 1) * s1 + (c - 1) * s2 + n > memory.shape[0]:
        raise ValueError("the rows lie outside the memory")
    items = matrices * ((c + {block} - 1) // {block}) * ((n + {part} - 1) // {part})
    split(some_pieces, items, grain, memory, b, c, s0, s1, s2, y)
""",
    "copy_of_blocks": """\
def some_rows(first, last, x, y):
    b, c, d = x.shape[1], x.shape[2], x.shape[3]
    groups = (c + {block} - 1) // {block}
    for item in range(first, last):
        matrix, start = item // groups, item % groups * {block}
        source, target = x[matrix // b, matrix % b], y[matrix // b, matrix % b]
        stop = min(start + {block}, c)
        for begin in range(0, d, {block}):
            end = min(begin + {block}, d)
            for i in range(start, stop):
                for j in range(begin, end):
                    target[i, j] = source[i, j]


@njit(types.void(types.Array(types.{dtype}, 4, "A", readonly=True), types.int64,
      types.{dtype}[:, :, :, ::1]), error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={cache})
def copy_of_blocks(x, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1]:
        raise ValueError("sizes differ")
    if x.shape[2] != y.shape[2] or x.shape[3] != y.shape[3]:
        raise ValueError("sizes differ")
    a, b, c = x.shape[0], x.shape[1], x.shape[2]
    split(some_rows, a * b * ((c + {block} - 1) // {block}), grain, x, y)
""",
    "cumsum_of": """\
def some_sums(first, last, x, y):
    n, width = x.shape[1], x.shape[2]
    totals = np.empty(width, np.float64)
    for item in range(first, last):
        source, target = x[item], y[item]
        if width == 1:
            total = 0.0
            for k in range(n):
                total += source[k, 0]
                target[k, 0] = total
        else:
            for j in range(width):
                totals[j] = 0.0
            for k in range(n):
                for j in range(width):
                    totals[j] += source[k, j]
                    target[k, j] = totals[j]


@njit("void({dtype}[:, :, ::1], int64, {dtype}[:, :, ::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def cumsum_of(x, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1] or x.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    split(some_sums, x.shape[0], grain, x, y)
""",
}

_kernels = ByType(lambda name: _HEAD + _TEXTS[name], block=BLOCK, part=PART)
_WHOLE = {size: np.dtype(f"uint{8 * size}") for size in (1, 2, 4, 8)}  # copied as integers


def copy(x: Any) -> Any:
    """A copy of x in one piece, rows first; None where that is not for these kernels."""
    if x.dtype.kind not in "biuf" or x.itemsize not in _WHOLE or not x.flags.aligned:
        return None
    shape, strides = _merged(x)
    if len(shape) > 4:
        return None
    y, kind = np.empty(x.shape, x.dtype), _WHOLE[x.itemsize]
    lead = 4 - len(shape)
    shape, strides = (1,) * lead + shape, (0,) * lead + strides
    in_rows = strides[3] == x.itemsize and all(s >= 0 and s % x.itemsize == 0 for s in strides)
    if in_rows:
        steps = [s // x.itemsize for s in strides]
        extent = 1 + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        memory = _strided(x, (extent,), strides[3:]).view(kind)
        grain = max(1, PART // (min(shape[2], BLOCK) * min(shape[3], PART)))
        to = y.view(kind).reshape(-1, shape[3])
        _kernels["copy_of_rows", kind.char](memory, *shape[1:3], *steps[:3], grain, to)
    else:
        grain = max(1, PART // (min(shape[2], BLOCK) * shape[3]))
        to = y.view(kind).reshape(shape)
        _kernels["copy_of_blocks", kind.char](_strided(x, shape, strides).view(kind), grain, to)
    return y


def _strided(x: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def _merged(x: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of x, with neighbouring axes as one where memory allows it."""
    axes: list[tuple[int, int]] = []
    for n, stride in zip(x.shape, x.strides, strict=True):
        if n == 1:
            continue
        if axes and axes[-1][1] == n * stride:
            axes[-1] = axes[-1][0] * n, stride
        else:
            axes.append((n, stride))
    return tuple(n for n, _ in axes) or (1,), tuple(s for _, s in axes) or (x.itemsize,)


def cumsum(x: Any, axis: int) -> Any:
    """Sums up to each place along an axis, taken in float64; x of floats, in one piece."""
    before, n = math.prod(x.shape[:axis]), x.shape[axis]
    y = np.empty(x.shape, x.dtype)
    flat = before, n, x.size // (before * n)
    grain = max(1, PART // (n * flat[2]))
    _kernels["cumsum_of", x.dtype.char](x.reshape(flat), grain, y.reshape(flat))
    return y


def choose(condition: Any, x: Any, y: Any, kind: Any) -> Any:
    """x where a condition holds, else y: each an array in one piece or a number; of this type."""
    result = np.empty(condition.shape, kind)
    arrays = [a.ravel() for a in (x, y) if isinstance(a, np.ndarray)]
    numbers = [a for a in (x, y) if not isinstance(a, np.ndarray)]
    form = "".join("array" if isinstance(a, np.ndarray) else "number" for a in (x, y))
    _choices[form, kind](condition.ravel(), *arrays, result.ravel(), *numbers)
    return result


class _Choices(dict[Any, Any]):
    """The kernels of `choose` by form and type, fetched when first asked for."""

    def __missing__(self, key: tuple[str, Any]) -> Any:
        form, kind = key
        are_arrays = {"x": form.startswith("array"), "y": form.endswith("array")}
        arrays = [name for name, is_array in are_arrays.items() if is_array]
        x, y = (f"{name}[i]" if is_array else name for name, is_array in are_arrays.items())
        loop = Loop(
            name=f"choose_{form}",
            origin="tinygrad_opt.kernels.fused.copies",
            arrays={
                "condition": "boolean[::1]", **dict.fromkeys([*arrays, "result"], "{dtype}[::1]")
            },
            scalars={name: "{dtype}" for name in are_arrays if name not in arrays},
            body="    for i in range(result.shape[0]):\n"
            f"        result[i] = {x} if condition[i] else {y}\n",
            part=str(PART),
            cost=pool.USUAL // 2,
        )  # fmt: skip
        kernel = self[key] = loop.load(kind.name, large=True)
        return kernel


_choices = _Choices()
