"""A tensor cut along an axis: all pieces are views."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..arrays.size import WHOLE
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.tensor import Tensor
from ..core.views import one_of_several
from .shape import along, select

__all__ = [
    "chunk", "dsplit", "hsplit", "split", "split_with_sizes", "tensor_split", "unbind", "vsplit",
]  # fmt: skip


def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Pieces of so many along `dim` (the last may be smaller), or of the listed sizes."""
    n, split_size = _length(tensor, dim, "split"), split_size_or_sections
    if not isinstance(split_size, WHOLE):
        return split_with_sizes(tensor, split_size, dim)
    if split_size < 0:
        raise RuntimeError(
            f"split expects split_size be non-negative, but got split_size={split_size}"
        )
    if split_size == 0 and n:
        raise RuntimeError(
            f"split: split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
        )
    starts = range(0, n, split_size) if n else [0]
    return one_of_several(_pieces(tensor, [*starts, n], dim))


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the listed sizes along `dim`; together they make the whole."""
    n = _length(input, dim, "split")
    sizes = [int(size) for size in split_sizes]
    if builtins.sum(sizes) != n or builtins.min(sizes, default=0) < 0:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {dim}), but got split_sizes={sizes}"
        )
    return one_of_several(_pieces(input, np.cumsum([0, *sizes]).tolist(), dim))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n, chunks = _length(input, dim, "chunk"), int(chunks)
    if not n:  # as many empty pieces as asked for
        return one_of_several(_pieces(input, [0] * (chunks + 1), dim))
    return split(input, -(-n // chunks), dim)


def tensor_split(
    input: Tensor, sections: Any = None, dim: int = 0, *, indices: Any = None,
    tensor_indices_or_sections: Tensor | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """So many pieces along `dim`, the first ones longer by one; or cut at the listed places."""
    n = _length(input, dim, "tensor_split")
    cuts = _chosen("tensor_split", sections, indices, tensor_indices_or_sections)
    if isinstance(cuts, Variable):
        cuts = cuts.array.tolist()
    if isinstance(cuts, WHOLE):
        if cuts < 1:
            raise RuntimeError(
                f"tensor_split: number of sections must be larger than 0, got {cuts}"
            )
        longer = n % cuts
        edges = [i * (n // cuts) + builtins.min(i, longer) for i in range(cuts + 1)]
        return _pieces(input, edges, dim)
    places = [0, *cuts, n]
    return _pieces(input, places, dim)


def _pieces(input: Tensor, edges: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    return tuple(
        ops.getitem(input, index=along(dim, input.array.ndim, slice(a, b)))
        for a, b in pairwise(edges)
    )


def _length(input: Tensor, dim: int, name: str) -> int:
    if not input.array.ndim:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor, got one of 0 axes")
    return input.array.shape[axis_index(dim, input.array.ndim)]


def _chosen(name: str, *cuts: Any) -> Any:
    """The one of the arguments that is given. They have one place, and a name for each kind."""
    given = [cut for cut in cuts if cut is not None]
    if len(given) != 1:
        raise TypeError(f"{name}() takes either sections, a number, or indices, got {given}")
    return given[0]


def _split_along(name: str, axis: int, least: int) -> Any:
    def function(input: Tensor, sections: Any = None, *, indices: Any = None) -> tuple[Tensor, ...]:
        cuts = _chosen(name, sections, indices)
        ndim = input.array.ndim
        if ndim < least:
            raise RuntimeError(
                f"{name} requires a tensor with at least {least} dimension, but got a tensor with "
                f"{ndim} dimensions!"
            )
        dim = 0 if ndim == 1 else axis
        n = input.array.shape[dim]
        if isinstance(cuts, WHOLE) and (cuts < 1 or n % cuts):
            raise RuntimeError(
                f"{name} attempted to split along dimension {dim}, but the size of the dimension "
                f"{n} is not divisible by the split_size {cuts}!"
            )
        return tensor_split(input, cuts, dim)

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
    return one_of_several(select(input, dim, i) for i in range(n))
