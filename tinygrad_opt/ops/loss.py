"""Losses that are operations of their own, because training steps spend their time there."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.graph import op
from ..backend import xp

# NumPy reduces a long axis fast and a short innermost one slowly: up to this many classes it pays
# to copy the logits so that the classes come first (64 x 10: 9 us for a softmax instead of 13).
_FEW_CLASSES = 128


@op
def cross_entropy(logits, *, index, scale=None):
    """-log_softmax(logits)[i, index[i]] per row, or their sum times `scale`.

    logits: (rows, classes), index: (rows,) integers. d/dlogits = softmax - onehot(index).
    Raises IndexError for an index outside [0, classes).
    """
    rows, classes = logits.shape
    few = classes <= _FEW_CLASSES
    z = logits.T.reshape(-1).reshape(classes, rows) if few else logits
    ns = xp(z)
    at = _positions(index, rows, classes, few)
    shifted = z - ns.amax(z, axis=0 if few else 1, keepdims=True)
    e = ns.exp(shifted)
    total = ns.sum_rows(e) if few else ns.sum(e, axis=1, keepdims=True)
    y = ns.log(total).reshape(-1) - shifted.reshape(-1)[at]
    share = 1 if scale is None else scale

    def to_logits(g):
        target = xp(index).zeros(z.shape, z.dtype)
        target.reshape(-1)[at] = share
        gz = (e * (share / total) - target) * (g if few else g.reshape((-1, 1)))
        return gz.T if few else gz

    return y if scale is None else ns.sum_rows(y) * scale, to_logits


def _positions(index: Any, rows: int, classes: int, classes_first: bool) -> Any:
    """Where (i, index[i]) lies in the flat logits; negative indices do not count from the end."""
    grid = (xp(index).arange(rows), index)
    shape = (rows, classes)
    if classes_first:
        grid, shape = grid[::-1], shape[::-1]
    try:
        return xp(index).ravel_multi_index(grid, shape, mode="raise")
    except ValueError:
        bad = index[(index < 0) | (index >= classes)]
        raise IndexError(
            f"Target {bad[0]} is out of bounds: there are {classes} classes, 0 to {classes - 1}."
        ) from None


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
    """mean((x - y)^2) over all elements."""
    d = x - y
    n = math.prod(d.shape)

    def half(g):
        return d * (g * (2 / n))

    return xp(d).sum(d * d) / n, half, lambda g: -half(g)
