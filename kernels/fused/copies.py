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

__all__ = ["TURNED", "choose", "copy", "framed", "in_order", "into", "pays", "running"]

PART = 32_768  # elements that a thread copies at a time
LARGE = 262_144  # elements from which on kernels copy quicker than NumPy does
_SHORT = 65_536  # the same where there are gaps in memory between rows, of up to _ROW elements
_ROW = 64
_ACROSS = 32_768  # and where NumPy goes across memory, backwards, or stays where it is
TURNED = 8_192  # and where it does so for but _FEW elements at a time
_FEW = 8
FRAMED = 16_384  # elements from which on a frame around them is quicker written here
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
    b, c, n, step = x.shape[1], x.shape[3], x.shape[4], x.strides[4]
    pieces, groups = (n + {part} - 1) // {part}, (c + {block} - 1) // {block}
    for item in range(first, last):
        matrix, begin = item // (groups * pieces), item % pieces * {part}
        low, end = item // pieces % groups * {block}, min(begin + {part}, n)
        high = min(low + {block}, c)
        for i in range(x.shape[2]):
            source, target = x[matrix // b, matrix % b, i], y[matrix // b, matrix % b, i]
            if step == 0:
                for k in range(low, high):
                    value, to = source[k, 0], in_line(target[k, begin:end])
                    for j in range(to.shape[0]):
                        to[j] = value
            elif turned:
                for k in range(low, high):
                    to, row = in_line(target[k, begin:end]), in_line(source[k, n - end : n - begin])
                    for j in range(to.shape[0]):
                        to[j] = row[np.uint64(to.shape[0] - 1 - j)]
            else:
                for k in range(low, high):
                    to, row = in_line(target[k, begin:end]), in_line(source[k, begin:end])
                    for j in range(to.shape[0]):
                        to[j] = row[j]


@njit(types.void(types.Array(types.{dtype}, 5, "A", readonly=True), types.boolean, types.int64,
      types.{dtype}[:, :, :, :, :]), error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={cache})
def copy_of_rows(x, turned, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1] or x.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    if x.shape[3] != y.shape[3] or x.shape[4] != y.shape[4]:
        raise ValueError("sizes differ")
    if y.strides[4] != {size} or (x.strides[4] != {size} and x.strides[4] != 0):
        raise ValueError("elements of a row do not stand side by side")
    a, b, _, c, n = x.shape
    items = a * b * ((c + {block} - 1) // {block}) * ((n + {part} - 1) // {part})
    split(some_pieces, items, grain, x, turned, y)
""",
    "copy_of_blocks": """\
def some_rows(first, last, x, y):
    all_lanes()
    b, c, d = x.shape[1], x.shape[3], x.shape[4]
    groups = (c + {block} - 1) // {block}
    for item in range(first, last):
        matrix, start = item // groups, item % groups * {block}
        stop = min(start + {block}, c)
        for k in range(x.shape[2]):
            source, target = x[matrix // b, matrix % b, k], y[matrix // b, matrix % b, k]
            if d == 2 and x.strides[3] == {size}:  # two rows become one
                row, other = in_line(source[start:stop, 0]), in_line(source[start:stop, 1])
                to = in_line(target[start:stop])
                for i in range(row.shape[0]):
                    to[2 * i] = row[i]
                    to[2 * i + 1] = other[i]
            else:
                for begin in range(0, d, {block}):
                    end = min(begin + {block}, d)
                    for i in range(start, stop):
                        for j in range(begin, end):
                            target[i, j] = source[i, j]


@njit(types.void(types.Array(types.{dtype}, 5, "A", readonly=True), types.int64,
      types.{dtype}[:, :, :, :, ::1]), error_model="numpy", nogil=True, no_cfunc_wrapper=True,
      cache={cache})
def copy_of_blocks(x, grain, y):
    if x.shape[0] != y.shape[0] or x.shape[1] != y.shape[1] or x.shape[2] != y.shape[2]:
        raise ValueError("sizes differ")
    if x.shape[3] != y.shape[3] or x.shape[4] != y.shape[4]:
        raise ValueError("sizes differ")
    a, b, c = x.shape[0], x.shape[1], x.shape[3]
    split(some_rows, a * b * ((c + {block} - 1) // {block}), grain, x, y)
""",
}

# Matrices within larger ones, which are a number around them.
_TEXTS["frame"] = """\
def some_planes(first, last, x, top, left, value, y):
    all_lanes()
    for m in range(first, last):
        plane = in_line(y[m])
        for j in range(plane.shape[0]):
            plane[j] = value
        for i in range(x.shape[1]):
            row, to = x[m, i], y[m, top + i, left : left + x.shape[2]]
            for j in range(to.shape[0]):
                to[j] = row[j]


@njit(types.void(types.Array(types.{dtype}, 3, "C", readonly=True), types.int64, types.int64,
      types.{dtype}, types.int64, types.{dtype}[:, :, ::1]), error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={cache})
def frame(x, top, left, value, grain, y):
    if x.shape[0] != y.shape[0] or top < 0 or left < 0:
        raise ValueError("sizes differ")
    if top + x.shape[1] > y.shape[1] or left + x.shape[2] > y.shape[2]:
        raise ValueError("sizes differ")
    split(some_planes, x.shape[0], grain, x, top, left, value, y)
"""

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
    """A copy of x in one piece, rows first; None where that is not for these kernels, or not yet.

    x: not empty.
    """
    y = np.empty(x.shape, x.dtype)
    return y if into(y, x) else None


def pays(x: Any) -> bool:
    """Whether kernels copy x, or write into it, quicker than NumPy does."""
    if x.size < LARGE:
        if x.size < TURNED:
            return False
        if 0 < x.strides[-1] <= _NEAR * x.itemsize:
            return x.size >= _SHORT and x.shape[-1] <= _ROW and not x.flags.c_contiguous
        return x.size >= _ACROSS or x.shape[-1] < _FEW
    return True


def in_order(x: Any) -> Any:
    """A copy of any x in one piece, rows first: by whichever is quicker."""
    y = copy(x) if pays(x) else None
    return x.copy() if y is None else y


def into(y: Any, x: Any) -> bool:
    """y[...] = x, of y's type, if that can be done here, and now; no memory of x is y's.

    y: not empty.  x: of y's shape, or broadcast to it.
    """
    if x.dtype != y.dtype or x.dtype.kind not in "biuf" or x.itemsize not in _WHOLE:
        return False
    if not (x.flags.aligned and y.flags.aligned and y.flags.writeable):
        return False
    if x.shape != y.shape:
        x = np.broadcast_to(x, y.shape)
    shape, step, place = _merged(x, y)
    if len(shape) > 5:
        return False
    name: str
    how: tuple[bool, ...]
    kind, size, (_, _, m, c, n) = _WHOLE[x.itemsize], x.itemsize, shape
    source, to = x.view(kind).reshape(shape), y.view(kind).reshape(shape)  # views: see `_merged`
    grain = max(1, PART // (m * min(c, BLOCK) * min(n, PART)))
    if place == size and step in (size, 0, -size) and (n > 2 or not y.flags.c_contiguous):
        name, how = "copy_of_rows", (step < 0,)
        if step < 0:
            source = source[..., ::-1]
    elif y.flags.c_contiguous:
        name, how = "copy_of_blocks", ()
    else:
        return False
    kernel = _kernels.ready(name, kind.char)
    if kernel is None:
        return False
    kernel(source, *how, grain, to)
    return True


def framed(x: Any, shape: tuple[int, ...], index: Any, value: float) -> Any:
    """x at `index` of an array of this shape that is `value` elsewhere; None as of `copy`.

    index: slices, one for each axis.
    """
    if x.size < FRAMED or x.dtype.char not in "fd" or not x.flags.carray or x.ndim < 2:
        return None
    if shape[:-2] != x.shape[:-2] or type(value) not in (int, float):
        return None
    kernel = _kernels.ready("frame", x.dtype.char)
    if kernel is None:
        return None
    y = np.empty(shape, x.dtype)
    top, left = (part.start or 0 for part in index[-2:])
    source, to = (a.reshape(math.prod(shape[:-2]), *a.shape[-2:]) for a in (x, y))
    kernel(source, top, left, value, max(1, PART // (shape[-2] * shape[-1])), to)
    return y


def _merged(x: Any, y: Any) -> tuple[tuple[int, ...], int, int]:
    """A shape for x and y, of five axes if these make do, and the last strides of both.

    Neighbouring axes count as one where the memory of both allows it: so reshaped they stay views.
    """
    shape: list[int] = []
    step, place = x.itemsize, y.itemsize
    for n, s, t in zip(x.shape, x.strides, y.strides, strict=True):
        if n == 1:
            continue
        if shape and step == n * s and place == n * t:
            shape[-1] *= n
        else:
            shape.append(n)
        step, place = s, t
    around = [1] * (4 - len(shape)) + shape
    return (*around[:-2], *[1] * (5 - len(around)), *around[-2:]), step, place


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
