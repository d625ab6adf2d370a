"""Who holds an array: what may be moved into a flat buffer, and what may be overwritten there.

Read from CPython's reference counts. Moving a parameter that somebody else looks at would cut that
view off; overwriting a gradient that somebody kept would change it behind his back. Both are left
alone instead.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..arrays.device import is_foreign
from ..arrays.namespace import is_writable
from ..arrays.xp import same_library
from ..core.tensor import Tensor, wrap_plain

__all__ = ["GradSlot", "gradient_held_alone", "held_alone"]

_references = sys.getrefcount


class _Probe:
    """Attributes held once, to learn what `getrefcount` says of an object nobody else holds."""

    __slots__ = ("array",)

    array: Any


_probe = _Probe()
_probe.array = np.zeros(2)[:1]
_ALONE = _references(_probe.array)  # held by one attribute
_IN_SLOT = _ALONE + 1  # held by a GradSlot and its tensor
_IN_USE, _VIEW_IN_USE = _ALONE + 2, _IN_SLOT + 2  # by the group's list, too, and a local name
_OWNER_ALONE = _references(_probe.array.base)  # held by one view


class GradSlot:
    """A parameter's place in the flat gradient; the engine writes the first gradient here.

    buffer[start:stop] of the flat gradient is its memory, `tensor` the `.grad` that lies there.
    """

    __slots__ = ("buffer", "start", "stop", "tensor", "view")

    def __init__(self, buffer: Any, start: int, stop: int, shape: tuple[int, ...]) -> None:
        self.buffer, self.start, self.stop = buffer, start, stop
        self.view = buffer[start:stop].reshape(shape)
        self.tensor = wrap_plain(self.view)

    def holds(self, g: Tensor | None) -> bool:
        """Whether `g` is the gradient that lies here: `g.data = ...` takes it elsewhere."""
        return g is self.tensor and g.array is self.view

    def receive(self, g: Any) -> Tensor:
        """A Tensor that holds `g`: the slot's own, or another if this one is taken or unfit."""
        return self.tensor if self._write(g) else wrap_plain(g.copy())

    def gather(self, g: Any) -> bool:
        """Copy a gradient that was assigned here, for a step; False where that cannot be."""
        if self.holds(g):
            return True
        return type(g) is Tensor and self._write(g.array)

    def _write(self, g: Any) -> bool:
        tensor, view = self.tensor, self.view
        if _references(tensor) > _IN_USE:
            return False  # somebody kept the last gradient
        tensor.array = view
        if _references(view) > _VIEW_IN_USE:
            return False  # or its memory
        if g.shape != view.shape or g.dtype != view.dtype or not same_library(g, view):
            return False
        view[...] = g
        return True


def gradient_held_alone(p: Tensor) -> bool:
    """Whether nobody but the parameter holds its gradient."""
    return _references(p._grad) <= _ALONE and not is_foreign(p._grad.array)


def held_alone(params: list[Tensor]) -> list[bool]:
    """For each parameter whether its memory is held by nothing but these parameters."""
    views_of: dict[int, int] = {}  # how many of the parameters view each owner
    for p in params:
        if p.array.base is not None:
            views_of[id(p.array.base)] = views_of.get(id(p.array.base), 0) + 1

    def alone(p: Tensor) -> bool:
        if _references(p.array) > _ALONE or not is_writable(p.array) or is_foreign(p.array):
            return False
        if p.array.base is None:
            return True
        others = views_of[id(p.array.base)] - 1
        return _references(p.array.base) <= _OWNER_ALONE + others

    return [alone(p) for p in params]
