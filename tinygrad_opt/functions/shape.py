"""Shapes: the same elements under other axes. Views of the same memory where that is possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any, cast

import numpy as np

from .. import ops
from ..arrays.size import WHOLE
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.tensor import Size, Tensor, wrap_plain

__all__ = [
    "broadcast_shapes", "broadcast_tensors", "broadcast_to", "expand", "expand_as", "flatten",
    "moveaxis", "movedim", "narrow", "permute", "ravel", "reshape", "reshape_as", "select",
    "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unfold", "unsqueeze", "view",
    "view_as",
]  # fmt: skip

Dim = int | Sequence[int] | None


def sizes_of(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """`(2, 3)` from `f(2, 3)`, `f((2, 3))` and `f([2, 3])` alike."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return tuple(map(int, shape))


def axes_of(dims: Sequence[int], ndim: int) -> tuple[int, ...]:
    """The axes counted from the front. Raises RuntimeError for one that appears twice."""
    axes = tuple(axis_index(d, ndim) for d in dims)
    for axis in axes:
        if axes.count(axis) > 1:
            raise RuntimeError(
                f"dim {axis} appears multiple times in the list of dims {list(dims)}"
            )
    return axes


def reshape(input: Tensor, shape: Any, *more: int) -> Tensor:
    """The same elements in another shape; one entry may be -1. A view where memory allows."""
    sizes = sizes_of((shape, *more))
    if sizes.count(-1) > 1:
        raise RuntimeError(f"only one dimension can be inferred, got the shape {list(sizes)}")
    try:
        return ops.reshape(input, shape=sizes)
    except RuntimeError as error:
        raise RuntimeError(
            f"shape '{list(sizes)}' is invalid for input of size {input.array.size}"
        ) from error


def view(input: Tensor, size: Any = None, *more: int, dtype: Any = None) -> Tensor:
    """The same memory in another shape, or (without gradient) read as another dtype.

    Raises RuntimeError where only a copy could have that shape; `reshape` makes one.
    """
    if size is None and dtype is None:
        raise TypeError("view() missing 1 required positional argument: 'size'")
    if size is None or not (
        isinstance(size, (tuple, list, Variable)) or hasattr(size, "__index__")
    ):
        return _view_as_type(input, np.dtype(dtype if size is None else size))
    result = reshape(input, size, *more)
    x, y = input.array, result.array
    if (
        result._base is None  # which a view knows
        and not x.flags.c_contiguous
        and x.size
        and not xp(x).may_share_memory(x, y)
    ):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return result


def _view_as_type(input: Tensor, dtype: Any) -> Tensor:
    try:
        return wrap_plain(input.array.view(dtype))
    except (TypeError, ValueError) as error:
        raise RuntimeError(
            f"view: {input.array.dtype} of shape {tuple(input.array.shape)} cannot be viewed as "
            f"{dtype}: {error}"
        ) from error


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of `other`."""
    return view(input, other.array.shape)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of `other`."""
    return reshape(input, other.array.shape)


