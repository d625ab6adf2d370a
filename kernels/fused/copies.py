"""Copies, choices, running sums and products of large arrays, on several threads.

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

__all__ = ["LARGE", "TURNED", "choose", "copy", "in_order", "into", "running"]

PART = 32_768  # elements that a thread copies at a time
LARGE = 262_144  # elements from which on kernels copy quicker than NumPy does
TURNED = 65_536  # the same where NumPy goes across memory, backwards, or stays where it is
_NEAR = 4  # elements from one to the next in memory, to which NumPy goes quickly, too
BLOCK = 32  # rows and columns of what is copied together

_HEAD = """\
# Written by tinygrad_opt.kernels.fused.copies.
import numpy as np
from numba import types
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.compiler.lines import in_line
from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
"""

_TEXTS = {
    # Rows of n elements, which stand side by side in the target; in the source, too, maybe from
    # its end to its beginning (`turned`), or there is but one.
    "copy_of_rows": """\
def some_pieces(first, last, x, turned, y):
    all_lanes()
    b, c, n, step = x.shape[1], x.shape[2], x.shape[3], x.strides[3]
    pieces, groups = (n + {part} - 1) // {part}, (c + {block} - 1) // {block}
    for item in range(first, last):
        matrix, begin = item // (groups * pieces), item % pieces * {part}
        low, end = item // pieces % groups * {block}, min(begin + {part}, n)
        source, target = x[matrix // b, matrix % b], y[matrix // b, matrix % b]
        high = min(low + {block}, c)
        if step == 0 and n == 2 and x.strides[2] == {size} and y.strides[2] == 2 * {size}:
            row, to = in_line(source[low:high, 0]), in_line(target[low:high])  # each element twice
            for k in range(row.shape[0]):
                to[2 * k] = row[k]
                to[2 * k + 1] = row[k]
            low = high
        for k in range(low, high):
            to = in_line(target[k, begin:end])
            if step == 0:
                value = source[k, 0]
                for j in range(to.shape[0]):
                    to[j] = value
            elif turned:
                row = in_line(source[k, n - end : n - begin])
                for j in range(to.shape[0]):
                    to[j] = row[np.uint64(to.shape[0] - 1 - j)]
            else:
                row = in_line(source[k, begin:end])
                for j in range(to.shape[0]):
                    to[j] = row[j]


@njit(types.void(types.Array(types.{dtype}, 4, "A", readonly=True), types.boolean, types.int64,
      types.{dtype}[:, :, :, :]), error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={cache})
def copy_of_rows(x, turned, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1]:
        raise ValueError("sizes differ")
    if x.shape[2] != y.shape[2] or x.shape[3] != y.shape[3]:
        raise ValueError("sizes differ")
    if y.strides[3] != {size} or (x.strides[3] != {size} and x.strides[3] != 0):
        raise ValueError("elements of a row do not stand side by side")
    a, b, c, n = x.shape
    items = a * b * ((c + {block} - 1) // {block}) * ((n + {part} - 1) // {part})
    split(some_pieces, items, grain, x, turned, y)
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
}

# Sums, or products, up to each place.
_RUNNING = """\
def some_sums(first, last, x, y):
    n, width = x.shape[1], x.shape[2]
    totals = np.empty(width, np.float64)
    for item in range(first, last):
        source, target = x[item], y[item]
        if width == 1:
            total = START
            for k in range(n):
                total SIGN= source[k, 0]
                target[k, 0] = total
        else:
            for j in range(width):
                totals[j] = START
            for k in range(n):
                for j in range(width):
                    totals[j] SIGN= source[k, j]
                    target[k, j] = totals[j]


@njit("void({dtype}[:, :, ::1], int64, {dtype}[:, :, ::1])", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def NAME_of(x, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1] or x.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    split(some_sums, x.shape[0], grain, x, y)
"""
for _name, _sign, _start in (("cumsum", "+", "0.0"), ("cumprod", "*", "1.0")):
    _text = _RUNNING.replace("SIGN", _sign).replace("START", _start)
    _TEXTS[f"{_name}_of"] = _text.replace("NAME", _name)

_kernels = ByType(lambda name: _HEAD + _TEXTS[name], block=BLOCK, part=PART)
_WHOLE = {size: np.dtype(f"uint{8 * size}") for size in (1, 2, 4, 8)}  # copied as integers


def copy(x: Any) -> Any:
    """A copy of x in one piece, rows first; None where that is not for these kernels.

    x: not empty.
    """
    y = np.empty(x.shape, x.dtype)
    return y if into(y, x) else None


def in_order(x: Any) -> Any:
    """A copy of any x in one piece, rows first: by whichever is quicker."""
    if x.size < TURNED or (x.size < LARGE and 0 < x.strides[-1] <= _NEAR * x.itemsize):
        return x.copy()
    y = copy(x)
    return x.copy() if y is None else y


def into(y: Any, x: Any) -> bool:
    """y[...] = x, of y's type, if that can be done here; no memory of x is y's.

    y: not empty.  x: of y's shape, or broadcast to it.
    """
    if x.dtype != y.dtype or x.dtype.kind not in "biuf" or x.itemsize not in _WHOLE:
        return False
    if not (x.flags.aligned and y.flags.aligned and y.flags.writeable):
        return False
    if x.shape != y.shape:
        x = np.broadcast_to(x, y.shape)
    shape, strides, places = _merged(x, y)
    if len(shape) > 4:
        return False
    kind, size, (_, _, c, n), step = _WHOLE[x.itemsize], x.itemsize, shape, strides[3]
    if places[3] == size and step in (size, 0, -size):
        grain = max(1, PART // (min(c, BLOCK) * min(n, PART)))
        source, to = _as(x, kind, shape, strides), _as(y, kind, shape, places)
        if step < 0:
            source = source[..., ::-1]
        _kernels["copy_of_rows", kind.char](source, step < 0, grain, to)
    elif y.flags.c_contiguous:
        grain = max(1, PART // (min(c, BLOCK) * n))
        source, to = _as(x, kind, shape, strides), y.view(kind).reshape(shape)
        _kernels["copy_of_blocks", kind.char](source, grain, to)
    else:
        return False
    return True


def _as(x: Any, kind: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """The memory of x as an array of another type, of elements as large, and another shape."""
    x = x.view(kind)
    if x.shape == shape[4 - x.ndim :] and shape[3] > 1:
        return x[(None,) * (4 - x.ndim)]
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=x.flags.writeable)


def _merged(x: Any, y: Any) -> tuple[tuple[int, ...], ...]:
    """The shape of x and y and the strides of both: of four axes, if these make do.

    Neighbouring axes count as one where the memory of both allows it.
    """
    axes: list[tuple[int, int, int]] = []
    for n, s, t in zip(x.shape, x.strides, y.strides, strict=True):
        if n == 1:
            continue
        if axes and axes[-1][1:] == (n * s, n * t):
            axes[-1] = axes[-1][0] * n, s, t
        else:
            axes.append((n, s, t))
    if not axes:
        axes = [(1, x.itemsize, x.itemsize)]
    axes = [(1, 0, 0)] * (4 - len(axes)) + axes
    shape, strides, places = zip(*axes, strict=True)
    return shape, strides, places


def running(x: Any, axis: int, name: str) -> Any:
    """Sums up to each place along an axis, or products: by the name "cumsum" or "cumprod".

    They are taken in float64.  x: of floats, in one piece.
    """
    before, n = math.prod(x.shape[:axis]), x.shape[axis]
    y = np.empty(x.shape, x.dtype)
    flat = before, n, x.size // (before * n)
    grain = max(1, PART // (n * flat[2]))
    _kernels[f"{name}_of", x.dtype.char](x.reshape(flat), grain, y.reshape(flat))
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
