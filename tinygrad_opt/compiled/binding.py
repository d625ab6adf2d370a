"""The parts of a step, each with the arrays that it is called with.

Both kinds return 0, or the number of an assumption that does not hold.
"""

from __future__ import annotations

import functools
import struct
from typing import Any

import numpy as np

from ..optim.coefficients import with_scalars
from .segment import Part
from .values import Value

__all__ = ["CompiledPart", "EagerCall", "Table", "row_major"]


class Table:
    """What a function of the file is called with, in one array: addresses, then numbers.

    slots: (array, offset) of each pointer.  numbers: how many follow.
    """

    def __init__(self, slots: list[tuple[Any, int]], numbers: int) -> None:
        self._arrays = [array for array, _ in slots]  # held, for their addresses stand here
        self._table: Any = np.zeros(len(slots) + numbers, np.int64)
        for i, (array, offset) in enumerate(slots):
            self._table[i] = array.ctypes.data + offset * array.itemsize
        self.address: Any = self._table.ctypes.data
        # put(*numbers) sets the numbers.
        start, packing = len(slots) * self._table.itemsize, struct.Struct(f"{numbers}d")
        self.put: Any = functools.partial(packing.pack_into, self._table.data, start)


class CompiledPart:
    """A function of the file with its arrays.

    instead: {id of an array: another to take in its place}, for those that are written.
    times: an array for the time of each line.
    """

    def __init__(
        self, variant: Any, function: Any, part: Part, instead: Any = None, times: Any = None
    ) -> None:
        self.function = function
        self.places = variant.places
        self.numbers = [number for _, number in part.arrays]  # of Values
        self.updates = [
            (variant.updates[i], i)
            for i, u in enumerate(variant.trace.updates)
            if any(u is own for own in part.updates)
        ]

        def array_of(key: Any) -> Any:
            kind, which = key
            if kind == "times":
                return times
            if kind == "value":
                return self.places[which]
            if kind == "block":
                return variant.blocks[which]
            return (instead or {}).get(which, variant.text.written()[which])

        coefficients = sum(len(update.letters) for update, _ in self.updates)
        slots = [(array_of(slot.key), slot.offset) for slot in part.slots]
        self.table = Table(slots, coefficients)

    def __call__(self, steps: list[int]) -> int:
        if self.updates:
            coefficients: list[float] = []
            for update, i in self.updates:
                coefficients += with_scalars(update.optimizer, update.group, update.flat, steps[i])
                coefficients += update.counter(steps[i])
            self.table.put(*coefficients)
        places = self.places
        return self.function(*[places[number] for number in self.numbers], self.table.address)


class EagerCall:
    """A call of an eager kernel between two functions of the file."""

    def __init__(self, variant: Any, value: Value) -> None:
        self.places = variant.places
        self.function = value.params["function"]
        self.arguments = [variant._view(a) for a in value.args]
        self.numbers = {0: value.number} | {
            v.params["index"]: v.number
            for v in variant.trace.values
            if v.op == "result" and v.args[0] is value
        }
        self.several = value.params["several"]

    def __call__(self, steps: list[int]) -> int:
        with np.errstate(all="ignore"):
            given = [a() if callable(a) else a for a in self.arguments]
            found = self.function(*given)
        results = found if self.several else (found,)
        for i, number in self.numbers.items():
            self.places[number] = row_major(np.asarray(results[i]))
        return 0


def row_major(array: Any) -> Any:
    # ascontiguousarray alone makes a vector of what has no axes.
    return np.ascontiguousarray(array).reshape(array.shape)
