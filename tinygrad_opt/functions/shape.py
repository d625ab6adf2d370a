"""Shapes, joining and splitting, indexing, products of vectors."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..autograd.errors import axis_index

if TYPE_CHECKING:
    from .._tensor import Tensor

Dim = int | Sequence[int] | None


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """`(2, 3)` from `f(2, 3)`, `f((2, 3))` and `f([2, 3])` alike."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return tuple(int(n) for n in shape)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one entry may be -1. A view where memory allows."""
    sizes = _sizes(shape)
    try:
        return ops.reshape(input, shape=sizes)
    except RuntimeError as error:
        raise RuntimeError(
            f"shape '{list(sizes)}' is invalid for input of size {input.array.size}"
        ) from error


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes start_dim..end_dim joined into one."""
    shape = tuple(input.array.shape) or (1,)
    first, last = axis_index(start_dim, len(shape)), axis_index(end_dim, len(shape))
    if first > last:
        raise RuntimeError(
            "flatten() has invalid args: start_dim cannot come after end_dim, got "
            f"{start_dim} and {end_dim}"
        )
    joined = math.prod(shape[first : last + 1])
    return ops.reshape(input, shape=(*shape[:first], joined, *shape[last + 1 :]))


def squeeze(input: Tensor, dim: Dim = None) -> Tensor:
    """Without axes of length 1: all of them, or those of `dim` that have length 1."""
    shape = input.array.shape
    if dim is None:
        return ops.reshape(input, shape=tuple(n for n in shape if n != 1))
    dims = {axis_index(d, len(shape)) for d in ([dim] if isinstance(dim, int) else dim)}
    return ops.reshape(
        input, shape=tuple(n for i, n in enumerate(shape) if i not in dims or n != 1)
    )


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With an axis of length 1 inserted at `dim`."""
    shape = input.array.shape
    at = axis_index(dim, len(shape) + 1)
    return ops.reshape(input, shape=(*shape[:at], 1, *shape[at:]))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """With two axes exchanged."""
    return ops.swapaxes(input, dim0, dim1)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and scalars unchanged."""
    if len(input.array.shape) > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, got {input.array.ndim}")
    return ops.transpose(input)


def permute(input: Tensor, *dims: Any) -> Tensor:
    """With the axes in the order `dims`."""
    order = _sizes(dims)
    if sorted(axis_index(d, input.array.ndim) for d in order) != list(range(input.array.ndim)):
        raise RuntimeError(
            f"permute: dims {order} are not an order of the {input.array.ndim} axes of the input"
        )
    return ops.transpose(input, axes=order)


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Broadcast to `sizes`, without copying; -1 keeps an axis."""
    wanted = _sizes(sizes)
    shape = input.array.shape
    extra = len(wanted) - len(shape)
    full = tuple(shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(wanted))
    return ops.broadcast_to(input, shape=full)


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Reversed along `dims`."""
    return ops.flip(input, axis=_sizes(dims))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along `dim`; their other sizes must agree."""
    parts = list(tensors)
    if not parts:
        raise ValueError("cat: expected a non-empty list of Tensors")
    shape = parts[0].shape
    along = axis_index(dim, len(shape))
    for i, part in enumerate(parts):
        if len(part.shape) != len(shape):
            raise RuntimeError(
                f"cat: Tensors must have same number of dimensions: got {len(shape)} and "
                f"{len(part.shape)} (tensor number {i})"
            )
        for axis, (n, m) in enumerate(zip(shape, part.shape, strict=True)):
            if n != m and axis != along:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} "
                    f"but got size {m} for tensor number {i} in the list."
                )
    return ops.concatenate(parts, axis=dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new axis `dim`."""
    parts = list(tensors)
    if not parts:
        raise RuntimeError("stack: expected a non-empty list of Tensors")
    for i, part in enumerate(parts):
        if tuple(part.shape) != tuple(parts[0].shape):
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at "
                f"entry 0 and {list(part.shape)} at entry {i}"
            )
    return ops.stack(parts, axis=dim)


def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of `split_size` along `dim` (the last may be smaller), or of the listed sizes."""
    along = axis_index(dim, input.array.ndim)
    n = input.array.shape[along]
    if isinstance(split_size, int):
        if split_size < 1:
            raise RuntimeError(f"split expects split_size to be positive, got {split_size}")
        sizes = [builtins.min(split_size, n - i) for i in range(0, n, split_size)]
    else:
        sizes = list(split_size)
    edges = np.cumsum([0, *sizes]).tolist()
    if edges[-1] != n:
        raise RuntimeError(
            f"split: split_sizes must sum to the size {n} of dimension {dim}, but got {sizes}"
        )
    return tuple(
        ops.getitem(input, index=(*(slice(None),) * along, slice(a, b))) for a, b in pairwise(edges)
    )


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.array.shape[axis_index(dim, input.array.ndim)]
    return split(input, builtins.max(1, -(-n // chunks)), dim)


# Indexing and products ----------------------------------------------------------------------------


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """input[i, index[i, j], k...]: the element along `dim` that `index` names."""
    return ops.take_along_axis(input, indices=index.array, axis=axis_index(dim, input.array.ndim))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along `dim` that `index` (1-D) lists."""
    along = axis_index(dim, input.array.ndim)
    return ops.getitem(input, index=(*(slice(None),) * along, index.array))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """input[:, None] * vec2[None, :]."""
    return ops.mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


def dot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if input.array.ndim != 1 or other.array.ndim != 1:
        raise RuntimeError(
            f"dot: 1D tensors expected, but got {input.array.ndim}D and {other.array.ndim}D tensors"
        )
    return ops.matmul(input, other)
