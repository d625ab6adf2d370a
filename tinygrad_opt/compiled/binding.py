"""The parts of a step, each with the arrays that it is called with.

Both kinds return 0, or the number of an assumption that does not hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .text import Part
from .values import Value

__all__ = ["CompiledPart", "EagerCall", "row_major"]


class CompiledPart:
    """A function of the file with its arrays.

    instead: {id of an array: another to take in its place}, for those that are written.
    """

    def __init__(
        self, variant: Any, function: Any, part: Part, instead: Any = None, more: Any = ()
    ) -> None:
        self.function, self.more = function, more
        self.places = variant.places
        self.arrays: list[Any] = []
        self.changing: list[tuple[int, int]] = []  # (place among the arguments, number of a Value)
        changing = {n for n, _ in (*variant.from_leaf, *variant.copied)}
        for key in part.arrays:
            kind, which = key
            if kind == "value":
                if which in changing or which not in self.places:
                    self.changing.append((len(self.arrays), which))
                self.arrays.append(self.places.get(which))
            elif kind == "block":
                self.arrays.append(variant.blocks[which])
            else:
                array = variant.text.array_of(key)
                self.arrays.append((instead or {}).get(id(array), array))
        all_updates = variant.updates
        self.updates = [
            (all_updates[i], i)
            for i, u in enumerate(variant.trace.updates)
            if any(u is own for own in part.updates)
        ]

    def __call__(self, steps: list[int]) -> int:
        arguments = self.arrays
        if self.changing:
            arguments = arguments.copy()
            for i, number in self.changing:
                arguments[i] = self.places[number]
        if not self.updates:
            return self.function(*arguments, *self.more)
        coefficients: list[float] = []
        for update, i in self.updates:
            optimizer = update.optimizer
            if optimizer.scalar_states:
                before = {name: values[0] for name, values in update.flat.scalars.items()}
                coefficients += optimizer.coefficients(update.group, steps[i], **before)
            else:
                coefficients += optimizer.coefficients(update.group, steps[i])
        return self.function(*arguments, *coefficients, *self.more)


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
            found = self.function(*(a() for a in self.arguments))
        results = found if self.several else (found,)
        for i, number in self.numbers.items():
            self.places[number] = row_major(np.asarray(results[i]))
        return 0


def row_major(array: Any) -> Any:
    # ascontiguousarray alone makes a vector of what has no axes.
    return np.ascontiguousarray(array).reshape(array.shape)
