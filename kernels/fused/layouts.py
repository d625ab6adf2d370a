"""Arrays as the kernels' signatures want them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LARGE = 16_384  # elements from which on a copy costs more than to think of sparing it


def plain(x: Any) -> Any:
    """x, copied unless it is contiguous, aligned and writable."""
    return x if x.flags.carray else np.array(x, order="C")


def gradient(g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A gradient of that shape and type, as `plain`; ValueError if it does not broadcast to it."""
    if g.shape == shape and g.dtype is dtype and g.flags.carray:
        return g
    return np.array(np.broadcast_to(g, shape), dtype, order="C")


def as_rows(arrays: Sequence[Any]) -> list[Any] | None:
    """Views of arrays of one shape and type as matrices whose rows each stand side by side.

    None where they do not lie so, all in the same way.
    """
    shape, length = arrays[0].shape, arrays[0].itemsize
    for x in arrays:
        if x.shape != shape:
            return None
    if len(shape) == 2:
        return list(arrays) if all(x.strides[1] == length for x in arrays) else None
    first = len(shape)  # of the axes that make up a row
    while first and all(x.strides[first - 1] == length for x in arrays):
        first -= 1
        length *= shape[first]
    if first == len(shape):
        return None
    for axis in range(first - 1):
        if any(x.strides[axis] != x.strides[axis + 1] * shape[axis + 1] for x in arrays):
            return None
    rows = math.prod(shape[:first]), math.prod(shape[first:])
    made = [x.reshape(rows) for x in arrays]
    # An axis of one element has any stride.
    return made if all(x.strides[1] == x.itemsize for x in made) else None


def like_each(arrays: Sequence[Any]) -> list[Any]:
    """An array of the shape and type of each; views of one, if the arrays make up one as they lie.

    So query, key and value, which one projection made side by side, have gradients side by side.
    """
    base = arrays[0].base
    if (
        type(base) is not np.ndarray
        or base.size < LARGE
        or not base.flags.carray
        or any(x.base is not base or x.dtype is not base.dtype for x in arrays)
        or sum(x.size for x in arrays) != base.size
        or not are_apart(arrays)
    ):
        return [np.empty_like(x) for x in arrays]
    whole, start = np.empty_like(base), _address(base)
    return [np.ndarray(x.shape, x.dtype, whole, _address(x) - start, x.strides) for x in arrays]


def _address(x: Any) -> int:
    return x.__array_interface__["data"][0]


def are_apart(arrays: Sequence[Any]) -> bool:
    """Whether several arrays of one layout, none empty, share no byte, nor does one with itself.

    False where that takes more than to look at the axes, from the shortest step to the longest.
    """
    first, *others = arrays
    if any((x.shape, x.strides) != (first.shape, first.strides) for x in others):
        return False
    places = sorted(map(_address, arrays))
    steps = [b - a for a, b in itertools.pairwise(places)]
    nearest, reach, extent = min(steps), sum(steps), first.itemsize
    within = True  # an array's axes that lie between the places of two arrays
    for stride, n in sorted(zip(first.strides, first.shape, strict=True)):
        if n == 1:
            continue
        if within and nearest >= extent and stride >= reach + extent:
            within, extent = False, reach + extent
        if stride < extent:
            return False
        extent += (n - 1) * stride
    return not within or nearest >= extent
