"""Indexing, and its transpose: adding values at indexed positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.fused import onto
from ..arrays.places import Along
from ..arrays.rowsparse import RowSparse
from ..arrays.unwritten import part_or_none, rows_or_none
from ..arrays.xp import xp, xp_of
from ..core.node import Variable
from ..core.outlines import saves_nothing
from ..core.record import op
from ..core.views import view

__all__ = [
    "diagonal", "diagonal_embed", "diagonal_put", "framed", "getitem", "lookup", "overlaid",
    "picked", "put", "put_extremum", "put_product", "put_sum", "rows", "scatter_add",
    "take_along_axis", "triangle", "windows",
]  # fmt: skip

_FEW = 1_024  # elements of which NumPy takes some by itself


def _by_slices(node: Any) -> bool:
    index = node.params["index"]
    parts = index if isinstance(index, tuple) else (index,)
    return not any(hasattr(part, "shape") or isinstance(part, list) for part in parts)


@saves_nothing(when=_by_slices)
@view
def getitem(x, *, index):
    few = type(x) is np.ndarray and x.size < _FEW
    y = x[index] if few else xp(x).picked(x, index)
    if isinstance(y, np.generic):  # of a single element NumPy makes a copy, unless asked like this
        y = x[(*index, ...)] if isinstance(index, tuple) else x[index, ...]
    return y, lambda g: _put_back(g, x.shape, index)


def _put_back(g: Any, shape: tuple[int, ...], index: Any) -> Any:
    return part_or_none(g, shape, index) or scatter_add(g, shape=shape, index=index)


@saves_nothing(when=_by_slices)
@op
def scatter_add(g_out, *, shape, index):
    y = xp(g_out).scatter_add(g_out, shape=shape, index=index)
    return y, lambda g: getitem(g, index=index)


@saves_nothing(when=_by_slices)
@op
def put(x, values, *, index):
    """x with `values` (broadcast) at `index`; what they replace has no gradient."""
    y = xp_of(x, values).put(x, values, index=index)
    return y, lambda g: put(g, 0, index=index), lambda g: getitem(g, index=index)


@saves_nothing
@op
def framed(x, *, shape, index, value):
    """x at `index`, of slices, of an array of this shape that is `value` elsewhere."""
    return xp(x).framed(x, shape=shape, index=index, value=value), lambda g: getitem(g, index=index)


@saves_nothing(when=lambda node: node.targets[1] is None or _by_slices(node))
@op
def put_sum(x, values, *, index):
    """x, and at `index` the `values` added to what stands there; repeats add up."""
    y = xp_of(x, values).scatter_add(values, shape=x.shape, index=index)
    y = onto(y, x) if type(y) is type(x) is np.ndarray else x + y
    return y, lambda g: g, lambda g: getitem(g, index=index)


def along(indices: Any, axis: int) -> tuple[Any, ...]:
    """The index that takes, for each place of `indices`, the element it names along `axis`."""
    grid = xp(indices).grid(indices.shape)  # these broadcast to the full one
    if grid and type(indices) is np.ndarray:
        return Along(grid, indices, axis)
    parts = list(grid)
    if parts:
        parts[axis] = indices
    return tuple(parts)


@op
def take_along_axis(x, *, indices, axis):
    index = along(indices, axis)
    return xp(x).picked(x, index), lambda g: scatter_add(g, shape=x.shape, index=index)


@op
def put_extremum(x, values, *, index, name, include_self=True):
    """x, and at `index` the maximum (or minimum) of what stands there and the `values`.

    `include_self=False`: of the values alone. Ties share the gradient equally.
    """
    y = xp(x).put_extremum(x, values, index=index, name=name, include_self=include_self)
    best = values == getitem(y, index=index)
    kept = xp(x).cast(x == y, dtype=x.dtype)
    if not include_self:  # ... or that no value was put upon
        kept = put(kept, 0, index=index)
    count = kept + scatter_add(xp(x).cast(best, dtype=x.dtype), shape=x.shape, index=index)

    # Where NaN is the extremum, nothing equals it: 0 / 0 makes NaN of all gradients, as in PyTorch.
    return (
        y,
        lambda g: g * kept / count,
        lambda g: best * getitem(g / count, index=index),
    )


@op
def put_product(x, values, *, index, include_self=True):
    """x, and at `index` the product of what stands there and the `values`, or theirs alone."""
    base = x if include_self else put(x, 1, index=index)
    y = xp(x).put_product(base, values, index=index)

    # The product of the others: without dividing by 0, where just one of the factors is 0.
    def others(factor, full, zeros):
        safe = xp(factor).where(factor == 0, 1, factor)
        return xp(full).where(zeros == (factor == 0), full / safe, 0)

    def parts():
        whole = xp(x).put_product(
            xp(base).where(base == 0, 1, base),
            xp(values).where(values == 0, 1, values),
            index=index,
        )
        zeros = xp(x).cast(values == 0, dtype=x.dtype)
        return whole, (base == 0) + scatter_add(zeros, shape=x.shape, index=index)

    def to_x(g):
        kept = g * others(base, *parts())
        return kept if include_self else put(kept, 0, index=index)

    def to_values(g):
        full, zeros = parts()
        at = getitem(full, index=index), getitem(zeros, index=index)
        return getitem(g, index=index) * others(values, *at)

    return y, to_x, to_values


# Windows and diagonals ----------------------------------------------------------------------------


@saves_nothing
@view
def windows(x, *, size, step):
    """The stretches of `size` along the last axis that start every `step`, in a new last axis."""
    y = xp(x).windows(x, size=size, step=step)
    return y, lambda g: overlaid(g, n=x.shape[-1], step=step)


@saves_nothing
@op
def overlaid(g_out, *, n, step):
    """The transpose of `windows`: stretches added up in a last axis of n elements."""
    y = xp(g_out).overlaid(g_out, n=n, step=step)
    return y, lambda g: windows(g, size=g_out.shape[-1], step=step)


@saves_nothing
@view
def diagonal(x, *, offset=0, axis1=0, axis2=1):
    """The elements whose place along axis2 is `offset` beyond that along axis1, in a last axis."""
    y = xp(x).diagonal(x, offset=offset, axis1=axis1, axis2=axis2)
    sizes = x.shape

    def back(g):
        order = tuple(i for i in range(len(sizes)) if i not in (axis1, axis2))
        shape = tuple(sizes[i] for i in (*order, axis1, axis2))
        full = diagonal_embed(g, offset=offset, rows=shape[-2], columns=shape[-1])
        back_again = (*order, axis1, axis2)
        return xp(g).transpose(full, axes=tuple(back_again.index(k) for k in range(len(shape))))

    return y, back


@saves_nothing
@op
def diagonal_embed(x, *, offset, rows, columns):
    """Matrices of zeros, with the last axis of x on their diagonal."""
    at, shape = _on_diagonal(x, x.shape[-1], offset), (*x.shape[:-1], rows, columns)
    return xp(x).scatter_add(x, shape=shape, index=at), lambda g: _last_diagonal(g, offset)


@saves_nothing
@op
def diagonal_put(x, values, *, offset):
    """Matrices x, with `values` on their diagonal."""
    n = _last_diagonal(x, offset).shape[-1]
    y = xp_of(x, values).put(x, values, index=_on_diagonal(x, n, offset))
    return y, lambda g: diagonal_put(g, 0, offset=offset), lambda g: _last_diagonal(g, offset)


def _on_diagonal(x: Any, n: int, offset: int) -> tuple[Any, ...]:
    """The index of the n places on a diagonal of matrices."""
    raw = getattr(x, "array", x)
    i = xp(raw).arange(n)
    return ..., i - min(offset, 0), i + max(offset, 0)


def _last_diagonal(x: Any, offset: int) -> Any:
    return diagonal(x, offset=offset, axis1=len(x.shape) - 2, axis2=len(x.shape) - 1)


@saves_nothing
@op
def triangle(x, *, offset, lower):
    """Matrices x up to a diagonal, or from it on if not `lower`; 0 elsewhere."""
    raw, (rows, columns) = getattr(x, "array", x), x.shape[-2:]
    first = min(max(offset, -rows), columns)  # the column where the diagonal begins
    kind = np.int16 if rows + columns < 32_768 else np.int64  # a quarter of the memory
    across, diagonal = (
        xp(raw).arange(start, start + n, dtype=kind) for start, n in ((0, columns), (first, rows))
    )
    diagonal = diagonal[:, None]
    y = xp(x).where(across <= diagonal if lower else across >= diagonal, x, _zero(raw))
    return y, lambda g: triangle(g, offset=offset, lower=lower)


def _zero(raw: Any) -> Any:
    return False if raw.dtype.kind == "b" else 0


# Rows of a table, looked up by integers -----------------------------------------------------------


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
        dense = not sparse and not isinstance(g, Variable)
        if padding_idx is not None and not dense:
            kept = index != padding_idx
            g, at = g[kept], index[kept]
        if sparse and not isinstance(g, Variable):
            features = weight.shape[1:]
            return RowSparse(at.reshape(-1), g.reshape(-1, *features), weight.shape)
        later = rows_or_none(g, weight, at, padding_idx)
        if later is not None:
            return later
        found = xp(g).scatter_add(g, shape=weight.shape, index=at)
        if padding_idx is not None and dense:
            found[padding_idx] = 0
        return found

    return xp(weight).rows(weight, index), scatter


def rows(table: Any, index: Any) -> Any:
    return getitem(table, index=index)


picked = rows  # of Tensors both are one operation