def ravel(input: Tensor) -> Tensor:
    """All elements along one axis."""
    return reshape(input, -1)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """With the axis `dim` unfolded into axes of the given sizes; one may be -1."""
    shape = tuple(input.array.shape)
    at = axis_index(dim, len(shape))
    wanted = sizes_of((sizes,)) if isinstance(sizes, WHOLE) else sizes_of(tuple(sizes))
    if not wanted:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known:
        wanted = tuple(shape[at] // known if n == -1 else n for n in wanted)
    if math.prod(wanted) != shape[at]:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} "
            f"({shape[at]}) in the input tensor"
        )
    return ops.reshape(input, shape=(*shape[:at], *wanted, *shape[at + 1 :]))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes start_dim..end_dim joined into one."""
    shape = tuple(input.array.shape) or (1,)
    first, last = axis_index(start_dim, len(shape)), axis_index(end_dim, len(shape))
    if first > last:
        raise RuntimeError(
            "flatten() has invalid args: start_dim cannot come after end_dim, got "
            f"{start_dim} and {end_dim}"
        )
    if first == last and input.array.shape:
        return input
    joined = math.prod(shape[first : last + 1])
    return ops.reshape(input, shape=(*shape[:first], joined, *shape[last + 1 :]))


def squeeze(input: Tensor, dim: Dim = None) -> Tensor:
    """Without axes of length 1: all of them, or those of `dim` that have length 1."""
    shape = input.array.shape
    if dim is None:
        return ops.reshape(input, shape=tuple(n for n in shape if n != 1))
    one = hasattr(dim, "__index__")
    dims = axes_of((cast(int, dim),) if one else tuple(cast(Any, dim)), len(shape))
    return ops.reshape(
        input, shape=tuple(n for i, n in enumerate(shape) if i not in dims or n != 1)
    )


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With an axis of length 1 inserted at `dim`."""
    return ops.expand_dims(input, dim)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """With two axes exchanged."""
    return ops.swapaxes(input, dim0, dim1)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and scalars unchanged."""
    if len(input.array.shape) > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, got {input.array.ndim}")
    return ops.transpose(input)


def permute(input: Tensor, dims: Any, *more: int) -> Tensor:
    """With the axes in the order `dims`."""
    order, n = sizes_of((dims, *more)), input.array.ndim
    if len(order) != n:
        raise RuntimeError(
            f"permute: number of dimensions in the tensor input ({n}) does not match the length of "
            f"the desired ordering of dimensions {order}"
        )
    if len({axis_index(d, n) for d in order}) < n:
        raise RuntimeError(f"permute(): duplicate dims are not allowed, got {order}")
    return ops.transpose(input, axes=order)


def expand(input: Tensor, size: Any, *more: int) -> Tensor:
    """Broadcast to `size`, without copying; -1 keeps an axis."""
    wanted = sizes_of((size, *more))
    shape = input.array.shape
    extra = len(wanted) - len(shape)
    if extra < 0:
        raise RuntimeError(
            f"expand(tensor of {list(shape)}, size={list(wanted)}): the number of sizes provided "
            f"({len(wanted)}) must be greater or equal to the number of dimensions in the tensor "
            f"({len(shape)})"
        )
    full = tuple(shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(wanted))
    for i, (n, m) in enumerate(zip(full[extra:], shape, strict=True), extra):
        if n != m and m != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({m}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(wanted)}.  Tensor sizes: "
                f"{list(shape)}"
            )
    return ops.broadcast_to(input, shape=full)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Broadcast to the shape of `other`."""
    return expand(input, other.array.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Broadcast to `size`, without copying."""
    return expand(input, tuple(size))


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that arrays of these shapes broadcast to. RuntimeError if they do not."""
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise RuntimeError(
            f"Shape mismatch: objects cannot be broadcast to a single shape: {shapes}"
        ) from error


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, all broadcast to their common shape."""
    shape = broadcast_shapes(*(x.array.shape for x in tensors))
    return tuple(ops.broadcast_to(x, shape=tuple(shape)) for x in tensors)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """With the axes `source` (one or several) moved to `destination`; the others keep order."""
    n = input.array.ndim
    old = [axis_index(d, n) for d in ([source] if isinstance(source, WHOLE) else source)]
    new = [
        axis_index(d, n) for d in ([destination] if isinstance(destination, WHOLE) else destination)
    ]
    if len(old) != len(new):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source and destination must name as "
            f"many axes, got {source} and {destination}"
        )
    for name, given, found in (("source", source, old), ("destination", destination, new)):
        if len(set(found)) < len(found):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({given})")
    rest = iter(d for d in range(n) if d not in old)
    origin = dict(zip(new, old, strict=True))
    return ops.transpose(
        input, axes=tuple(origin[d] if d in origin else next(rest) for d in range(n))
    )


# Parts --------------------------------------------------------------------------------------------


def along(dim: int, ndim: int, index: Any) -> tuple[Any, ...]:
    """`x[:, :, index]`, where the index stands at the axis `dim`."""
    return (*(slice(None),) * axis_index(dim, ndim), index)


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` slices along `dim` from `start` on: a view."""
    if not input.array.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    n = input.array.shape[axis_index(dim, input.array.ndim)]
    first = int(start)
    if not -n <= first <= n:
        raise IndexError(
            f"narrow: start out of range (expected to be in range of [{-n}, {n}], but got {first})"
        )
    first += n if first < 0 else 0
    if length < 0 or first + length > n:
        raise RuntimeError(
            f"narrow(): length must be non-negative, and start ({first}) + length ({length}) "
            f"exceeds dimension size ({n})."
        )
    return ops.getitem(input, index=along(dim, input.array.ndim, slice(first, first + length)))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` along `dim`, without that axis: a view."""
    n = input.array.shape[axis_index(dim, input.array.ndim)] if input.array.ndim else 0
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.array.shape)} "
            f"at dimension {dim}"
        )
    return ops.getitem(input, index=along(dim, input.array.ndim, int(index)))


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The stretches of `size` along an axis that start every `step`, in a new last axis: a view."""
    axis = axis_index(dimension, input.array.ndim)
    n, size, step = input.array.shape[axis] if input.array.ndim else 1, index(size), index(step)
    if not 0 <= size <= n:
        raise RuntimeError(
            f"unfold: maximum size for tensor at dimension {dimension} is {n} but size is {size}"
        )
    if step < 1:
        raise RuntimeError(f"unfold: step is {step} but must be > 0")
    x = movedim(input, axis, -1) if input.array.ndim else ops.reshape(input, shape=(1,))
    y = ops.windows(x, size=size, step=step)
    return movedim(y, -2, axis) if input.array.ndim else ops.reshape(y, shape=(size,))


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """The same as `transpose`."""
    return ops.swapaxes(input, axis0, axis1)


swapdims = transpose
moveaxis = movedim


# Diagonals and triangles of matrices --------------------------------------------------------------
