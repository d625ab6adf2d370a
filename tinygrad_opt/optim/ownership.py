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
from ..arrays.memory import as_owner, owner
from ..arrays.namespace import is_writable
from ..arrays.xp import array_namespace, same_library
from ..core.tensor import Tensor, wrap_plain
from .walking import MANY, WALKS_PAY, Walk

__all__ = ["GradSlot", "Homes", "gather", "gradient_held_alone", "held_alone"]

_references = sys.getrefcount


class _Probe:
    """Attributes held once, to learn what `getrefcount` says of an object nobody else holds."""

    __slots__ = ("array",)

    array: Any


_probe = _Probe()
_probe.array = np.zeros(2)[:1]
_ALONE = _references(_probe.array)  # held by one attribute
_HELD = _ALONE + 1  # held by a GradSlot and by Homes
_VIEW_HELD = _HELD + 1  # by the slot's tensor, too
_OWNER_ALONE = _references(_probe.array.base)  # held by one view


class GradSlot:
    """A parameter's place in the flat gradient; the engine writes the first gradient here.

    buffer[start:stop] of the flat gradient is its memory, `size` elements; `tensor` the `.grad`
    that lies there. `place` is the same memory for a pass to write to, which borrows it meanwhile.
    """

    __slots__ = ("_spare", "buffer", "place", "size", "start", "stop", "tensor", "view")

    def __init__(self, buffer: Any, start: int, stop: int, shape: tuple[int, ...]) -> None:
        self.buffer, self.start, self.stop, self.size = buffer, start, stop, stop - start
        self.place = buffer[start:stop].reshape(shape)
        self.view = as_owner(self.place)  # whose views count, as holders of this one
        self.tensor = wrap_plain(self.view)
        self._spare = [self.place]

    def holds(self, g: Tensor | None) -> bool:
        """Whether `g` is the gradient that lies here: `g.data = ...` takes it elsewhere."""
        return g is self.tensor and g.array is self.view

    def receive(self, g: Any) -> Tensor:
        """A Tensor that holds `g`: the slot's own, or another if this one is taken or unfit."""
        if g is self.place:
            return self.tensor  # written there
        alike = type(g) is type(self.place) or same_library(g, self.place)
        place = self.lend(g.shape, g.dtype) if alike else None
        if place is None:
            return wrap_plain(g.copy())
        place[...] = g
        self._spare.append(place)
        return self.tensor

    def lend(self, shape: Any, dtype: Any) -> Any:
        """`place`, for an array of this shape and dtype; None if it is taken or unfit.

        A loan ends with `take_back()`. Until then nobody else writes there.
        """
        if _references(self.tensor) > _HELD:
            return None  # somebody kept the last gradient
        self.tensor.array = self.view
        if _references(self.view) > _VIEW_HELD:
            return None  # or its memory
        place = self.place
        if shape != place.shape or dtype != place.dtype:
            return None
        try:
            return self._spare.pop()  # of several threads, one gets it
        except IndexError:
            return None

    def take_back(self) -> None:
        """End a loan."""
        self._spare.append(self.place)


class Homes:
    """Parameters with their places in a FlatGroup: what is looked at before each step."""

    __slots__ = ("_all", "_looks", "_walk")

    def __init__(self) -> None:
        self._all: list[tuple[Any, Any, Any, Any, GradSlot]] = []
        self._looks = 0  # at parameters
        self._walk: Walk | None = None  # which does the same in machine code

    def __len__(self) -> int:
        return len(self._all)

    def add(self, p: Any, view: Any, slot: GradSlot) -> None:
        """One more: the parameter, its place, and that of its gradient."""
        self._all.append((p, view, slot.tensor, slot.view, slot))

    def walked(self, params: Any) -> bool:
        """Whether the parameters are these and `hold_all`, asked of machine code; else look."""
        if self._walk is None:
            if self._looks < WALKS_PAY or len(self._all) < MANY:
                return False
            self._walk = Walk(self._all)
        return type(params) is list and self._walk(params)

    def hold_all(self) -> bool:
        """Whether all lies in its place; gradients that were assigned are copied there."""
        away = self._away()
        if away is None:
            return False
        self._looks += len(self._all) + 20 * len(away)  # which take so much longer
        return not (away and gather(away))

    def _away(self) -> list[tuple[GradSlot, Any]] | None:
        """Slots with gradients that lie elsewhere; None where a parameter does.

        By itself: what its names hold at the end of the loop must not count as held.
        """
        away = []
        for p, view, tensor, place, slot in self._all:
            if p.array is not view:
                return None
            if p._grad is not tensor or tensor.array is not place:
                away.append((slot, p._grad))
        return away


def gather(away: list[tuple[GradSlot, Any]]) -> list[GradSlot]:
    """Copy gradients that were assigned into their slots, neighbours in one call.

    away: slots of one buffer, in order, with what `.grad` holds.  Returns the slots for which that
    could not be done: there is no gradient, or one of rows, or somebody kept the last one.
    """
    buffer = away[0][0].buffer
    kind, dtype = type(buffer), buffer.dtype
    left: list[GradSlot] = []
    pieces: list[
        tuple[int, int, list[Any]]
    ] = []  # start and stop in the buffer, and what goes there
    start = stop = 0
    arrays: list[Any] = []
    for slot, g in away:
        if (
            type(g) is not Tensor
            or (array := g.array).size != slot.size
            or array.dtype != dtype
            or type(array) is not kind
            or _references(slot.tensor) > _HELD
            or slot.tensor.array is not slot.view
            or _references(slot.view) > _VIEW_HELD
            or not slot._spare  # a pass, of another thread, writes here
        ):
            left.append(slot)
            continue
        if (array.base is not None or array is buffer) and owner(array) is buffer:
            return [slot for slot, _ in away]  # what is copied might overwrite what is to be copied
        if slot.start != stop:
            pieces.append((start, stop, arrays))
            start, arrays = slot.start, []
        arrays.append(array)
        stop = slot.stop
    concatenate = array_namespace(buffer).concatenate
    for a, b, piece in (*pieces, (start, stop, arrays)):
        if piece:
            concatenate(piece, None, out=buffer[a:b])
    return left


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
