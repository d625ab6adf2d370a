"""Matrix products. Seventh of the reading path; next: `tensors/methods.py`."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.xp import xp
from ..core.half import HALF, in_float32
from ..core.record import op
from .arithmetic import add
from .dense import by_rows, dense, layer_op
from .product_errors import check_inner, check_linear, check_operands
from .shape import broadcast_to

__all__ = ["dot", "dot_later", "linear", "matmul"]


def _t(x: Any) -> Any:
    return xp(x).swapaxes(x, -1, -2)


@op
def _matmul(x, y):  # two vectors; or both at least 2-D, whose leading axes broadcast
    z = xp(x).matmul(x, y)
    if len(x.shape) == 1:
        return z, lambda g: g * y, lambda g: g * x
    return z, lambda g: xp(g).matmul(g, _t(y)), lambda g: xp(g).matmul(_t(x), g)


def matmul(x: Any, y: Any) -> Any:
    """The matrix product, with vectors as rows (left) or columns (right), as in NumPy."""
    check_operands(x, y)
    a, b = getattr(x, "array", x), getattr(y, "array", y)
    left, right = a.ndim == 1, b.ndim == 1
    if left and right and a.shape == b.shape and a.dtype is b.dtype:
        return in_float32(_matmul, (x, y), {}) if a.dtype == HALF else _matmul(x, y)
    if left:
        x = x[None]
    if right:
        y = y[:, None]
    a, b = check_inner(x, y)
    rows, shape = x, (*a.shape[:-1], b.shape[-1])
    if a.ndim > 2 == b.ndim:  # one product of all rows, and one for each gradient
        rows = x.reshape((math.prod(a.shape[:-1]), a.shape[-1]))
    z = in_float32(_matmul, (rows, y), {}) if a.dtype == HALF else _matmul(rows, y)
    z = z if rows is x else z.reshape(shape)
    if left:
        z = z[..., 0, :]
    return z[..., 0] if right else z


dot = dot_later = matmul


@layer_op
def _linear(x, weight, bias):
    # y = x W^T + b;  dx = g W,  dW = g^T x,  db = sum of g.  x: (..., in), weight: (out, in)
    if x.ndim != 2:
        return by_rows(x, weight, bias)
    if x.shape[1] != weight.shape[-1] or x.dtype is not weight.dtype:
        check_linear(x, weight)
    space = xp(x)
    return (
        space.linear(x, weight, bias),
        lambda g: space.dot(g, weight),
        lambda g: space.dot_later(g.T, x),
        lambda g: space.sum_rows(g) if bias.ndim == 1 else g,
    )


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x W^T + b over the last axis: (..., in) -> (..., out); weight (out, in).

    bias: (out,), what broadcasts to the result, or None. Raises RuntimeError for another number of
    features, or another dtype than the weight's.
    """
    if bias is not None and bias.array.dtype is not weight.array.dtype:
        check_linear(x, weight, bias)
    if x.array.ndim == 2:
        return _linear(x, weight, bias)
    if bias is not None and bias.ndim > 1 and x.ndim > 2:  # its rows are not those of all x
        return add(linear(x, weight), broadcast_to(bias, shape=(*x.shape[:-1], weight.shape[0])))
    if xp(x.array).fuses:
        return dense(x, weight, bias, None)
    return _linear(x, weight, bias)
