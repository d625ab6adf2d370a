"""Splitting a tensor along an axis: all pieces are views."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..autograd.errors import axis_index
from ..autograd.graph import Variable
from .shape import along, select

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = [
    "chunk", "dsplit", "hsplit", "split", "split_with_sizes", "tensor_split", "unbind", "vsplit",
]  # fmt: skip


def _pieces(input: Tensor, edges: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    return tuple(
        ops.getitem(input, index=along(dim, input.array.ndim, slice(a, b)))
        for a, b in pairwise(edges)
    )


def _length(input: Tensor, dim: int, name: str) -> int:
    if not input.array.ndim:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor, got one of 0 axes")
    return input.array.shape[axis_index(dim, input.array.ndim)]


def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of `split_size` along `dim` (the last may be smaller), or of the listed sizes."""
    n = _length(input, dim, "split")
    if not isinstance(split_size, int):
        return split_with_sizes(input, split_size, dim)
    if split_size < 0:
        raise RuntimeError(
            f"split expects split_size be non-negative, but got split_size={split_size}"
        )
    if split_size == 0 and n:
        raise RuntimeError(
            f"split: split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
        )
    starts = range(0, n, split_size) if n else [0]
    return _pieces(input, [*starts, n], dim)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the listed sizes along `dim`; together they make the whole."""
    n = _length(input, dim, "split")
    sizes = [int(size) for size in split_sizes]
    if builtins.sum(sizes) != n or builtins.min(sizes, default=0) < 0:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {dim}), but got split_sizes={sizes}"
        )
    return _pieces(input, np.cumsum([0, *sizes]).tolist(), dim)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = _length(input, dim, "chunk")
    if not n:  # as many empty pieces as asked for
        return _pieces(input, [0] * (chunks + 1), dim)
    return split(input, -(-n // chunks), dim)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """So many pieces along `dim`, the first ones longer by one; or cut at the listed places."""
    n = _length(input, dim, "tensor_split")
    cuts = indices_or_sections
    if isinstance(cuts, Variable):
        cuts = cuts.array.tolist()
    if isinstance(cuts, int):
        if cuts < 1:
            raise RuntimeError(
                f"tensor_split: number of sections must be larger than 0, got {cuts}"
            )
        longer = n % cuts
        edges = [i * (n // cuts) + builtins.min(i, longer) for i in range(cuts + 1)]
        return _pieces(input, edges, dim)
    places = [0, *cuts, n]
    return _pieces(input, places, dim)


def _split_along(name: str, axis: int, least: int) -> Any:
    def function(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        ndim = input.array.ndim
        if ndim < least:
            raise RuntimeError(
                f"{name} requires a tensor with at least {least} dimension, but got a tensor with "
                f"{ndim} dimensions!"
            )
        dim = 0 if ndim == 1 else axis
        n = input.array.shape[dim]
        if isinstance(indices_or_sections, int) and (
            indices_or_sections < 1 or n % indices_or_sections
        ):
            raise RuntimeError(
                f"{name} attempted to split along dimension {dim}, but the size of the dimension "
                f"{n} is not divisible by the split_size {indices_or_sections}!"
            )
        return tensor_split(input, indices_or_sections, dim)

    function.__name__ = name
    function.__doc__ = f"Equal pieces along axis {axis}, or cut at the listed places."
    return function


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 0, 2)
dsplit = _split_along("dsplit", 2, 3)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, without that axis."""
    if not input.array.ndim:
        raise IndexError(f"unbind: Dimension specified as {dim} but tensor has no dimensions")
    n = input.array.shape[axis_index(dim, input.array.ndim)]
    return tuple(select(input, dim, i) for i in range(n))
