"""Reductions and softmax; products, running sums and running products.

Ties in amax and amin share the gradient equally. What follows softmax and log_softmax backwards
stands in `kernels/fused/softmax.py`, as a formula and as kernels.
"""

from __future__ import annotations

import math
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

__all__ = [
    "amax", "amin", "cumprod", "cumsum", "deviation", "log_softmax", "logcumsumexp", "logsumexp",
    "mean", "norm2", "norm_p", "prod", "softmax", "sum", "sum_rows", "tied", "variance",
]  # fmt: skip


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


@saves_nothing
@op
def sum(x, *, axis=None, keepdims=False):
    def spread(g):
        return xp(g).broadcast_to(_kept(g, x.shape, axis), shape=x.shape)

    return xp(x).sum(x, axis=axis, keepdims=keepdims), spread


@saves_nothing
@op
def mean(x, *, axis=None, keepdims=False):
    n = _size(x.shape, axis)
    y = xp(x).sum(x, axis=axis, keepdims=keepdims)

    def spread(g):
        return xp(g).broadcast_to(_kept(g / n, x.shape, axis), shape=x.shape)

    return (y / n if n else y * math.nan), spread


@op
def variance(x, *, axis=None, keepdims=False, correction=1):
    """sum((x - mean)^2) / (n - correction)."""
    rate = _per_freedom(x.shape, axis, correction)
    centred = _centred(x, axis)
    y = xp(x).sum(centred * centred, axis=axis, keepdims=keepdims) * rate
    return y, lambda g: centred * _kept(g * (2 * rate), x.shape, axis)


@op
def deviation(x, *, axis=None, keepdims=False, correction=1):
    """The square root of `variance`, with the slope 0 where that is 0, as PyTorch."""
    rate = _per_freedom(x.shape, axis, correction)
    centred = _centred(x, axis)
    root = norm2 if isinstance(centred, Variable) else _root_of_squares
    y = root(centred, axis=axis, keepdims=keepdims) * math.sqrt(rate)

    def back(g):
        g = xp(g).where(y == 0, 0, g * rate)
        return (centred / _kept(_nonzero(y), x.shape, axis)) * _kept(g, x.shape, axis)

    return y, back


def _per_freedom(shape: tuple[int, ...], axis: Any, correction: float) -> float:
    freedom = _size(shape, axis) - correction
    return 1 / freedom if freedom > 0 else math.inf


def _centred(x: Any, axis: Any) -> Any:
    """x - mean(x), exactly 0 where all are equal: the first takes off what they have in common."""
    if isinstance(x, Variable) or not x.size:
        return x - mean(x, axis=axis, keepdims=True)
    axes = _axes(axis, len(x.shape))
    x = x - x[tuple([_FIRST if i in axes else _ALL for i in range(len(x.shape))])]
    x -= xp(x).sum(x, axis=axis, keepdims=True) / _size(x.shape, axis)
    return x


_FIRST, _ALL = slice(1), slice(None)


def _nonzero(y: Any) -> Any:
    return xp(y).where(y == 0, 1, y)


@op
def norm2(x, *, axis=None, keepdims=False):
    if isinstance(x, Variable):  # run again, for a derivative of the derivative
        y = norm2(x, axis=axis, keepdims=keepdims)
    else:
        y = _root_of_squares(x, axis, keepdims)

    def back(g):  # x / |x|; 0 at 0, where the norm has a kink
        return (x / _kept(_nonzero(y), x.shape, axis)) * _kept(g, x.shape, axis)

    return y, back


def _root_of_squares(x: Any, axis: Any, keepdims: bool) -> Any:
    """sqrt(sum(x^2)) of a raw array; scaled where squares leave the range of the type."""
    y = xp(x).sqrt(xp(x).sum_of_squares(x, axis=axis, keepdims=keepdims))
    if not x.size:
        return y
    if type(x) is np.ndarray:  # on a GPU that would be waited for
        odd = ~((y > 1e-15) & (y < 1e18))
        if not odd.any():
            return y
        if axis in (-1, x.ndim - 1) and x.ndim > 1:  # of rows, the few that are odd alone
            y[odd] = _scaled_root(x[odd[..., 0] if keepdims else odd], -1, False)
            return y
    return _scaled_root(x, axis, keepdims)


def _scaled_root(x: Any, axis: Any, keepdims: bool) -> Any:
    scale = _scale(xp(x).abs(x), axis, "amax")
    z = x / scale
    y = xp(x).sqrt(xp(x).sum(z * z, axis=axis, keepdims=True)) * scale
    return y if keepdims else xp(x).sum(y, axis=axis)  # drops axes of length 1


def _scale(a: Any, axis: Any, extremum: str) -> Any:
    """The largest (or least) of the raw array `a` over `axis`; 1 where that is 0, inf or NaN."""
    top = getattr(xp(a), extremum)(a, axis=axis, keepdims=True)
    return xp(a).where((top > 0) & (top < math.inf), top, 1)


