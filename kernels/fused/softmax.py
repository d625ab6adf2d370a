"""Softmax, its logarithm and the cross-entropy of rows: each in one pass over a row in the cache.

Where NumPy makes a temporary for each step, a kernel stays within the row. Rows are independent, so
threads take some each, and no result depends on their number. Sums are of the arrays' type within
blocks of 1,024 elements, and of float64 over the blocks. Short rows, and those along other axes
than the last, are done side by side: `softmax_lanes.py`.

The same in array code: `Namespace.softmax`, `log_softmax` and `cross_entropy_rows` in
`arrays/namespace.py`; `softmax_back` and `log_softmax_back` here, for any namespace.
`tests/test_twins.py` holds each pair equal. `arrays/fused.py` chooses.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import micro
from . import copies, places, softmax_lanes
from .loops import Loop

__all__ = [
    "across", "along", "cross_entropy", "fits", "fits_loss", "log_softmax_back", "softmax_back",
    "with_classes_last",
]  # fmt: skip

PART = 16_384  # elements that a thread takes at a time: about 30 us
SHORT = 48  # numbers of a row below which rows are put side by side
ODD = 128  # below which it pays to mask what is left of a loop along a row
LONG = 256  # up to which rows are done side by side where they lie so

# The formulas -------------------------------------------------------------------------------------


def softmax_back(space: Any, y: Any, g: Any, axis: int) -> Any:
    """The gradient of x from y = softmax(x) and the gradient g of y: y (g - sum(g y))."""
    return y * (g - space.sum(g * y, axis=axis, keepdims=True))


def log_softmax_back(space: Any, y: Any, g: Any, axis: int) -> Any:
    """The gradient of x from y = log_softmax(x) and the gradient g of y: g - e^y sum(g)."""
    return g - space.exp(y) * space.sum(g, axis=axis, keepdims=True)


def with_classes_last(space: Any, rows: Any, z: Any, index: Any) -> tuple[Any, Any]:
    """The cross-entropy of scores (N, C, ...), and its slope; `rows` has those of rows."""
    last = z.ndim - 1
    turned = space.transpose(z, axes=(0, *range(2, z.ndim), 1))
    flat = space.reshape(turned, shape=(index.size, z.shape[1]))
    loss, slope = rows(flat, index.reshape(-1))
    slope = space.reshape(slope, shape=turned.shape)
    home = space.transpose(slope, axes=(0, last, *range(1, last)))
    return space.reshape(loss, shape=index.shape), home


# The kernels --------------------------------------------------------------------------------------

# llvm.maximum hands a NaN on, and infinity - infinity is another: so they reach the whole row.
_TOP = """\
        top = a[0]
        for j in range(a.shape[0]):
            top = maximum(top, a[j])
        total = 0.0
"""

_SUM = """\
        for start in range(0, a.shape[0], 1024):
            {names} = {parts}
            partial = {{dtype}}(0)
            for j in range({first}.shape[0]):
{lines}            total += partial
"""


def _sum(names: str, *lines: str) -> str:
    """The lines that add up something of the arrays `names` to `total`, block by block."""
    return _SUM.format(
        names=", ".join(f"{name}_" for name in names),
        parts=", ".join(f"{name}[start : start + 1024]" for name in names),
        first=f"{names[0]}_",
        lines="".join(f"                {line}\n" for line in lines),
    )


_SOFTMAX = (
    """\
    for r in range(x.shape[0]):
        a, b = x[r], y[r]
"""
    + _TOP
    + _sum("ab", "e = exp(a_[j] - top)", "b_[j] = e", "partial = add(partial, e)")
    + """\
        whole = {dtype}(total)
        for j in range(b.shape[0]):
            b[j] /= whole
"""
)

_BODIES = {
    "softmax": _SOFTMAX,
    "log_softmax": """\
    for r in range(x.shape[0]):
        a, b = x[r], y[r]
