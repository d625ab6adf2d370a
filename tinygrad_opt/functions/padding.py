"""Padding: more elements around a tensor, or fewer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core.tensor import Tensor
from .shape import along

__all__ = ["constant_pad_nd", "pad"]


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """With `pad` elements more: (left, right) of the last axis, then of the one before, ...

    Negative numbers crop, before anything else is done. `mode`: "constant" (`value`, 0 by
    default); or, for the one to three last axes of batches, "reflect" (mirrored at the outermost
    element), "replicate" (that element again), "circular" (from the other end).
    """
    sides, ndim = tuple(int(n) for n in pad), input.array.ndim
    if len(sides) % 2:
        raise RuntimeError(f"pad: Padding length must be divisible by 2, got {len(sides)}")
    if len(sides) > 2 * ndim:
        raise RuntimeError(
            "pad: Padding length should be less than or equal to two times the input dimension but "
            f"got padding length {len(sides)} and input of dimension {ndim}"
        )
    axes = [(ndim - 1 - i, sides[2 * i], sides[2 * i + 1]) for i in range(len(sides) // 2)]
    if mode == "constant":
        return _constant(input, axes, 0 if value is None else value)
    if mode not in _PLACES:
        raise NotImplementedError(f"pad: Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if ndim not in (len(axes) + 1, len(axes) + 2) or not 1 <= len(axes) <= 3:
        raise NotImplementedError(
            f"Padding size {len(sides)} is not supported for {ndim}D input tensor: in the mode "
            f"{mode!r} it pads the last one, two or three of two to five axes"
        )
    _check_room(mode, input.array.shape, axes)
    shape, first = input.array.shape, ndim - len(axes)
    flat = np.zeros((), np.int64)  # places in the flat image, so that it is gone over once
    for axis, left, right in reversed(axes):
        flat = flat[..., None] * shape[axis] + _PLACES[mode](shape[axis], left, right)
    cells = ops.reshape(input, shape=(*shape[:first], math.prod(shape[first:])))
    taken = ops.getitem(cells, index=along(first, first + 1, flat.ravel()))
    return ops.reshape(taken, shape=(*shape[:first], *flat.shape))


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """`pad` with a constant, by the name it has inside PyTorch."""
    return _padded(input, pad, "constant", value)


_padded = pad  # which the argument hides


def _constant(x: Tensor, axes: list[tuple[int, int, int]], value: float) -> Tensor:
    shape, kept = list(x.array.shape), [slice(None)] * x.array.ndim
    there = list(kept)
    for axis, left, right in axes:
        n = shape[axis]
        if n + left + right < 0 or n + min(left, 0) + min(right, 0) < 0:
            raise RuntimeError(
                f"pad: padding ({left}, {right}) crops more than dimension {axis} of size {n} has: "
                "narrow(): length must be non-negative."
            )
        shape[axis] = n + left + right
        kept[axis] = slice(max(-left, 0), n + min(right, 0))
        there[axis] = slice(max(left, 0), shape[axis] - max(right, 0))
    inner = ops.getitem(x, index=tuple(kept)) if any(min(a[1:]) < 0 for a in axes) else x
    return ops.framed(inner, shape=tuple(shape), index=tuple(there), value=value)


def _check_room(mode: str, shape: tuple[int, ...], axes: list[tuple[int, int, int]]) -> None:
    if mode == "circular":
        for axis, left, right in axes:
            n = shape[axis]
            rest = n + min(left, 0) + min(right, 0)
            if max(left, right, 0) > rest:
                raise RuntimeError(
                    f"Padding value causes wrapping around more than once: ({left}, {right}) at "
                    f"dimension {axis} of size {n}"
                )
        return
    batched = len(shape) == len(axes) + 2
    if 0 in shape[batched:]:
        raise RuntimeError(
            f"pad: Expected {len(axes) + 1}D or {len(axes) + 2}D (batch mode) tensor with possibly "
            "0 batch size and other non-zero dimensions for input, but got: "
            f"{list(shape)} in the mode {mode!r}"
        )
    for axis, left, right in axes:
        if mode == "reflect" and max(left, right) >= shape[axis]:
            raise RuntimeError(
                "Padding size should be less than the corresponding input dimension, but got: "
                f"padding ({left}, {right}) at dimension {axis} of size {shape[axis]}"
            )
    sizes = [shape[axis] + left + right for axis, left, right in axes]
    if max(sizes) < 1 or min(sizes) < 0:
        raise RuntimeError(
            f"pad: nothing is left of the input of shape {list(shape)}: with the padding "
            f"{[side for axis in axes for side in axis[1:]]} its last sizes would be {sizes[::-1]}"
        )


# Which element of an axis of n stands where.


def _mirrored(n: int, left: int, right: int) -> Any:
    p = np.abs(np.arange(-left, n + right))
    return np.where(p < n, p, 2 * (n - 1) - p)


def _repeated(n: int, left: int, right: int) -> Any:
    return np.clip(np.arange(-left, n + right), 0, n - 1)


def _from_the_other_end(n: int, left: int, right: int) -> Any:
    first, rest = max(-left, 0), n + min(left, 0) + min(right, 0)
    if rest == 0:
        return np.zeros(0, int)
    return first + np.arange(-max(left, 0), rest + max(right, 0)) % rest


_PLACES: dict[str, Any] = {
    "reflect": _mirrored,
    "replicate": _repeated,
    "circular": _from_the_other_end,
}
