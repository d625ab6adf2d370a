"""Diagonals and triangles of matrices."""

from __future__ import annotations

from operator import index

from .. import ops
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.tensor import Tensor, wrap_plain
from .reduce import summable
from .shape import movedim, ravel

__all__ = [
    "diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "trace", "tril", "triu",
    "vander",
]  # fmt: skip


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of the plane of dim1 and dim2, `offset` to its right, in a last axis: a view."""
    first, second = _plane(dim1, dim2, input.array.ndim)
    return ops.diagonal(input, offset=offset, axis1=first, axis2=second)


def _plane(dim1: int, dim2: int, ndim: int) -> tuple[int, int]:
    first, second = axis_index(dim1, ndim), axis_index(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return first, second


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros, with the last axis of the input on the diagonal of two new axes."""
    x = input.array
    first, second = _plane(dim1, dim2, x.ndim + 1)
    n = x.shape[-1] + abs(index(offset))
    y = ops.diagonal_embed(input, offset=index(offset), rows=n, columns=n)
    return movedim(y, (-2, -1), (first, second))


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with the vector on its diagonal, or the diagonal of a matrix (a copy)."""
    if input.array.ndim == 1:
        return diag_embed(input, diagonal)
    if input.array.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.array.ndim}D")
    return ops.clone(ops.diagonal(input, offset=diagonal))


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements of the input on its diagonal."""
    return diag_embed(ravel(input), offset)


def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """input with `src` on a diagonal."""
    first, second = _plane(dim1, dim2, input.array.ndim)
    x = movedim(input, (first, second), (-2, -1))
    y = ops.diagonal_put(x, src, offset=index(offset))
    return movedim(y, (-2, -1), (first, second))


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.array.ndim}")
    return ops.sum(summable(ops.diagonal(input)))


def _triangle(input: Tensor, diagonal: int, lower: bool, name: str) -> Tensor:
    x = input.array
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got {x.ndim}")
    return ops.triangle(input, offset=index(diagonal), lower=lower)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, up to the given diagonal; 0 elsewhere."""
    return _triangle(input, diagonal, True, "tril")


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, from the given diagonal on; 0 elsewhere."""
    return _triangle(input, diagonal, False, "triu")


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector as columns: x^(N-1) ... x, 1, or the other way round."""
    if x.array.ndim != 1:
        raise RuntimeError(f"vander: x must be a one-dimensional tensor, got {x.array.ndim}-D")
    n = x.array.shape[0] if N is None else index(N)
    powers = xp(x.array).arange(n) if increasing else xp(x.array).arange(n - 1, -1, -1)
    return ops.pow(ops.reshape(x, shape=(-1, 1)), wrap_plain(powers))
