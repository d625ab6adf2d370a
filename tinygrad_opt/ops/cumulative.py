"""Running sums, products and maxima along an axis, and the product of everything.

The pullbacks of products never divide by the input, so zeros in it do no harm.
"""

from __future__ import annotations

from typing import Any

from ..autograd.errors import axis_index
from ..autograd.graph import op
from ..backend import xp
from .index import getitem


@op
def cumsum(x, *, axis):
    def back(g):
        return xp(g).flip(xp(g).cumsum(xp(g).flip(g, axis=axis), axis=axis), axis=axis)

    return xp(x).cumsum(x, axis=axis), back


@op
def cumprod(x, *, axis):
    # y_k is the product of x_0 ... x_k, so with G_i = g_i + x_{i+1} G_{i+1} the gradient of x_i
    # is (x_0 ... x_{i-1}) G_i.
    def back(g):
        return _before(x, axis) * _carried_back(g, lambda i: _at(x, i + 1, axis), axis)

    return xp(x).cumprod(x, axis=axis), back


@op
def logcumsumexp(x, *, axis):
    # dy_k / dx_i = exp(x_i - y_k); the factors exp(y_i - y_{i+1}) are at most 1.
    y = xp(x).logcumsumexp(x, axis=axis)

    def back(g):
        def factor(i):
            return xp(y).exp(_at(y, i, axis) - _at(y, i + 1, axis))

        return xp(x).exp(x - y) * _carried_back(g, factor, axis)

    return y, back


@op
def prod(x, *, axis=None, keepdims=False):
    # the gradient of x_i is the product of all before it and all after it
    def back(g):
        flat, along = (x.reshape((-1,)), 0) if axis is None else (x, axis)
        after = xp(x).flip(_before(xp(x).flip(flat, axis=along), along), axis=along)
        rest = (_before(flat, along) * after).reshape(x.shape)
        if axis is None:
            return g.reshape((1,) * len(x.shape)) * rest
        return (g if keepdims else xp(g).expand_dims(g, axis)) * rest

    return xp(x).prod(x, axis=axis, keepdims=keepdims), back


def _at(x: Any, i: Any, axis: int) -> Any:
    """x[i] along `axis`; the axis stays."""
    index = (slice(None),) * axis_index(axis, len(x.shape)) + (slice(i, i + 1),)
    return getitem(x, index=index)


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
