"""Reductions and softmax; products and running sums are in `cumulative`.

Ties in amax and amin share the gradient equally.
"""

from __future__ import annotations

import math
from typing import Any

from ..autograd.errors import axis_index
from ..autograd.graph import op
from ..backend import xp


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """`axis` as a tuple of non-negative axes; None means all."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(axis_index(a, ndim) for a in axes) if ndim else ()


def _kept(y: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """`y`, the result of a reduction over `axis` of an array of `shape`, with axes of length 1."""
    axes = _axes(axis, len(shape))
    return y.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))


def _size(shape: tuple[int, ...], axis: Any) -> int:
    return math.prod(shape[a] for a in _axes(axis, len(shape)))


@op
def sum(x, *, axis=None, keepdims=False):
    def spread(g):
        return xp(g).broadcast_to(_kept(g, x.shape, axis), shape=x.shape)

    return xp(x).sum(x, axis=axis, keepdims=keepdims), spread


@op
def mean(x, *, axis=None, keepdims=False):
    n = _size(x.shape, axis)
    y = xp(x).sum(x, axis=axis, keepdims=keepdims)

    def spread(g):
        return xp(g).broadcast_to(_kept(g / n, x.shape, axis), shape=x.shape)

    return (y / n if n else y * math.nan), spread


@op
def norm2(x, *, axis=None, keepdims=False):
    y = xp(x).sqrt(xp(x).sum(x * x, axis=axis, keepdims=keepdims))

    def back(g):  # x / |x|; 0 at 0, where the norm has a kink
        return x * _kept(g / xp(y).where(y == 0, 1, y), x.shape, axis)

    return y, back


def _extremum(name: str) -> Any:
    def pair(x, *, axis=None, keepdims=False):
        y = getattr(xp(x), name)(x, axis=axis, keepdims=keepdims)

        def spread(g):  # ties share equally
            at = x == _kept(y, x.shape, axis)
            ties = xp(g).cast(xp(g).sum(at * 1, axis=axis, keepdims=True), dtype=g.dtype)
            return at * (_kept(g, x.shape, axis) / ties)

        return y, spread

    pair.__name__ = name
    return op(pair)


amax = _extremum("amax")
amin = _extremum("amin")


@op
def softmax(x, *, axis):
    y = xp(x).softmax(x, axis=axis)
    return y, lambda g: y * (g - xp(g).sum(g * y, axis=axis, keepdims=True))


@op
def log_softmax(x, *, axis):
    y = xp(x).log_softmax(x, axis=axis)
    return y, lambda g: g - xp(y).exp(y) * xp(g).sum(g, axis=axis, keepdims=True)


@op
def logsumexp(x, *, axis, keepdims=False):
    top = xp(x).amax(x, axis=axis, keepdims=True)
    finite = xp(x).where((top == math.inf) | (top == -math.inf), 0, top)
    total = xp(x).log(xp(x).sum(xp(x).exp(x - finite), axis=axis, keepdims=True)) + finite
    y = total if keepdims else xp(x).sum(total, axis=axis)  # drops axes of length 1
    return y, lambda g: _kept(g, x.shape, axis) * xp(x).exp(x - total)
