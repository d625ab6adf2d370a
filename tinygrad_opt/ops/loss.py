"""Losses that are operations of their own, because training steps spend their time there.

The cross-entropy of classes has three twins: array code in `arrays/namespace.py`, the kernel in
`kernels/fused/softmax.py`, and that for recorded gradients at the end of this file.
`tests/test_twins.py` holds them equal. `@fused_op`: of large arrays kernels take its place, see
`kernels/fused/pairs.py`.
"""

from __future__ import annotations

import math
from typing import Any

from ..arrays.xp import xp
from ..core.record import op
from ..kernels.fused.softmax import with_classes_last
from .fused import fused_op, mean_of
from .index import along
from .reduce import softmax

__all__ = [
    "absolute_error", "cross_entropy", "cross_entropy_rows", "huber", "mean_cross_entropy",
    "mean_cross_entropy_rows", "mean_huber", "mean_multi_margin", "mean_squared_error",
    "multi_margin", "negative_log_likelihood", "smoothed_cross_entropy", "softmax_cross_entropy",
]  # fmt: skip


@op
def cross_entropy(logits, *, index, scale=None):
    """-log_softmax(logits)[i, index[i]] per row, or their sum times `scale`.

    logits: (rows, classes), index: (rows,) integers; or (rows, classes, ...) and (rows, ...).
    d/dlogits = softmax - onehot(index). Raises IndexError for an index outside [0, classes).
    """
    loss, slope = xp(logits).cross_entropy_rows(logits, index)
    if scale is None:
        return loss, lambda g: slope * xp(g).expand_dims(g, 1)
    return xp(loss).sum_rows(loss.reshape(-1)) * scale, lambda g: slope * (g * scale)


@op
def mean_cross_entropy(logits, *, index, ignore):
    """The mean of `cross_entropy` over the rows whose class is not `ignore`; NaN if there are none.

    No wait for the GPU: how many rows count stays there.
    """
    loss, slope, share = xp(logits).mean_cross_entropy_rows(logits, index, ignore)
    return loss, lambda g: slope * (g * share)


@op
def smoothed_cross_entropy(logits, *, index, share, scale):
    """The sum of `cross_entropy`, of whose targets all classes get an equal share, times `scale`.

    logits: (rows, classes, ...), index: (rows, ...) in [0, classes). d/dlogits = softmax - targets.
    """
    logp = xp(logits).log_softmax(logits, axis=1)
    each, at = share / logits.shape[1], along(index[:, None], 1)
    right = xp(logp).sum_rows(xp(logp).picked(logp, at).reshape(-1))
    total = right * (1 - share) + xp(logp).sum(logp) * each

    def back(g):
        g = g * scale
        rest = xp(g).scatter_add(g * (1 - share), shape=logp.shape, index=at)
        return (xp(logp).exp(logp) - each) * g - rest

    return total * -scale, back


@op
def negative_log_likelihood(logp, *, index, mean=False):
    """-logp[i, index[i]] per row, or their mean.

    logp: (rows, classes), index: (rows,) integers in [0, classes); or (rows, classes, ...) and
    (rows, ...).
    """
    at, share = along(index[:, None], 1), 1 / max(index.size, 1)
    y = xp(logp).picked(logp, at).reshape(index.shape)
    y = xp(y).sum_rows(y.reshape(-1)) * -share if mean else -y

    def back(g):
        each = g * -share if mean else -xp(g).expand_dims(g, 1)
        return xp(g).scatter_add(each, shape=logp.shape, index=at)

    return y, back


@op
def multi_margin(scores, *, index, margin, p):
    """The mean over classes of max(0, margin - score of index[i] + score)^p, the own one left out.

    scores: (rows, classes), index: (rows,) integers in [0, classes), p: 1 or 2. NaN counts as 0.
    """
    classes, at = scores.shape[1], along(index[:, None], 1)
    over = scores - (xp(scores).picked(scores, at) - margin)
    over = xp(over).put(over, 0, index=at)
    wrong = over > 0
    over = xp(over).where(wrong, over, 0)

    def back(g):
        g = xp(g).broadcast_to(g * (p / classes), shape=index.shape)
        dx = (over if p == 2 else wrong) * xp(g).expand_dims(g, 1)
        own = xp(dx).sum(dx, axis=1, keepdims=True)
        return dx - xp(dx).scatter_add(own, shape=scores.shape, index=at)

    return xp(over).sum(over if p == 1 else over * over, axis=1) / classes, back


mean_multi_margin = mean_of(multi_margin)


@op
def softmax_cross_entropy(logits, target, *, scale=None):
    """-sum(target * log_softmax(logits)) per row, or their sum times `scale`.

    logits, target: (rows, classes). d/dlogits = softmax * (row sum of target) - target.
    """
    logp = xp(logits).log_softmax(logits, axis=1)
    y = -xp(logp).sum(target * logp, axis=1 if scale is None else None)

    def per_row(g):
        return g.reshape((-1, 1)) if scale is None else g * scale

    def to_logits(g):
        mass = xp(g).sum(target, axis=1, keepdims=True)
        return (xp(logp).exp(logp) * mass - target) * per_row(g)

    return y if scale is None else y * scale, to_logits, lambda g: -logp * per_row(g)


@fused_op
def absolute_error(x, y):
    """|x - y|, of arrays of one shape, with slope 0 where they are equal."""
    d = x - y
    return xp(d).abs(d), lambda g: g * xp(d).sign(d), lambda g: -g * xp(d).sign(d)


@fused_op
def huber(x, y, *, delta, scale=1.0):
    """d^2 / 2 where d = x - y is within delta, else delta (|d| - delta / 2); both over `scale`."""
    d = x - y
    size = xp(d).abs(d)
    near = xp(d).minimum(size, delta)  # near (size - near / 2) is both branches at once

    def slope(g):  # no product with an infinite d; bent within delta alone, so not at NaN
        held = xp(d).where(size < delta, d, math.nan)
        held = xp(d).where(d >= delta, delta, xp(d).where(d <= -delta, -delta, held))
        return g * (held * (1 / scale) if scale != 1 else held)

    return (near / scale) * (size - 0.5 * near), slope, lambda g: -slope(g)


mean_huber = mean_of(huber)


@fused_op
def mean_squared_error(x, y):
    """mean((x - y)^2) over all elements; NaN if there are none."""
    d = x - y
    n = math.prod(d.shape) or math.nan

    def half(g):
        return d * (g * (2 / n))

    return xp(d).sum(d * d) / n, half, lambda g: -half(g)


def mean_cross_entropy_rows(z: Any, index: Any, ignore: int) -> tuple[Any, Any, Any]:
    kept = index != ignore
    loss, slope = cross_entropy_rows(z, xp(index).where(kept, index, 0))
    kept = kept.astype(z.array.dtype)
    share = 1 / kept.sum()
    return (loss * kept).sum() * share, slope * kept[:, None], share


def cross_entropy_rows(z: Any, index: Any) -> tuple[Any, Any]:
    if z.array.ndim > 2:
        return with_classes_last(xp(z), cross_entropy_rows, z, index)
    onehot = xp(index).zeros(z.array.shape, z.array.dtype)
    onehot[xp(index).arange(len(index)), index] = 1
    return cross_entropy(z, index=index), softmax(z, axis=1) - onehot
