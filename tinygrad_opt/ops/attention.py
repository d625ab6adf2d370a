"""Scaled dot-product attention as one operation.

The formula and its derivative stand in `kernels/fused/attention.py`, as array code and as kernels.
"""

from __future__ import annotations

from typing import Any

from ..arrays.xp import xp
from ..core.record import op
from .shared_work import shared_entries

__all__ = ["attention", "causal_mask", "packed_attention"]


@op
def attention(query, key, value, mask, factor, *, scale, causal=False):
    """(softmax(scale query key^T + mask) * factor) value. Vaswani et al. 2017, arXiv:1706.03762.

    query (..., L, E), key (..., S, E), value (..., S, V) -> (..., L, V), S at least 1; mask and
    factor broadcast to (..., L, S), or are None. The factor is a constant: what dropout keeps.
    `causal`: query i looks at keys 0 to i; then without mask.
    """
    y, back = xp(query).attention_pair(query, key, value, mask, factor, scale, causal)

    def to_mask(g):
        p = xp(g).attention_weights(query, key, mask, scale, causal)
        return xp(g).attention_scores_back(g, p, value, factor)

    return y, *shared_entries(back, 3), to_mask, None


@op
def packed_attention(packed, mask, factor, *, heads, scale, causal, batch_axis):
    """`attention` of query, key and value side by side: (N, L, 3 E) -> (N, L, E).

    With `batch_axis` 1 (L, N, .). `mask`: a constant; the rest as there.
    """
    settings = heads, scale, causal, batch_axis
    y, back = xp(packed).packed_attention_pair(packed, mask, factor, *settings)
    return y, lambda g: back(g)[0], None, None


def causal_mask(query: Any, keys: int) -> Any:
    """`Namespace.causal_mask` of a Tensor: an array."""
    return xp(query.array).causal_mask(query.array, keys)