@op
def norm_p(x, *, p, axis=None, keepdims=False):
    """(sum |x|^p)^(1/p) for a finite p other than 0, with the slope 0 where x is 0, as PyTorch."""
    size = xp(x).abs(x)
    if isinstance(x, Variable):
        y = norm_p(x, p=p, axis=axis, keepdims=keepdims)
    else:
        y = _root_of_powers(size, p, axis, keepdims)

    def back(g):  # sign(x) (|x| / y)^(p - 1); a power of at most 1 for every p
        whole = _kept(y, x.shape, axis)
        up, down = (size, whole) if p >= 1 else (whole, size)
        ratio = xp(x).where((x == 0) & (whole == whole), 1, up / _nonzero(down))
        return xp(x).sign(x) * ratio ** abs(p - 1) * _kept(g, x.shape, axis)

    return y, back


def _root_of_powers(a: Any, p: float, axis: Any, keepdims: bool) -> Any:
    """(sum a^p)^(1/p) of a raw array, scaled so that no power leaves the range of the type."""
    if not _size(a.shape, axis):
        return xp(a).sum(a, axis=axis, keepdims=keepdims)
    scale = _scale(a, axis, "amax" if p > 0 else "amin")
    y = scale * xp(a).sum((a / scale) ** p, axis=axis, keepdims=True) ** (1 / p)
    return y if keepdims else xp(a).sum(y, axis=axis)  # drops axes of length 1


def _extremum(name: str) -> Any:
    def pair(x, *, axis=None, keepdims=False, nans=False):
        y = getattr(xp(x), name)(x, axis=axis, keepdims=keepdims)

        def spread(g):  # ties share equally; with `nans` so do all NaNs, if it is NaN
            best = _kept(y, x.shape, axis)
            at = (x == best) | ((x != x) & (best != best)) if nans else x == best
            at = xp(g).cast(at, dtype=g.dtype)
            ties = xp(g).sum(at, axis=axis, keepdims=True)
            share = _kept(g, x.shape, axis) / ties
            return xp(g).where(at == 0, 0, share) if nans else at * share

        return y, spread

    pair.__name__ = name
    return op(pair)


amax = _extremum("amax")
amin = _extremum("amin")


@op
def tied(x, *, value):
    """`value`, an element of x: all that equal it share its gradient; NaN is one of the NaNs."""

    def spread(g):
        at = (x == value) | ((x != x) & (value != value))
        return xp(g).where(at, g / xp(g).cast(xp(g).sum(at * 1), dtype=g.dtype), 0)

    return value, spread


@op
def softmax(x, *, axis):
    y = xp(x).softmax(x, axis=axis)
    return y, lambda g: xp(g).softmax_back(y, g, axis)


@op
def log_softmax(x, *, axis):
    y = xp(x).log_softmax(x, axis=axis)
    return y, lambda g: xp(g).log_softmax_back(y, g, axis)


@op
def logsumexp(x, *, axis, keepdims=False):
    y = xp(x).log_of_sums(x, axis, keepdims) if type(x) is np.ndarray else None
    if y is not None:  # by a kernel, which keeps no powers
        return y, lambda g: _kept(g, x.shape, axis) * _shares(*_powers(x, axis)[:2])
    powers, sums, top = _powers(x, axis)
    total = xp(x).log(sums) + top
    y = total if keepdims else xp(x).sum(total, axis=axis)  # drops axes of length 1

    def back(g):
        return _kept(g, x.shape, axis) * _shares(powers, sums)

    def back_again(g):  # the slope's own slope goes through y and its hooks
        return _kept(g, x.shape, axis) * _exp_of_gap(x, _kept(y, x.shape, axis), axis=axis)

    return y, back_again if isinstance(x, Variable) else back


def _shares(powers: Any, sums: Any) -> Any:
    """The slope of logsumexp, not exp(x - y): y is rounded. 0 where every x is -inf."""
    return powers / _nonzero(sums)


@op
def _exp_of_gap(x, y, *, axis):
    """exp(x - y) of y = logsumexp(x), the axes kept, to the last digit."""
    z = _shares(*_powers(x, axis)[:2])
    return z, lambda g: g * z, lambda g: -g * z


def _powers(x: Any, axis: Any) -> tuple[Any, Any, Any]:
    """exp(x - top), its sums, and top: the largest x, or 0 where that is infinite."""
    top = xp(x).amax(x, axis=axis, keepdims=True)
    top = xp(x).where((top == math.inf) | (top == -math.inf), 0, top)
    powers = xp(x).exp(x - top)
    return powers, xp(x).sum(powers, axis=axis, keepdims=True), top


# Running sums, products and maxima along an axis, and the product of everything -------------------


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
        if _may_be_divided(y):
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
        if _may_be_divided(y):
            each = g * y
            return (each if keepdims or axis is None else xp(g).expand_dims(each, axis)) / x
        flat, along = (x.reshape((-1,)), 0) if axis is None else (x, axis)
        after = xp(x).flip(_before(xp(x).flip(flat, axis=along), along), axis=along)
        rest = (_before(flat, along) * after).reshape(x.shape)
        if axis is None:
            return g.reshape((1,) * len(x.shape)) * rest
        return (g if keepdims else xp(g).expand_dims(g, axis)) * rest

    return y, back


def _may_be_divided(y: Any) -> bool:
    """Whether products have all digits: none is zero, infinite, or near to that."""
    y = getattr(y, "array", y)
    if type(y) is not np.ndarray or y.dtype.kind != "f":
        return False
    size, least = np.abs(y), np.finfo(y.dtype).tiny * 1e8
    return bool((size > least).all() and (size < 1 / least).all())


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


def sum_rows(x: Any) -> Any:
    return sum(x, axis=0)
