"""The same elements in other places, or several times: turning round, shifting, repeating."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from itertools import combinations as index_combinations
from itertools import combinations_with_replacement, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.promote import promoted
from ..core.public import check_tensor
from ..core.tensor import wrap_plain
from .shape import along, axes_of, broadcast_to, ravel, select, sizes_of, transpose, unsqueeze

if TYPE_CHECKING:
    from ..core.tensor import Tensor

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "cat", "chunk",
    "column_stack", "combinations", "concat", "concatenate", "dsplit", "dstack", "flip", "fliplr",
    "flipud", "hsplit", "hstack", "meshgrid", "repeat", "repeat_interleave", "roll", "rot90",
    "row_stack", "split", "split_with_sizes", "stack", "tensor_split", "tile", "unbind", "vsplit",
    "vstack",
]  # fmt: skip


def flip(input: Tensor, dims: Any, *more: int) -> Tensor:
    """Reversed along `dims`: a copy."""
    axes = axes_of(sizes_of((dims, *more)), input.array.ndim)
    return ops.flip(input, axis=axes) if input.array.ndim else ops.clone(input)


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


def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
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
    if input.array.ndim < 2:
        raise RuntimeError(
            f"rot90: expected total dims >= 2, but got total dims = {input.array.ndim}"
        )
    if axis_index(a, input.array.ndim) == axis_index(b, input.array.ndim):
        raise RuntimeError(f"rot90: expected rotation dims to be different, but got {a} and {b}")
    turns = k % 4
    if turns == 0:
        return ops.clone(input)
    if turns == 2:
        return flip(input, a, b)
    return transpose(flip(input, b), a, b) if turns == 1 else flip(transpose(input, a, b), b)


# Repeating ----------------------------------------------------------------------------------------


def repeat(input: Tensor, repeats: Any, *more: int) -> Tensor:
    """The whole tensor laid side by side, so many times along each axis: a copy."""
    times = sizes_of((repeats, *more))
    shape = tuple(input.array.shape)
    extra = len(times) - len(shape)
    if extra < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor: got {times} for shape {shape}"
        )
    if any(n < 0 for n in times):
        raise RuntimeError(f"repeat: Trying to create tensor with negative dimension {times}")
    shape = (1,) * extra + shape
    apart = tuple(k for n in shape for k in (1, n))
    spread = tuple(k for m, n in zip(times, shape, strict=True) for k in (m, n))
    y = ops.broadcast_to(ops.reshape(input, shape=apart), shape=spread)
    y = ops.reshape(y, shape=tuple(m * n for m, n in zip(times, shape, strict=True)))
    return ops.clone(y) if math.prod(times) == 1 else y


def tile(input: Tensor, dims: Any, *more: int) -> Tensor:
    """As `repeat`; axes that `dims` leaves out, on the left, are taken once."""
    times = sizes_of((dims, *more))
    return repeat(input, (*(1,) * (input.array.ndim - len(times)), *times))


def repeat_interleave(
    input: Tensor | None = None, repeats: Any = None, dim: int | None = None,
    *, output_size: int | None = None,
) -> Tensor:  # fmt: skip
    """Each element (or slice along `dim`) so many times in a row; `repeats` may differ for each.

    With one tensor of counts alone: the position i, counts[i] times. `output_size` is not needed.
    """
    if input is None or repeats is None:
        counts: Any = repeats if input is None else input
        check_tensor("repeat_interleave", "repeats", counts)
        counts = counts.array
        return wrap_plain(xp(counts).repeat(xp(counts).arange(counts.size), counts))
    x = input if dim is not None else ravel(input)
    axis = axis_index(dim or 0, x.array.ndim)
    counts = repeats.array if isinstance(repeats, Variable) else repeats
    if not isinstance(counts, int) and counts.size not in (1, x.array.shape[axis]):
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, got "
            f"{counts.size} and {x.array.shape[axis]}"
        )
    places = xp(x.array).repeat(xp(x.array).arange(x.array.shape[axis]), counts)
    return ops.getitem(x, index=along(axis, x.array.ndim, places))


# Splitting a tensor along an axis: all pieces are views -------------------------------------------


def _pieces(input: Tensor, edges: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    return tuple(
        ops.getitem(input, index=along(dim, input.array.ndim, slice(a, b)))
        for a, b in pairwise(edges)
    )


def _length(input: Tensor, dim: int, name: str) -> int:
    if not input.array.ndim:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor, got one of 0 axes")
    return input.array.shape[axis_index(dim, input.array.ndim)]


def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Pieces of so many along `dim` (the last may be smaller), or of the listed sizes."""
    n, split_size = _length(tensor, dim, "split"), split_size_or_sections
    if not isinstance(split_size, int):
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
    return _pieces(tensor, [*starts, n], dim)


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