"""
    + _TOP
    + _sum("a", "partial = add(partial, exp(a_[j] - top))")
    + """\
        less = {dtype}(log(total))
        for j in range(b.shape[0]):
            b[j] = (a[j] - top) - less
""",
    "softmax_back": """\
    for r in range(y.shape[0]):
        a, b, d = x[r], g[r], y[r]
        total = 0.0
"""
    + _sum("ab", "partial = add(partial, a_[j] * b_[j])")
    + """\
        mean = {dtype}(total)
        for j in range(d.shape[0]):
            d[j] = a[j] * (b[j] - mean)
""",
    "log_softmax_back": """\
    for r in range(y.shape[0]):
        a, b, d = x[r], g[r], y[r]
        total = 0.0
"""
    + _sum("ab", "partial = add(partial, b_[j])")
    + """\
        whole = {dtype}(total)
        for j in range(d.shape[0]):
            d[j] = b[j] - exp(a[j]) * whole
""",
    "cross_entropy": _SOFTMAX
    + """\
        target = index[r]
        loss[r] = {dtype}(log(total)) - (a[target] - top)
        b[target] -= {dtype}(1)
""",
}

_CHECK = """\
    for r in range(index.shape[0]):
        if index[r] < 0 or index[r] >= x.shape[1]:
            return r
"""

_ROWS = "{dtype}[:, ::1]"
_ARRAYS = {"x": _ROWS, "y": _ROWS}
_BACK = {"x": _ROWS, "g": _ROWS, "y": _ROWS}
_LOSS = {"x": _ROWS, "index": "int64[::1]", "loss": "{dtype}[::1]", "y": _ROWS}


_kernels: dict[tuple[str, str, str, bool], Any] = {}


def _kernel(name: str, x: Any) -> Any:
    """The kernel for rows of the type, length and number of those of x."""
    key = name, x.dtype.char, _form(name, x.shape[-1]), x.size > PART
    return _kernels.get(key) or _kernels.setdefault(
        key, _loop(name, key[2]).load(x.dtype.name, key[3])
    )


def _form(name: str, n: int) -> str:
    """How rows of n numbers are done: "short" ones side by side, "odd" ones to a masked end."""
    if name == "softmax_back":  # has no exponential
        return ""
    return "short" if n < SHORT else "odd" if n < ODD and n % 64 else ""


def _loop(name: str, form: str = "") -> Loop:
    loss = name == "cross_entropy"
    arrays = _LOSS if loss else _BACK if name.endswith("back") else _ARRAYS
    body, functions = _BODIES[name], _IMPORTS
    if form == "short":
        places = ", ".join(f"{array}.ctypes.data" for array in arrays)
        body = f"    some_rows(x.shape[0], x.shape[1], {places})\n"
        functions = _SIDE_BY_SIDE.format(name=name, count=2 + len(arrays))
    elif form == "odd":
        body, functions = f"    mask_ends()\n{body}", f"{functions}{_MASKS}"
    return Loop(
        name=f"{form}_{name}" if form else name,
        origin="tinygrad_opt.kernels.fused.softmax",
        arrays=arrays,
        scalars={},
        body=body,
        part=f"max(1, {PART} // x.shape[1])",
        imports="from numpy import {dtype}\n",
        functions=functions,
        before=_CHECK if loss else "",
        after="    return -1\n" if loss else "",
        result="int64" if loss else "void",
    )


_IMPORTS = """
from tinygrad_opt.kernels.functions import exp, log
from tinygrad_opt.kernels.functions.primitives import add, maximum
"""

_MASKS = "from tinygrad_opt.kernels.compiler.lanes import mask_ends\n"

_SIDE_BY_SIDE = """
from tinygrad_opt.kernels.fused import softmax_lanes
from tinygrad_opt.kernels.micro import registers, written

