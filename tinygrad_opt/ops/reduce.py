"""Reductions and softmax.

Ties in amax and amin share the gradient equally. What follows softmax and log_softmax backwards
stands in `kernels/fused/softmax.py`, as a formula and as kernels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.fused import times
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.outlines import saves_nothing
from ..core.record import op

__all__ = [
    "amax", "amin", "cosine", "deviation", "log_softmax", "logsumexp", "mean", "norm2", "norm_p",
    "softmax", "sum", "sum_rows", "tied", "variance",
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
    return y, lambda g: _times(centred, _kept(g * (2 * rate), x.shape, axis))


@op
def deviation(x, *, axis=None, keepdims=False, correction=1):
    """The square root of `variance`, with the slope 0 where that is 0, as PyTorch."""
    rate = _per_freedom(x.shape, axis, correction)
    centred = _centred(x, axis)
    root = norm2 if isinstance(centred, Variable) else _root_of_squares
    y = root(centred, axis=axis, keepdims=keepdims) * math.sqrt(rate)

    def back(g):
        return _directed(centred, y, xp(g).where(y == 0, 0, g * rate), axis)

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

    return y, lambda g: _directed(x, y, g, axis)  # x / |x|; 0 at 0, where the norm has a kink


def _directed(x: Any, length: Any, g: Any, axis: Any) -> Any:
    """x / length times g, both of x reduced over `axis`; large arrays are gone through once."""
    length = _nonzero(length)
    if type(x) is np.ndarray and ((length > 1e-15) & (length < 1e18)).all():
        return _times(x, _kept(g / length, x.shape, axis))
    return (x / _kept(length, x.shape, axis)) * _kept(g, x.shape, axis)


def _times(x: Any, factor: Any) -> Any:
    """x times what was kept of a reduction of it; of raw arrays on several threads."""
    if type(x) is not np.ndarray or type(factor) is not np.ndarray:
        return x * factor
    return times(x, factor.item() if factor.size == 1 else factor)


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
def cosine(x, y, *, axis, eps):
    """sum(x y) / (|x| |y|) over `axis`, where no norm counts as less than eps.

    Of unit vectors, a and b: so no product overflows. d/dx = (b - a cosine) / |x|.
    """
    a, *of_x = _unit(x, axis, eps)
    b, *of_y = _unit(y, axis, eps)
    z = xp(a).sum(a * b, axis=axis)
    cosine = _kept(z + 0, a.shape, axis)  # who gets z may write to it

    def slope(g, a, b, length, held):
        bent = xp(a).where(held, 0, cosine)  # eps in a norm's place has no slope
        return (b - a * bent) * (_kept(g, a.shape, axis) / length)

    return z, lambda g: slope(g, a, b, *of_x), lambda g: slope(g, b, a, *of_y)


def _unit(x: Any, axis: Any, eps: float) -> tuple[Any, Any, Any]:
    """x divided by its norm, or by eps where that is more; the divisor, and where it is eps."""
    norm = norm2(x, axis=axis, keepdims=True)
    length = xp(norm).maximum(norm, eps)
    return x / length, length, norm < eps


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
        return y, lambda g: _times(_soft_shares(x, y, axis), _kept(g, x.shape, axis))
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


def _soft_shares(x: Any, y: Any, axis: Any) -> Any:
    """The same of a raw array with the result y, as softmax where that is finite."""
    if xp(y).isfinite(y).all():
        return xp(x).softmax(x, axis=axis)
    return _shares(*_powers(x, axis)[:2])


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


def sum_rows(x: Any) -> Any:
    return sum(x, axis=0)
