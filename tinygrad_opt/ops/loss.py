"""Losses that are operations of their own, because training steps spend their time there."""

from __future__ import annotations

import math

from ..autograd.graph import op
from ..backend import xp


@op
def cross_entropy(logits, *, index, scale=None):
    """-log_softmax(logits)[i, index[i]] per row, or their sum times `scale`.

    logits: (rows, classes), index: (rows,) integers. d/dlogits = softmax - onehot(index).
    Raises IndexError for an index outside [0, classes).
    """
    loss, slope = xp(logits).cross_entropy_rows(logits, index)
    if scale is None:
        return loss, lambda g: slope * g.reshape((-1, 1))
    return xp(loss).sum_rows(loss) * scale, lambda g: slope * (g * scale)


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


@op
def mean_squared_error(x, y):
    """mean((x - y)^2) over all elements; NaN if there are none."""
    d = x - y
    n = math.prod(d.shape) or math.nan

    def half(g):
        return d * (g * (2 / n))

    return xp(d).sum(d * d) / n, half, lambda g: -half(g)
