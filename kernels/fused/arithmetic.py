"""Sums, differences, products and quotients of large arrays, on several threads.

NumPy's own take one, however large the arrays. From LEAST elements on these loops are the quicker
ones: of an array with another of its shape, with a number, with a row that goes with each of its
rows, or with a column, which has a number for each of them; or of a column with a row. For smaller
arrays, and for others, it is NumPy's turn, as it is until a kernel is made. Both round once and
give the same bits. `arrays/fused.py` chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..pool import ahead
from .by_type import ByType
from .loops import Loop

__all__ = ["HALVES", "LEAST", "NAMES", "combine", "form", "into", "is_outer", "outer"]

LEAST = 65_536  # elements
HALVES = 4_096  # and of float16, which NumPy takes one by one
PART = 32_768  # that a thread takes at a time: of three arrays as much as its cache holds

_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_NUMPYS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
NAMES = tuple(_SIGNS)
_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
_HUGE = 2.0**100  # both types hold it, and its inverse

_ROWS = """\
# Written by tinygrad_opt.kernels.fused.arithmetic.
from tinygrad_opt.kernels.direct import njit

from tinygrad_opt.kernels.compiler.lanes import all_lanes
from tinygrad_opt.kernels.pool import split


@njit(error_model="numpy", nogil=True)
def some_rows(first, last, x, y, result):
    all_lanes()
    for r in range(first, last):
        row, to = x[r], result[r]
        for j in range(to.shape[0]):
            to[j] = {left} {sign} {right}


@njit("void({{matrix}}, {{vector}}, int64, {{matrix}})", error_model="numpy", nogil=True,
      no_cfunc_wrapper=True, cache={{cache}})
def {name}(x, y, grain, result):
    if x.shape[0] != result.shape[0] or x.shape[1] != {width}:
        raise ValueError("sizes differ")
    if y.shape[0] != result.shape[{axis}]:
        raise ValueError("sizes differ")
    split(some_rows, x.shape[0], grain, x, y, result)
"""


def form(x: Any, y: Any) -> str:
    """How y goes with the array x: as an "array", a "number", a "row", a "column"; "" for none."""
    if x.dtype not in _FLOATS or not x.flags.carray:
        return ""
    if type(y) in (int, float):
        return "number" if -_HUGE < y < _HUGE else ""
    if type(y) is not np.ndarray or y.dtype is not x.dtype or not y.flags.carray:
        return ""
    if y.shape == x.shape:
        return "array"
    if y.ndim <= x.ndim and y.ndim and y.size > 1:
        if y.shape == x.shape[x.ndim - y.ndim :]:
            return "row"
        if y.ndim == x.ndim and y.shape[-1] == 1:
            kept = x.ndim - 1
            while kept and y.shape[kept - 1] == 1:
                kept -= 1
            if y.shape[:kept] == x.shape[:kept]:
                return "column"
    return ""


def combine(name: str, form: str, x: Any, y: Any) -> Any:
    """x + y, x - y, x * y or x / y by its name; `form` says how y goes with x."""
    flat = form in ("array", "number")
    if flat:
        kernel = _kernels.ready(name, form, x.dtype)
    else:
        kernel = _by_rows.ready(f"{name}_{form}", x.dtype.char)
    if kernel is None:
        return _NUMPYS[name](x, y)
    result = np.empty(x.shape, x.dtype)
    if form == "array":
        kernel(x.ravel(), y.ravel(), result.ravel())
    elif flat:
        kernel(x.ravel(), result.ravel(), y)
    else:
        shape = (x.size // y.size, y.size) if form == "row" else (y.size, x.size // y.size)
        grain = max(1, PART // shape[1])
        kernel(x.reshape(shape), y.ravel(), grain, result.reshape(shape))
    return result


def is_outer(x: Any, y: Any) -> bool:
    """Whether x, a column, and y, a row, make a large matrix."""
    return (
        x.ndim == 2 == y.ndim
        and x.shape[1] == 1 == y.shape[0]
        and x.size * y.size >= LEAST
        and x.dtype is y.dtype
        and x.dtype in _FLOATS
        and x.flags.carray
        and y.flags.carray
    )


def outer(name: str, x: Any, y: Any) -> Any:
    """The same of such a column and a row."""
    kernel = _by_rows.ready(f"{name}_outer", x.dtype.char)
    if kernel is None:
        return _NUMPYS[name](x, y)
    result = np.empty((x.size, y.size), x.dtype)
    kernel(x, y.ravel(), max(1, PART // y.size), result)
    return result


def into(name: str, held: Any, y: Any) -> bool:
    """held += y or its like, if y is an array or a number for which that can be done here."""
    how = form(held, y)
    if how == "array" and np.may_share_memory(held, y) and held.ctypes.data != y.ctypes.data:
        return False
    if how not in ("array", "number"):
        return False
    kernel = _kernels.ready(name, f"{how} onto", held.dtype)
    if kernel is None:
        _NUMPYS[name](held, y, held)
    elif how == "number":
        kernel(held.ravel(), y)
    else:
        kernel(y.ravel(), held.ravel())
    return True


class _Kernels(dict[Any, Any]):
    """The kernels by name, form and type, fetched when first asked for."""

    def __missing__(self, key: tuple[str, str, Any]) -> Any:
        kernel = self[key] = _load(*key)
        return kernel

    def ready(self, *key: Any) -> Any:
        """A kernel, or None while it is being made."""
        if key not in self and (kernel := ahead.ready(_load, *key)) is not None:
            self[key] = kernel
        return self.get(key)


_kernels = _Kernels()


def _load(name: str, form: str, kind: Any) -> Any:
    return _loop(name, form).load(kind.name, large=True)


def _loop(name: str, form: str) -> Loop:
    """The loop of result = x + y, or of result = result + y, that is of y "onto" it."""
    what, _, onto = form.partition(" ")
    arrays = [*(() if onto else "x"), *("y" if what == "array" else ()), "result"]
    left, right = "result[i]" if onto else "x[i]", "y[i]" if what == "array" else "y"
    return Loop(
        name=f"{name}_{form.replace(' ', '_')}",
        origin="tinygrad_opt.kernels.fused.arithmetic",
        arrays=dict.fromkeys(arrays, "{dtype}[::1]"),
        scalars={} if what == "array" else {"y": "{dtype}"},
        body="    for i in range(result.shape[0]):\n"
        f"        result[i] = {left} {_SIGNS[name]} {right}\n",
        part=str(PART),
        cost=12_000,
    )


def _rows_text(kernel: str) -> str:
    """The text of a kernel of rows, by a name as add_row."""
    name, _, form = kernel.partition("_")
    right, axis = ("y[r]", 0) if form == "column" else ("y[j]", 1)
    left, width = ("row[0]", "1") if form == "outer" else ("row[j]", "result.shape[1]")
    return _ROWS.format(
        name=kernel, sign=_SIGNS[name], left=left, right=right, axis=axis, width=width
    )


_by_rows = ByType(_rows_text)
