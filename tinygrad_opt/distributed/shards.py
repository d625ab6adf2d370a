"""A flat vector of parameters cut into the parts of the ranks, for `optim.py`.

A rank's part is held twice: within the whole vector, which parameters are views of, and as pieces
that an ordinary optimizer steps, in its own flat buffer. So a step is the same kernel call as ever,
over the part.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from ..core.tensor import wrap_plain
from ..core.versions import note_write
from ..nn.parameter import Parameter
from ..optim.flat import FlatGroup
from .groups import ProcessGroup, even

__all__ = ["Piece", "Shard", "cut_at_parameters"]


class Piece(NamedTuple):
    """Elements start to stop of parameter `number` of a vector, as a parameter of their own."""

    number: int
    start: int
    stop: int
    tensor: Any


class Shard:
    """One flat vector of parameters, and this rank's part of it.

    numbers: what the parameters are called in state dicts, all groups counted through.
    whole: cut between parameters, for rules that need all elements of one.
    """

    def __init__(
        self, flat: FlatGroup, numbers: list[int], group: ProcessGroup, whole: bool
    ) -> None:
        self.flat, self.numbers, self.group = flat, numbers, group
        total, ranks = flat.offsets[-1], group.size()
        self.bounds = cut_at_parameters(flat.offsets, ranks) if whole else even(total, ranks)
        self._staging: Any = None
        self.pieces: list[Piece] = []
        first, last = self.bounds[group.rank()], self.bounds[group.rank() + 1]
        for i, (a, b) in enumerate(pairwise(flat.offsets)):
            start, stop = max(a, first) - a, min(b, last) - a
            if start < stop or (whole and a == b and first <= a < last):
                values = flat.params[i].array.reshape(-1)[start:stop].copy()
                if whole:
                    values = values.reshape(flat.params[i].array.shape)
                self.pieces.append(Piece(i, start, stop, Parameter(wrap_plain(values))))

    def take_gradients(self, averaged: bool) -> None:
        """Every piece gets its part of the mean gradient; None where the parameter has none."""
        if not averaged:
            self._average()
        for number, start, stop, piece in self.pieces:
            g = self.flat.params[number]._grad
            piece._grad = None
            if g is not None:
                part = g.array.reshape(-1)[start:stop]
                piece._grad = wrap_plain(part.reshape(piece.array.shape))

    def _average(self) -> None:
        """reduce_scatter: this rank's part of the gradients becomes the mean over the ranks."""
        flat = self.flat
        present = [p for p in flat.params if p._grad is not None]
        vector, home = self._gradient_vector()
        self.group.reduce_parts(vector, self.bounds, "avg")
        if home or not present:
            return
        first, last = self.bounds[self.group.rank()], self.bounds[self.group.rank() + 1]
        for p, (a, b) in zip(flat.params, pairwise(flat.offsets), strict=True):
            start, stop = max(a, first), min(b, last)
            if p._grad is not None and start < stop:
                p._grad.array.reshape(-1)[start - a : stop - a] = vector[start:stop]

    def _gradient_vector(self) -> tuple[Any, bool]:
        """All gradients as one vector, and whether it is their own memory."""
        flat = self.flat
        slots = flat.slots
        if flat.ready() and flat.at_home and all(
            slot is not None and slot.holds(p._grad)
            for slot, p in zip(slots, flat.params, strict=True)
        ):  # fmt: skip
            return flat.gradient, True
        vector = self._room()
        for p, (a, b) in zip(flat.params, pairwise(flat.offsets), strict=True):
            vector[a:b] = 0 if p._grad is None else p._grad.array.reshape(-1)
            if p._grad is not None and not p._grad.array.flags.c_contiguous:
                p._grad.array = flat.xp.ascontiguousarray(p._grad.array)
        return vector, False

    def _room(self) -> Any:
        if self._staging is None:
            self._staging = self.flat.xp.empty(self.flat.offsets[-1], self.flat.dtype)
        return self._staging

    def take_values(self) -> None:
        """The pieces hold what the parameters hold."""
        for number, start, stop, piece in self.pieces:
            part = self.flat.params[number].array.reshape(-1)[start:stop]
            piece.array[...] = part.reshape(piece.array.shape)

    def give_values(self) -> None:
        """all_gather: the parameters hold what the pieces of all ranks hold."""
        flat = self.flat
        home = flat.at_home and flat.ready()
        vector = flat.values if home else self._room()
        for number, start, stop, piece in self.pieces:
            a = flat.offsets[number]
            vector[a + start : a + stop] = piece.array.reshape(-1)
        self.group.spread_parts(vector, self.bounds, "parameters")
        if home:
            note_write(vector)
            return
        for p, (a, b) in zip(flat.params, pairwise(flat.offsets), strict=True):
            p.array[...] = vector[a:b].reshape(p.array.shape)
            note_write(p.array)


def cut_at_parameters(offsets: list[int], ranks: int) -> list[int]:
    """As even parts as they can be where every part begins with a parameter."""
    total, bounds = offsets[-1], [0]
    for k in range(1, ranks):
        nearest = min(offsets, key=lambda offset: abs(offset - total * k / ranks))
        bounds.append(max(nearest, bounds[-1]))
    return [*bounds, total]