def tensor_split(
    input: Tensor, sections: Any = None, dim: int = 0, *, indices: Any = None,
    tensor_indices_or_sections: Tensor | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """So many pieces along `dim`, the first ones longer by one; or cut at the listed places."""
    n = _length(input, dim, "tensor_split")
    cuts = _chosen("tensor_split", sections, indices, tensor_indices_or_sections)
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
        if isinstance(cuts, int) and (cuts < 1 or n % cuts):
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
    return tuple(select(input, dim, i) for i in range(n))


# Joining tensors, and making grids and combinations of them ---------------------------------------


Tensors = Sequence["Tensor"]


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along `dim`; their other sizes must agree."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(
            "cat(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}; write cat([a, b])"
        )
    parts = list(tensors)
    if not parts:
        raise ValueError("cat: expected a non-empty list of Tensors")
    # A 1-D tensor without elements may stand beside anything: the start of many loops.
    parts = [x for x in parts if x.array.shape != (0,)] or parts[:1]
    for i, part in enumerate(parts):
        if not part.array.ndim:
            raise RuntimeError(
                f"zero-dimensional tensor (at position {i}) cannot be concatenated; use stack"
            )
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
    return ops.concatenate(promoted(*parts), axis=dim)


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
    return ops.stack(promoted(*parts), axis=dim)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: each 1-D tensor spread over the axes of all the others.

    `indexing="xy"` exchanges the first two axes, as in plots.
    """
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for x in _listed(tensors, "meshgrid"):
        if x.array.ndim > 1:
            raise RuntimeError(
                "meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{list(x.array.shape)}"
            )
    lines = [ravel(x) for x in _listed(tensors, "meshgrid")]
    shape = tuple(x.array.size for x in lines)
    grids = []
    for i, x in enumerate(lines):
        spread = tuple(-1 if i == j else 1 for j in range(len(lines)))
        grids.append(broadcast_to(ops.reshape(x, shape=spread), shape))
    if indexing == "xy" and len(lines) > 1:
        grids = [transpose(grid, 0, 1) for grid in grids]
    return tuple(grids)


def _listed(tensors: tuple[Any, ...], name: str) -> list[Any]:
    """The tensors of `f(a, b)` and of `f([a, b])` alike, f being called `name`."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    for x in tensors:
        check_tensor(name, "tensors", x)
    return list(tensors)


def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors as 1-d; a tuple for several tensors."""
    return _each(tensors, "atleast_1d", lambda x: x if x.array.ndim else x.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """Tensors of fewer axes as rows (1, n); a tuple for several tensors."""
    return _each(
        tensors,
        "atleast_2d",
        lambda x: x if x.array.ndim > 1 else ops.reshape(x, shape=(1, x.array.size)),
    )


def atleast_3d(*tensors: Any) -> Any:
    """Vectors as (1, n, 1), matrices as (n, m, 1); a tuple for several tensors."""

    def widened(x: Tensor) -> Tensor:
        if x.array.ndim > 2:
            return x
        return unsqueeze(x if x.array.ndim == 2 else atleast_2d(x), -1)

    return _each(tensors, "atleast_3d", widened)


def _each(tensors: tuple[Any, ...], name: str, function: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Variable):
        return function(tensors[0])
    return tuple(function(x) for x in _listed(tensors, name))


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
    for i, x in enumerate(blocks):
        if x.array.ndim > 2:
            raise RuntimeError(
                "block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {x.array.ndim} dimensions"
            )
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
    for x in tensors:
        if x.array.ndim != 1:
            raise RuntimeError(f"cartesian_prod: Expect a 1D vector, but got shape {x.array.shape}")
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


concat = concatenate = cat


row_stack = vstack
