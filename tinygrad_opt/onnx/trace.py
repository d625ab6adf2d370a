"""The record of one run of a model: its operations, and what each took and made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..core.node import Variable
from .errors import OnnxExporterError

__all__ = ["Event", "Fixed", "Known", "Trace", "known_in"]


class Known(NamedTuple):
    """A tensor that the run has made, or was given: the number of the value."""

    number: int


class Fixed(NamedTuple):
    """A tensor that was there before: a parameter or buffer with its name, or a constant."""

    array: Any
    name: str


class Event(NamedTuple):
    """An operation: its arguments by name, tensors among them as Known or Fixed."""

    name: str
    arguments: dict[str, Any]
    results: list[Any]  # the arrays
    first: int  # the number of the first result
    path: str  # of the module that it stands in: "layers.0"; "" for the outermost


class Trace:
    """What one run did: `events`, and what it returned as a tree of Known and Fixed."""

    def __init__(self, states: dict[int, tuple[str, Any]]) -> None:
        self.events: list[Event] = []
        self.arrays: list[Any] = []  # of each number
        self.returned: Any = None
        self.path = [""]  # of the modules that are running
        self._states = states
        self._numbers: dict[int, int] = {}  # id of an array -> number
        self._from_inputs: set[int] = set()
        self._stale: dict[int, str] = {}

    def new(self, array: Any, from_inputs: bool) -> int:
        """The number of an array that came up."""
        self.arrays.append(array)
        number = len(self.arrays) - 1
        self._numbers[id(array)] = number
        if from_inputs:
            self._from_inputs.add(number)
        return number

    def knows(self, tensor: Any) -> bool:
        """Whether a tensor depends on the inputs."""
        return self._numbers.get(id(tensor.array)) in self._from_inputs

    def add(self, name: str, arguments: dict[str, Any], results: list[Any]) -> None:
        """Write an operation down."""
        if name in ("lstm", "gru", "rnn"):
            arguments = {**arguments, "batch": _batch(arguments["sizes"]), "sizes": None}
        seen = {key: self.seen(value) for key, value in arguments.items()}
        fed = any(known.number in self._from_inputs for known in known_in(tuple(seen.values())))
        first = len(self.arrays)
        for array in results:
            self.new(array, fed)
        self.events.append(Event(name, seen, results, first, self.path[-1]))

    def seen(self, value: Any) -> Any:
        """An argument with Known and Fixed in the place of its tensors and arrays."""
        if isinstance(value, Variable):
            value = value.array
        if isinstance(value, np.ndarray):
            if id(value) in self._stale:
                raise OnnxExporterError(
                    f"the model writes in place ({self._stale[id(value)]}) to memory "
                    "that another tensor shares, and goes on with that one; write the operation "
                    "without the underscore"
                )
            number = self._numbers.get(id(value))
            if number is not None:
                return Known(number)
            if id(value) in self._states:
                return Fixed(value, self._states[id(value)][0])
            return Fixed(value.copy(), "")
        if isinstance(value, slice):
            return slice(*map(self.seen, (value.start, value.stop, value.step)))
        if isinstance(value, (tuple, list)):
            return tuple(map(self.seen, value))
        return value

    def replace(self, tensor: Any, result: Any, name: str) -> None:
        """Let a tensor be another value from now on, as writing in place to it does."""
        old = tensor.array
        if id(old) not in self._numbers:
            raise OnnxExporterError(
                f"the model writes in place ({name}) to a tensor that was there before "
                "the call; a graph keeps nothing from call to call"
            )
        if old.shape != result.array.shape:
            raise RuntimeError(
                f"{name}: output with shape {list(old.shape)} doesn't match the broadcast shape "
                f"{list(result.array.shape)}"
            )
        node = tensor.node
        for array in self.arrays:
            if array is not result.array and np.may_share_memory(array, old):
                self._stale[id(array)] = name
        tensor.array, tensor.node = result.array, result.node
        if getattr(node, "op", None) is ops.getitem:  # as of `x[:, 0] += 1`: x is written to
            whole = node.inputs[0]
            if np.may_share_memory(whole.array, old):
                self._stale.pop(id(whole.array))
                written = ops.put(whole, result, index=node.params["index"])
                self.replace(whole, written, name)


def _batch(sizes: tuple[int, ...]) -> int:
    """How many sequences a recurrent layer sees, which have to be of one length."""
    if len(set(sizes)) != 1:
        raise OnnxExporterError(
            "packed sequences of several lengths have no form in the graph; pad them, "
            "and take the last state of each by gather"
        )
    return sizes[0]


def known_in(tree: Any) -> Iterator[Known]:
    """The Known tensors of a tree of arguments."""
    if isinstance(tree, Known):
        yield tree
    elif isinstance(tree, slice):
        yield from known_in((tree.start, tree.stop, tree.step))
    elif isinstance(tree, tuple) and not isinstance(tree, Fixed):
        for part in tree:
            yield from known_in(part)
