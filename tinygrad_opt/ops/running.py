"""Running sums, products and logarithms of sums along an axis, and the product of everything."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.dtypes import float64
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.outlines import saves_nothing
from ..core.record import op
from ..core.tensor import wrap_plain
from .index import getitem

__all__ = ["cumprod", "cumsum", "logcumsumexp", "prod"]


@saves_nothing
@op
def cumsum(x, *, axis):
    def back(g):
        return xp(g).flip(xp(g).cumsum(xp(g).flip(g, axis=axis), axis=axis), axis=axis)

    return xp(x).cumsum(x, axis=axis), back


@op
def cumprod(x, *, axis):
    # y_k is the product of x_0 ... x_k, so with G_i = g_i + x_{i+1} G_{i+1} the gradient of x_i
    # is (x_0 ... x_{i-1}) G_i; without zeros, the sum of g_k y_k from i on, over x_i.
    y = xp(x).cumprod(x, axis=axis)

    def back(g):
        if _may_be_divided(x, y):
            terms = xp(g).flip(g * y, axis=axis)
            return xp(g).flip(xp(g).cumsum(terms, axis=axis), axis=axis) / x
        return _before(x, axis) * _carried_back(g, lambda i: _at(x, i + 1, axis), axis)

    return y, back


@op
def logcumsumexp(x, *, axis):
    # With y_k = top_k + log s_k, top the running maximum: dy_k / dx_i = exp(x_i - top_k) / s_k.
    # y itself is rounded, and would not do. The factors of what is carried back are at most 1.
    def back(g):
        top = _running_top(x, axis)
        sums = _scaled_sums(x, top, axis)

        def factor(i):
            shrunk = xp(x).exp(_gap(_at(top, i, axis), _at(top, i + 1, axis)))
            return shrunk * _at(sums, i, axis) / _at(sums, i + 1, axis)

        return xp(x).exp(_gap(x, top)) / sums * _carried_back(g, factor, axis)

    return xp(x).logcumsumexp(x, axis=axis), back


def _running_top(x: Any, axis: int) -> Any:
    """The running maximum along `axis`: a constant, as the derivative does not depend on it."""
    raw = getattr(x, "array", x)
    top = xp(raw).accumulate(raw, "maximum", axis_index(axis, len(x.shape)))
    return top if raw is x else wrap_plain(top)


def _gap(x: Any, top: Any) -> Any:
    """x - top, and 0 for equal infinities."""
    gap = x - top
    return xp(x).where((x == top) & (gap != gap), 0, gap)


def _scaled_sums(x: Any, top: Any, axis: int) -> Any:
    """s with s_k = exp(top_{k-1} - top_k) s_{k-1} + exp(x_k - top_k), in float64."""
    x, top = xp(x).cast(x, dtype=float64), xp(top).cast(top, dtype=float64)
    own = xp(x).exp(_gap(x, top))
    parts = [_at(own, 0, axis)]
    for k in range(1, x.shape[axis]):
        shrunk = xp(x).exp(_gap(_at(top, k - 1, axis), _at(top, k, axis)))
        parts.append(parts[-1] * shrunk + _at(own, k, axis))
    return xp(x).concatenate(parts, axis=axis)


@op
def prod(x, *, axis=None, keepdims=False):
    # the gradient of x_i is the product of all before it and all after it; without zeros y / x_i
    y = xp(x).prod(x, axis=axis, keepdims=keepdims)

    def back(g):
        if _may_be_divided(x, y):
            each = g * y
            return (each if keepdims or axis is None else xp(g).expand_dims(each, axis)) / x
        flat, along = (x.reshape((-1,)), 0) if axis is None else (x, axis)
        after = xp(x).flip(_before(xp(x).flip(flat, axis=along), along), axis=along)
        rest = (_before(flat, along) * after).reshape(x.shape)
        if axis is None:
            return g.reshape((1,) * len(x.shape)) * rest
        return (g if keepdims else xp(g).expand_dims(g, axis)) * rest

    return y, back


def _may_be_divided(x: Any, y: Any) -> bool:
    """Whether products y of x have all digits: none is 0, or near to that. NaN may be divided."""
    x, y = (getattr(z, "array", z) for z in (x, y))
    if not isinstance(y, np.ndarray | np.floating) or y.dtype.kind != "f":
        return False
    return bool(x.all()) and not (np.abs(y) <= np.finfo(y.dtype).tiny * 1e8).any()


def _at(x: Any, i: Any, axis: int) -> Any:
    """x[i] along `axis`; the axis stays."""
    index = (slice(None),) * axis_index(axis, len(x.shape)) + (slice(i, i + 1),)
    return getitem(x, index=index) if isinstance(x, Variable) else x[index]


def _before(x: Any, axis: int) -> Any:
    """At each place the product of all that comes before it; 1 at the first."""
    if not len(x.shape) or not x.shape[axis]:
        return xp(x).ones_like(x)
    index = (slice(None),) * axis_index(axis, len(x.shape))
    start = xp(x).ones_like(getitem(x, index=(*index, slice(0, 1))))
    products = xp(x).cumprod(getitem(x, index=(*index, slice(0, -1))), axis=axis)
    return xp(x).concatenate([start, products], axis=axis)


def _carried_back(g: Any, factor: Any, axis: int) -> Any:
    """G with G_i = g_i + factor(i) * G_{i+1}, from the last element to the first."""
    if not len(g.shape) or not g.shape[axis]:
        return g
    parts = [_at(g, g.shape[axis] - 1, axis)]
    for i in range(g.shape[axis] - 2, -1, -1):
        parts.append(_at(g, i, axis) + factor(i) * parts[-1])
    return xp(g).concatenate(parts[::-1], axis=axis)
