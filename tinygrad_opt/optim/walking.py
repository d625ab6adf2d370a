"""A look at all parameters of a FlatGroup in machine code, where many steps are taken.

What `ownership.Homes` asks of each in Python is asked here in one call. It has to be compiled, or
loaded from the disk, for which some steps must have been taken first.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..arrays.memory import address
from ..core.tensor import wrap_plain
from ..kernels import objects
from ..tensors.gradients import quick

__all__ = ["MANY", "WALKS_PAY", "Walk"]

WALKS_PAY = 100_000  # looks at parameters that take as long as to load the machine code for them
MANY = 16  # parameters for which it is quicker
LARGEST = 1 << 24  # bytes of gradients: while they are copied, no other thread runs Python


class Walk:
    """Whether parameters and gradients lie in their places.

    homes: the parameters, their arrays, the gradients in their places with their arrays, and slots.

    Called with a list, it says True if that holds these parameters, and they do, or gradients lay
    elsewhere and were copied there. Else nothing was changed, and somebody has to look closer.
    """

    __slots__ = ("_arguments", "_held", "_walk")

    def __init__(self, homes: list[tuple[Any, Any, Any, Any, Any]]) -> None:
        self._held = list(homes)  # what the addresses are of
        buffer = homes[0][4].buffer
        small = type(buffer) is np.ndarray and buffer.nbytes <= LARGEST
        code = _code() if small else None
        if code is None:
            self._walk: Any = None
            return
        self._walk, layout = code
        width = buffer.itemsize
        table = [
            (*map(id, (p, view, tensor, place)), slot.start * width, slot.size * width,
             id(slot._spare))
            for p, view, tensor, place, slot in homes
        ]  # fmt: skip
        self._arguments = (
            np.array([*layout, id(buffer.dtype), width], np.int64),
            np.array(table, np.int64),
            np.zeros(len(homes), np.int64),
            address(buffer),
            buffer.nbytes,
        )

    def __call__(self, params: list[Any]) -> bool:
        walk = self._walk
        return walk is not None and walk(id(params), *self._arguments) != objects.OTHERWISE


@functools.cache
def _code() -> tuple[Any, list[int]] | None:
    """The machine code, and where a Tensor keeps its array and its gradient.

    From here on what is assigned to `.grad` is looked at so, too.
    """
    tensor = wrap_plain(np.zeros((2, 3), np.float32))
    tensor._grad = wrap_plain(np.zeros((2, 3), np.float32))
    layout = objects.layout(tensor)
    if layout is None:
        return None
    quick.fits = objects.fits(layout)
    return objects.walk(), layout
