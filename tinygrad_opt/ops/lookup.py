"""Rows of a table, looked up by integers."""

from __future__ import annotations

from ..autograd.graph import op
from ..backend import xp


@op
def lookup(weight, *, index, padding_idx=None, shares=None):
    """weight[index]: table (rows, features), integers (...) -> (..., features).

    The row `padding_idx` receives no gradient, not even NaN. `shares`, of the index's shape, are
    factors of the gradients.
    """

    def scatter(g):
        at = index
        if shares is not None:
            g = g * shares[..., None]
        if padding_idx is not None:
            kept = index != padding_idx
            g, at = g[kept], index[kept]
        return xp(g).scatter_add(g, shape=weight.shape, index=at)

    return weight[index], scatter