some_rows = written(softmax_lanes.__name__, "{name}_rows", "{{dtype}}", *registers(), {count})
"""


def fits(x: Any, *others: Any) -> bool:
    """Whether the kernels take these: rows of floats of one type and shape, with something in them.

    Contiguous and writable, as the signatures of the kernels want them.
    """
    kind = x.dtype
    if kind.char not in "fd" or not (kind.isnative and x.size and x.flags.carray):
        return False
    for y in others:
        if y.dtype is not kind or y.shape != x.shape or not y.flags.carray:
            return False
    return True


def fits_loss(z: Any, index: Any) -> bool:
    """Whether there is a kernel for these: scores (N, C, ...), and an int64 class for each row."""
    kind = index.dtype
    return (
        fits(z)
        and kind.char in "lq"
        and kind.isnative
        and z.ndim > 1
        and index.shape == z.shape[:1] + z.shape[2:]
        and index.flags.carray
    )


def along(name: str, *arrays: Any) -> Any:
    """`softmax`, `log_softmax`, or its "_back", of the last axis, of what `fits`."""
    x = arrays[0]
    y = np.empty(x.shape, x.dtype)
    rows = arrays if x.ndim == 2 else [a.reshape(-1, x.shape[-1]) for a in arrays]
    result = y if x.ndim == 2 else y.reshape(-1, x.shape[-1])
    _kernel(name, x)(*rows, result)
    return y


def across(name: str, axis: int, *arrays: Any) -> Any:
    """One of these along any axis, of what `fits`."""
    x = arrays[0]
    if not _lie_across(x, axis):
        turned = [copies.in_order(np.moveaxis(a, axis, -1)) for a in arrays]
        return copies.in_order(np.moveaxis(along(name, *turned), -1, axis))
    return _run_across(name, axis, arrays, (x.shape, x.dtype))[0]


def _lie_across(x: Any, axis: int) -> bool:
    """Whether the rows along the axis are done side by side where they lie."""
    inner = math.prod(x.shape[axis:][1:])
    return inner >= micro.kind_of(x.dtype.char).lanes and x.shape[axis] <= LONG


def _run_across(name: str, axis: int, reads: Any, *results: Any) -> list[Any]:
    """What the loops of that name make of those they read; see `micro.run`."""
    x = reads[0]
    n, inner = x.shape[axis], math.prod(x.shape[axis:][1:])
    lanes = micro.kind_of(x.dtype.char).lanes
    plan = softmax_lanes.plan(n, inner, lanes)
    count, grain = x.size // (n * inner) * plan[2], max(1, PART // (n * plan[3] * lanes))
    write = getattr(softmax_lanes, f"{name}_across")
    return micro.run(write, x.dtype.char, count, grain, np.array(plan, np.int64), reads, *results)


def cross_entropy(z: Any, index: Any) -> tuple[Any, Any, int]:
    """Return (-log_softmax(z)[i, index[i]], softmax(z) - onehot(index), -1), row by row.

    Args:
        z: (rows, classes) scores, or (n, classes, ...).
        index: (rows,) the class of each row, or (n, ...); both as `fits_loss` wants them.

    The last value is the first row whose index lies outside [0, classes), or -1; if it is not -1
    the arrays are unfinished.
    """
    loss, kind = np.empty(index.shape, z.dtype), z.dtype
    if z.ndim == 2:
        slope = np.empty(z.shape, kind)
        return loss, slope, _kernel("cross_entropy", z)(z, index, loss, slope)
    if not _lie_across(z, 1):
        turned = copies.in_order(np.moveaxis(z, 1, -1))
        rows, slope = turned.reshape(-1, z.shape[1]), np.empty(turned.shape, kind)
        given = rows, index.reshape(-1), loss.reshape(-1), slope.reshape(rows.shape)
        bad = _kernel("cross_entropy", rows)(*given)
        return loss, copies.in_order(np.moveaxis(slope, -1, 1)), bad
    if not places.are_within(index, 0, z.shape[1]):
        return loss, loss, int(np.argmax((index < 0) | (index >= z.shape[1])))
    return *_run_across("cross_entropy", 1, (z, index), (loss.shape, kind), (z.shape, kind)), -1
