"""Rows of a table, looked up by integers."""

from __future__ import annotations

from ..autograd.graph import Variable, op
from ..autograd.rowsparse import RowSparse
from ..backend import xp


@op
def lookup(weight, *, index, padding_idx=None, shares=None, sparse=False):
    """weight[index]: table (rows, features), integers (...) -> (..., features).

    The row `padding_idx` receives no gradient, not even NaN. `shares`, of the index's shape, are
    factors of the gradients. `sparse`: the table's gradient is a RowSparse, unless recorded.
    """

    def scatter(g):
        at = index
        if shares is not None:
            g = g * shares[..., None]
        if padding_idx is not None:
            kept = index != padding_idx
            g, at = g[kept], index[kept]
        if sparse and not isinstance(g, Variable):
            features = weight.shape[1:]
            return RowSparse(at.reshape(-1), g.reshape(-1, *features), weight.shape)
        return xp(g).scatter_add(g, shape=weight.shape, index=at)

    return weight[index], scatter
