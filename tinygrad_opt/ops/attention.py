"""Scaled dot-product attention as one operation."""

from __future__ import annotations

from typing import Any

from ..arrays.xp import xp
from ..core.record import op
from .shared_work import shared

__all__ = ["attention", "softmax_back"]


def softmax_back(p: Any, g: Any) -> Any:
    """The gradient of x from that of p = softmax(x) over the last axis."""
    return p * (g - xp(g).sum(g * p, axis=-1, keepdims=True))


@op
def attention(query, key, value, mask, factor, *, scale):
    """(softmax(scale query key^T + mask) * factor) value. Vaswani et al. 2017, arXiv:1706.03762.

    query (..., L, E), key (..., S, E), value (..., S, V) -> (..., L, V), S at least 1; mask and
    factor broadcast to (..., L, S), or are None. The factor is a constant: what dropout keeps.
    """
    space = xp(query)
    scores = (query * scale) @ space.swapaxes(key, -1, -2)
    if mask is not None:
        scores = scores + mask
    p = space.softmax(scores, axis=-1)
    used = p if factor is None else p * factor

    def to_scores(g):
        # d softmax: p (dp - sum of dp p)
        dp = g @ xp(g).swapaxes(value, -1, -2)
        if factor is not None:
            dp = dp * factor
        return xp(g).softmax_back(p, dp)

    to_query, to_key, to_mask = shared(
        to_scores,
        lambda ds: (ds @ key) * scale,
        lambda ds: space.swapaxes(ds, -1, -2) @ (query * scale),
        lambda ds: ds,
    )
    return (
        used @ value,
        to_query,
        to_key,
        lambda g: xp(g).swapaxes(used, -1, -2) @ g,
        to_mask,
        None,
    )
