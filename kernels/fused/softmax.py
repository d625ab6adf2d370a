"""Softmax, its logarithm and the cross-entropy of rows: each in one pass over a row in the cache.

Where NumPy makes a temporary for each step, a kernel stays within the row. Rows are independent, so
threads take some each, and no result depends on their number. Sums are of float32 within blocks of
1,024 elements, and of float64 over the blocks.

The same in array code: `Namespace.softmax`, `log_softmax` and `cross_entropy_rows` in
`arrays/namespace.py`; `softmax_back` and `log_softmax_back` here, for any namespace.
`tests/test_twins.py` holds each pair equal. `arrays/fused.py` chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .loops import Loop

__all__ = [
    "cross_entropy", "fits", "fused_log_softmax_back", "fused_softmax_back", "log_softmax",
    "log_softmax_back", "softmax", "softmax_back",
]  # fmt: skip

PART = 16_384  # elements that a thread takes at a time: about 30 us

# The formulas -------------------------------------------------------------------------------------


def softmax_back(space: Any, y: Any, g: Any, axis: int) -> Any:
    """The gradient of x from y = softmax(x) and the gradient g of y: y (g - sum(g y))."""
    return y * (g - space.sum(g * y, axis=axis, keepdims=True))


def log_softmax_back(space: Any, y: Any, g: Any, axis: int) -> Any:
    """The gradient of x from y = log_softmax(x) and the gradient g of y: g - e^y sum(g)."""
    return g - space.exp(y) * space.sum(g, axis=axis, keepdims=True)


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


_kernels: dict[tuple[str, str, bool], Any] = {}


def _kernel(name: str, x: Any) -> Any:
    """The kernel for rows of the type and number of those of x."""
    key = name, x.dtype.char, x.size > PART
    return _kernels.get(key) or _kernels.setdefault(key, _loop(name).load(x.dtype.name, key[2]))


def _loop(name: str) -> Loop:
    loss = name == "cross_entropy"
    return Loop(
        name=name,
        origin="tinygrad_opt.kernels.fused.softmax",
        arrays=_LOSS if loss else _BACK if name.endswith("back") else _ARRAYS,
        scalars={},
        body=_BODIES[name],
        part=f"max(1, {PART} // x.shape[1])",
        imports="from numpy import {dtype}\n",
        functions=_IMPORTS,
        before=_CHECK if loss else "",
        after="    return -1\n" if loss else "",
        result="int64" if loss else "void",
    )


_IMPORTS = """
from tinygrad_opt.kernels.functions import exp, log
from tinygrad_opt.kernels.functions.primitives import add, maximum
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
    """Whether `cross_entropy` takes these: rows of scores, and an int64 class for each."""
    kind = index.dtype
    return (
        fits(z)
        and kind.char in "lq"
        and kind.isnative
        and z.ndim == 2
        and index.shape == z.shape[:1]
        and index.flags.carray
    )


def _run(name: str, *arrays: Any) -> Any:
    x = arrays[0]
    y = np.empty(x.shape, x.dtype)
    rows = arrays if x.ndim == 2 else [a.reshape(-1, x.shape[-1]) for a in arrays]
    result = y if x.ndim == 2 else y.reshape(-1, x.shape[-1])
    _kernel(name, x)(*rows, result)
    return y


def softmax(x: Any) -> Any:
    """softmax of the last axis, of what `fits`."""
    return _run("softmax", x)


def log_softmax(x: Any) -> Any:
    """log_softmax of the last axis, of what `fits`."""
    return _run("log_softmax", x)


def fused_softmax_back(y: Any, g: Any) -> Any:
    """`softmax_back` along the last axis, of what `fits`."""
    return _run("softmax_back", y, g)


def fused_log_softmax_back(y: Any, g: Any) -> Any:
    """`log_softmax_back` along the last axis, of what `fits`."""
    return _run("log_softmax_back", y, g)


def cross_entropy(z: Any, index: Any) -> tuple[Any, Any, int]:
    """Return (-log_softmax(z)[i, index[i]], softmax(z) - onehot(index), -1), row by row.

    Args:
        z: (rows, classes) scores.
        index: (rows,) the class of each row; both as `fits_loss` wants them.

    The last value is the first row whose index lies outside [0, classes), or -1; if it is not -1
    the arrays are unfinished.
    """
    loss, slope = np.empty(len(z), z.dtype), np.empty(z.shape, z.dtype)
    return loss, slope, _kernel("cross_entropy", z)(z, index, loss, slope)
