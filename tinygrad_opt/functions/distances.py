"""Distances, norms kept in bounds, and slopes of values on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arrays.device import device_of, to_device
from ..arrays.size import WHOLE
from ..core.errors import axis_index
from ..core.half import widened
from ..core.tensor import Tensor, wrap_plain
from . import reduce
from .joining import cat
from .shape import along

__all__ = ["dist", "gradient", "pdist", "renorm"]


@widened
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other, broadcast."""
    return reduce.norm(ops.sub(input, other), p)


@widened
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances of all pairs of rows of input (n, m): (n (n - 1) / 2,).

    In the order (0, 1), (0, 2) ... (1, 2) ...  Raises RuntimeError unless input is a matrix.
    """
    if input.array.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.array.ndim}D")
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    i, j = np.triu_indices(input.array.shape[0], 1)
    away = ops.sub(ops.getitem(input, index=i), ops.getitem(input, index=j))
    return reduce.norm(away, p, -1)


@widened
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """input with each slice along `dim` scaled down to the p-norm `maxnorm`, where it is larger."""
    if input.array.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.array.ndim} dimensions"
        )
    if p <= 0 or maxnorm < 0:
        raise RuntimeError(
            f"renorm: expected p > 0 and maxnorm to be >= 0, got p = {p}, maxnorm = {maxnorm}"
        )
    axis = axis_index(dim, input.array.ndim)
    others = tuple(i for i in range(input.array.ndim) if i != axis)
    large = reduce.norm(input.detach(), p, others, True).array > maxnorm
    norm = reduce.norm(ops.where(large, input, 0.0), p, others, True)  # not of NaN
    scale = ops.where(large, ops.div(maxnorm, ops.add(norm, 1e-7)), 1.0)
    return ops.mul(input, scale)


# Slopes -------------------------------------------------------------------------------------------


@widened
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The slopes of values on a grid along each axis, from their neighbours: a tuple.

    `spacing`: the distance of the points, a number for all axes or one for each, or a list of
    tensors with the places of the points. `dim`: the axes, by default all. Central differences
    inside; at the ends those of first order, or of second with `edge_order=2`.
    """
    axes = _axes(input, dim)
    spacings = _spacings(spacing, axes)
    if edge_order not in (1, 2):
        raise RuntimeError(
            f"gradient only supports edge_order=1 and edge_order=2, got {edge_order}"
        )
    for axis, points in zip(axes, spacings, strict=True):
        n = input.array.shape[axis]
        if n < edge_order + 1:
            raise RuntimeError(
                "gradient expected each dimension size to be at least edge_order+1, got "
                f"{n} along dimension {axis}"
            )
        if isinstance(points, np.ndarray) and points.shape != (n,):
            raise RuntimeError(
                "gradient expected the coordinates to have as many points as the axis: "
                f"{n} along dimension {axis}, got {points.shape}"
            )
    return tuple(_slope(input, axis, h, edge_order) for axis, h in zip(axes, spacings, strict=True))


def _axes(input: Tensor, dim: Any) -> list[int]:
    if dim is None:
        return list(range(input.array.ndim))
    dims = (dim,) if isinstance(dim, WHOLE) else dim
    return [axis_index(d, input.array.ndim) for d in dims]


def _spacings(spacing: Any, axes: list[int]) -> list[Any]:
    if not isinstance(spacing, (Sequence, Tensor)):
        return [float(spacing)] * len(axes)
    if len(spacing) != len(axes):
        raise RuntimeError(
            f"gradient expected spacing to be unspecified, a scalar, or a list of length "
            f"{len(axes)}, one for each dimension, but got a list of length {len(spacing)}"
        )
    return [
        np.asarray(to_device(h.array, "cpu"), np.float64)
        if isinstance(h, Tensor) and h.ndim
        else float(h)
        for h in spacing
    ]


def _slope(x: Tensor, axis: int, h: Any, edge_order: int) -> Tensor:
    n, ndim = x.array.shape[axis], x.array.ndim
    steps = np.diff(h) if isinstance(h, np.ndarray) else np.full(n - 1, h)

    def at(part: slice) -> Tensor:
        return ops.getitem(x, index=along(axis, ndim, part))

    here = device_of(x.array)

    def weighted(*pairs: Any) -> Tensor:
        terms = [term(w, values) for w, values in pairs if w.any() or not w.size]
        return sum(terms[1:], terms[0])

    def term(w: Any, values: Tensor) -> Tensor:
        if not isinstance(h, np.ndarray):  # all are the same
            return ops.scaled(values, by=float(w[0]) if w.size else 1.0)
        shape = tuple(-1 if i == axis else 1 for i in range(ndim))
        return ops.mul(
            values, wrap_plain(to_device(np.asarray(w, x.array.dtype).reshape(shape), here))
        )

    a, b = steps[:-1], steps[1:]
    inside = weighted(
        (-b / (a * (a + b)), at(slice(0, n - 2))), ((b - a) / (a * b), at(slice(1, n - 1))),
        (a / (b * (a + b)), at(slice(2, n))),
    )  # fmt: skip
    return cat([*_ends(weighted, at, steps, n, edge_order, inside)], axis)


def _ends(
    weighted: Any, at: Any, steps: Any, n: int, edge_order: int, inside: Tensor
) -> tuple[Tensor, ...]:
    first, last = steps[:1], steps[-1:]
    if edge_order == 1:
        low = weighted((-1 / first, at(slice(0, 1))), (1 / first, at(slice(1, 2))))
        high = weighted((-1 / last, at(slice(n - 2, n - 1))), (1 / last, at(slice(n - 1, n))))
        return low, inside, high
    p, q = first, steps[1:2]
    low = weighted(
        (-(2 * p + q) / (p * (p + q)), at(slice(0, 1))), ((p + q) / (p * q), at(slice(1, 2))),
        (-p / (q * (p + q)), at(slice(2, 3))),
    )  # fmt: skip
    p, q = steps[-2:-1], last
    high = weighted(
        (q / (p * (p + q)), at(slice(n - 3, n - 2))), (-(p + q) / (p * q), at(slice(n - 2, n - 1))),
        ((2 * q + p) / (q * (p + q)), at(slice(n - 1, n))),
    )  # fmt: skip
    return low, inside, high
