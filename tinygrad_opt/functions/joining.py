"""Joining, splitting and turning round."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import combinations as index_combinations
from itertools import combinations_with_replacement, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..autograd.errors import axis_index
from ..autograd.graph import Variable
from ..backend import xp
from .shape import along, axes_of, broadcast_to, ravel, select, sizes_of, transpose, unsqueeze

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "cat", "chunk",
    "column_stack", "combinations", "concat", "concatenate", "dsplit", "dstack", "flip", "fliplr",
    "flipud", "hsplit", "hstack", "meshgrid", "roll", "rot90", "row_stack", "split",
    "split_with_sizes", "stack", "tensor_split", "unbind", "vsplit", "vstack",
]  # fmt: skip

Tensors = Sequence["Tensor"]


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along `dim`; their other sizes must agree."""
    parts = list(tensors)
    if not parts:
        raise ValueError("cat: expected a non-empty list of Tensors")
    # A 1-D tensor without elements may stand beside anything: the start of many loops.
    parts = [x for x in parts if x.array.shape != (0,)] or parts[:1]
    shape = parts[0].shape
    joined = axis_index(dim, len(shape))
    for i, part in enumerate(parts):
        if len(part.shape) != len(shape):
            raise RuntimeError(
                f"cat: Tensors must have same number of dimensions: got {len(shape)} and "
                f"{len(part.shape)} (tensor number {i})"
            )
        for axis, (n, m) in enumerate(zip(shape, part.shape, strict=True)):
            if n != m and axis != joined:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} "
                    f"but got size {m} for tensor number {i} in the list."
                )
    return ops.concatenate(parts, axis=dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new axis `dim`."""
    parts = list(tensors)
    if not parts:
        raise RuntimeError("stack expects a non-empty TensorList, got none")
    for i, part in enumerate(parts):
        if tuple(part.shape) != tuple(parts[0].shape):
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at "
                f"entry 0 and {list(part.shape)} at entry {i}"
            )
    return ops.stack(parts, axis=dim)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid: each 1-D tensor spread over the axes of all the others.

    `indexing="xy"` exchanges the first two axes, as in plots.
    """
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    lines = [ravel(x) for x in _listed(tensors)]
    shape = tuple(x.array.size for x in lines)
    grids = []
    for i, x in enumerate(lines):
        spread = tuple(-1 if i == j else 1 for j in range(len(lines)))
        grids.append(broadcast_to(ops.reshape(x, shape=spread), shape))
    if indexing == "xy" and len(lines) > 1:
        grids = [transpose(grid, 0, 1) for grid in grids]
    return tuple(grids)


def _listed(tensors: tuple[Any, ...]) -> list[Any]:
    """The tensors of `f(a, b)` and of `f([a, b])` alike."""
    if len(tensors) == 1 and not isinstance(tensors[0], Variable):
        return list(tensors[0])
    return list(tensors)


def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors as 1-d; a tuple for several tensors."""
    return _each(tensors, lambda x: x if x.array.ndim else ops.reshape(x, shape=(1,)))


def atleast_2d(*tensors: Any) -> Any:
    """Tensors of fewer axes as rows (1, n); a tuple for several tensors."""
    return _each(
        tensors,
        lambda x: x if x.array.ndim > 1 else ops.reshape(x, shape=(1, x.array.size)),
    )


def atleast_3d(*tensors: Any) -> Any:
    """Vectors as (1, n, 1), matrices as (n, m, 1); a tuple for several tensors."""

    def widened(x: Tensor) -> Tensor:
        if x.array.ndim > 2:
            return x
        return unsqueeze(x if x.array.ndim == 2 else atleast_2d(x), -1)

    return _each(tensors, widened)


def _each(tensors: tuple[Any, ...], function: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Variable):
        return function(tensors[0])
    return tuple(function(x) for x in _listed(tensors))


def hstack(tensors: Tensors) -> Tensor:
    """Joined side by side: along the second axis, vectors along their only one."""
    parts = [atleast_1d(x) for x in tensors]
    if not parts:
        raise RuntimeError("hstack expects a non-empty TensorList, got none")
    return cat(parts, 0 if parts[0].array.ndim == 1 else 1)


def vstack(tensors: Tensors) -> Tensor:
    """Joined one below the other; vectors count as rows."""
    return cat([atleast_2d(x) for x in tensors], 0)


def dstack(tensors: Tensors) -> Tensor:
    """Joined along the third axis."""
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Tensors) -> Tensor:
    """Joined side by side; vectors count as columns."""
    return cat([x if x.array.ndim > 1 else ops.reshape(x, shape=(-1, 1)) for x in tensors], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones along its diagonal, 0 elsewhere."""
    blocks = [atleast_2d(x) for x in tensors]
    width = builtins.sum(x.array.shape[1] for x in blocks)
    rows, left = [], 0
    for x in blocks:
        n, m = x.array.shape
        empty = xp(x.array).zeros((n, width), x.array.dtype)
        rows.append(ops.put(empty, x, index=(slice(None), slice(left, left + m))))
        left += m
    return cat(rows, 0)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of one element from each vector, as rows."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([ravel(grid) for grid in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, as rows."""
    if input.array.ndim != 1:
        raise RuntimeError(f"combinations: Expect a 1D vector, but got shape {input.array.shape}")
    choose = combinations_with_replacement if with_replacement else index_combinations
    chosen = np.array(list(choose(range(input.array.size), r)), np.int64).reshape(-1, r)
    return ops.getitem(input, index=xp(input.array).asarray(chosen))


# Splitting ----------------------------------------------------------------------------------------


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


# Turning round ------------------------------------------------------------------------------------


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Reversed along `dims`: a copy."""
    return ops.flip(input, axis=axes_of(sizes_of(dims), input.array.ndim))


def fliplr(input: Tensor) -> Tensor:
    """Reversed along the second axis."""
    if input.array.ndim < 2:
        raise RuntimeError("fliplr: Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """Reversed along the first axis."""
    if input.array.ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d.")
    return flip(input, 0)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Moved by `shifts` along `dims`; what leaves at one end comes in at the other.

    Without `dims` all elements in a row are moved, and the shape is kept.
    """
    moves = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    axes = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not axes:
        if len(moves) != 1:
            raise RuntimeError(
                f"roll: shifts and dimensions must align. shifts: {len(moves)}, dims:0"
            )
        return ops.reshape(
            ops.roll(ravel(input), shift=moves[0], axis=0), shape=tuple(input.array.shape)
        )
    if len(moves) != len(axes):
        raise RuntimeError(
            f"roll: shifts and dimensions must align. shifts: {len(moves)}, dims:{len(axes)}"
        )
    return ops.roll(input, shift=moves, axis=tuple(axis_index(d, input.array.ndim) for d in axes))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k quarters in the plane of `dims`, from the first axis towards the second."""
    a, b = dims
    if axis_index(a, input.array.ndim) == axis_index(b, input.array.ndim):
        raise RuntimeError(f"rot90: expected rotation dims to be different, but got {a} and {b}")
    turns = k % 4
    if turns == 0:
        return ops.clone(input)
    if turns == 2:
        return flip(input, a, b)
    return transpose(flip(input, b), a, b) if turns == 1 else flip(transpose(input, a, b), b)


concat = concatenate = cat
row_stack = vstack
