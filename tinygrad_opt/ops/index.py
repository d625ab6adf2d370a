"""Indexing, and its transpose: adding values at indexed positions."""

from __future__ import annotations

from ..autograd.graph import op
from ..backend import xp


@op
def getitem(x, *, index):
    return x[index], lambda g: scatter_add(g, shape=x.shape, index=index)


@op
def scatter_add(g_out, *, shape, index):
    y = xp(g_out).scatter_add(g_out, shape=shape, index=index)
    return y, lambda g: getitem(g, index=index)


@op
def take_along_axis(x, *, indices, axis):
    grids = list(xp(indices).meshgrid(*map(xp(indices).arange, indices.shape), indexing="ij"))
    grids[axis] = indices
    index = tuple(grids)
    return x[index], lambda g: scatter_add(g, shape=x.shape, index=index)
