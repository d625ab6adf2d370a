"""The same elements in other places, or several times: turning round, shifting, repeating."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..arrays.size import WHOLE
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.node import Variable
from ..core.refusals import check_tensor
from ..core.tensor import Tensor, wrap_plain
from .shape import along, axes_of, ravel, sizes_of, transpose

__all__ = ["flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile"]


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
    moves = (shifts,) if isinstance(shifts, WHOLE) else tuple(shifts)
    axes = () if dims is None else (dims,) if isinstance(dims, WHOLE) else tuple(dims)
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
    pairs = list(zip(times, shape, strict=True))
    apart = tuple(k for m, n in pairs for k in ((n,) if m == 1 else (1, n)))
    spread = tuple(k for m, n in pairs for k in ((n,) if m == 1 else (m, n)))
    y = ops.broadcast_to(ops.reshape(input, shape=apart), shape=spread)
    y = ops.reshape(y, shape=tuple(m * n for m, n in pairs))
    return ops.clone(y) if math.prod(times) == 1 else y


def tile(input: Tensor, dims: Any, *more: int) -> Tensor:
    """Like `repeat`; axes that `dims` leaves out, on the left, are taken once."""
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
    if not isinstance(counts, WHOLE) and counts.size not in (1, x.array.shape[axis]):
        raise RuntimeError(
            f"repeat_interleave: repeats must have the same size as input along dim, got "
            f"{counts.size} and {x.array.shape[axis]}"
        )
    if isinstance(counts, WHOLE) and counts < 0:
        raise RuntimeError(f"repeat_interleave: Repeats must be non-negative, got {counts}")
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if isinstance(counts, WHOLE) and counts > 1 and n > 1:  # then it is a copy
        apart = ops.reshape(x, shape=(*before, n, 1, *after))
        y = ops.broadcast_to(apart, shape=(*before, n, counts, *after))
        return ops.reshape(y, shape=(*before, n * counts, *after))
    places = xp(x.array).repeat(xp(x.array).arange(x.array.shape[axis]), counts)
    return ops.getitem(x, index=along(axis, x.array.ndim, places))
