"""Parameters of one shape as one array: what a step does to each matrix, it does to all at once."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from ..arrays.xp import array_namespace
from .run import Run

__all__ = ["Stack", "stacked", "stacks_of"]

_MOST = 2**20  # elements: what is computed from a stack takes several times its memory


class Stack:
    """Parameters of a run that have one shape; their parts of the run's vectors as one array.

    shape: of each.  numbers: which of the run's parameters they are.
    """

    def __init__(self, run: Run, shape: tuple[int, ...], numbers: list[int]) -> None:
        self.shape, self.numbers = shape, numbers
        self.params = [run.params[i] for i in numbers]
        self._places = [(run.offsets[i], run.offsets[i + 1]) for i in numbers]
        self._joined = numbers[-1] - numbers[0] == len(numbers) - 1  # they lie end to end

    def of(self, flat: Any) -> Any:
        """(parameters, *shape): their parts of a vector, a view where they lie end to end."""
        if self._joined:
            vector = flat[self._places[0][0] : self._places[-1][1]]
        else:
            parts = [flat[a:b] for a, b in self._places]
            vector = array_namespace(flat).concatenate(parts)
        return vector.reshape(len(self.numbers), *self.shape)

    def put(self, flat: Any, stack: Any) -> None:
        """Write such an array where `of` reads it."""
        if self._joined:
            self.of(flat)[...] = stack
        else:
            for (a, b), values in zip(self._places, stack, strict=True):
                flat[a:b].reshape(self.shape)[...] = values


def stacks_of(run: Run) -> Iterator[Stack]:
    """All parameters of a run, those of one shape together, as many as fit into the cache."""
    same: dict[tuple[int, ...], list[int]] = {}
    for i, p in enumerate(run.params):
        same.setdefault(p.array.shape, []).append(i)
    for shape, numbers in same.items():
        few = max(1, _MOST // max(prod(shape), 1))
        for k in range(0, len(numbers), few):
            yield Stack(run, shape, numbers[k : k + few])


def stacked(arrays: list[Any]) -> Any:
    """(arrays, *their shape): a copy of all."""
    first = arrays[0]
    return array_namespace(first).concatenate(arrays, None).reshape(len(arrays), *first.shape)
