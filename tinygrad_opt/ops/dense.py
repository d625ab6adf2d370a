"""A linear layer with what stands around it, as one operation: for devices on which calls are dear.

Where `xp(x).fuses` says so, layers take `dense` in place of `ops.linear` and its neighbours, which
are its formula. `by_rows` is what `ops.linear` does with inputs of other than two axes.
"""

from __future__ import annotations

import math
from typing import Any

from ..arrays.xp import xp
from ..core.outlines import saves_nothing
from ..core.record import op
from .product_errors import check_linear
from .shared_work import shared

__all__ = ["dense"]


def layer_op(pair: Any) -> Any:
    """`@op` for layers: where a gradient goes to what is added alone, that takes no values."""
    return saves_nothing(op(pair), when=_of_what_is_added)


def _of_what_is_added(node: Any) -> bool:
    return node.targets[0] is node.targets[1] is None and not node.params.get("relu")


@layer_op
def dense(x, weight, bias, residual, *, relu=False):
    """x W^T + bias over the last axis, plus the residual or max(., 0) of it.

    x (..., in), weight (out, in), bias (out,) or None; residual (..., out) or None, not with
    `relu`. Raises RuntimeError for another number of features, or another dtype than the weight's.
    """
    check_linear(x, weight, bias)
    shape = (*x.shape[:-1], weight.shape[0])
    flat = (math.prod(x.shape[:-1]), weight.shape[0])
    rows = x.reshape((flat[0], x.shape[-1]))
    more = None if residual is None else residual.reshape(flat)
    y = xp(x).epilogue(xp(x).dot(rows, xp(weight).swapaxes(weight, 0, 1)), bias, more, relu)

    def before(g):
        g = g.reshape(flat)
        return xp(g).relu_back(g, y) if relu else g

    to_x, to_weight, to_bias = shared(
        before,
        lambda g: xp(g).dot(g, weight).reshape(x.shape),
        lambda g: xp(g).dot(xp(g).swapaxes(g, 0, 1), rows),
        lambda g: xp(g).sum_rows(g),
    )
    return y.reshape(shape), to_x, to_weight, to_bias, lambda g: g


def by_rows(x: Any, weight: Any, bias: Any) -> tuple[Any, ...]:
    """x W^T + bias and the pullbacks: x (..., in) is a matrix of so many rows."""
    check_linear(x, weight)
    shape = x.shape  # (..., in)
    matrix = math.prod(shape[:-1]), shape[-1]
    y = xp(x).linear(x.reshape(matrix), weight, bias)
    flat = y.shape
    return (
        y.reshape((*shape[:-1], flat[1])),
        lambda g: xp(g).dot(g.reshape(flat), weight).reshape(shape),
        lambda g: xp(g).dot_later(g.reshape(flat).T, x.reshape(matrix)),
        lambda g: xp(g).sum_rows(g.reshape(flat)) if len(bias.shape) == 1 else g.reshape(flat),
    )
