"""Noticing that a value which backward needs was changed after it was saved.

Every write in place is stamped on the memory it went to, with the graph's own clock. A Node is
stale if a pullback that is going to run holds memory stamped after the Node was made. Recording
notes nothing for this, and backward looks only at Nodes older than the last write: what a pullback
holds is read from its closure, so `x + y`, which saves nothing, may be followed by `x.add_(1)`.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any

from ..core.backward import watch
from ..core.node import FixedNode, Node, Variable
from ..core.versions import _stamps, owner

__all__ = ["captured", "check", "values_read"]

_SHAPE_ONLY = frozenset({"shape", "ndim", "dtype", "size"})  # what a write does not change


def check(node: Node, again: bool) -> None:
    """Raise RuntimeError if something that `node` needs for backward was written to.

    `again`: the operation is going to be run again on its inputs (create_graph), so that all of
    them are needed, unless its pullbacks read nothing but inputs and constants as they were given.
    """
    needed = [a for pullback in _to_run(node) for a in captured(pullback)]
    if again and not isinstance(node, FixedNode):
        inputs = [a for a in (getattr(x, "array", x) for x in node.inputs) if hasattr(a, "strides")]
        given = {id(a) for a in (*inputs, *_arrays_in(tuple(node.params.values())))}
        if any(id(a) not in given for a in needed):  # computed from the inputs: it may be from any
            needed += inputs
    for array in needed:
        stamp = _stamps.get(id(owner(array)))
        if stamp is not None and stamp.rank < node.rank:
            raise RuntimeError(changed(array, stamp.count, node))


def changed(array: Any, count: int, node: Any = None) -> str:
    """The message about a saved array that was written to `count` times."""
    expected = "0" if count == 1 else "an earlier one"
    for_whom = "" if node is None else f" {node.name()} needs it."
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [{array.dtype} {list(array.shape)}] is at version {count}; expected version "
        f"{expected} instead.{for_whom} Hint: replace the in-place operation by one that makes a "
        "new tensor, or write to a .clone()"
    )


def _to_run(node: Node) -> Iterator[Any]:
    for x, pullback in zip(node.targets, node.output[1:], strict=False):
        if x is not None and pullback is not None:
            yield pullback


def captured(function: Callable[..., Any] | None) -> Iterator[Any]:
    """The arrays whose values `function` reads from its closure and its defaults."""
    if not isinstance(function, FunctionType):
        return
    if function.__closure__:
        read = values_read(function.__code__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            if name in read:
                yield from _arrays_in(cell.cell_contents)
    for value in function.__defaults__ or ():
        yield from _arrays_in(value)


def _arrays_in(value: Any) -> Iterator[Any]:
    if isinstance(value, Variable):
        yield value.array
    elif hasattr(value, "strides"):
        yield value
    elif isinstance(value, FunctionType):
        yield from captured(value)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _arrays_in(part)


@functools.cache
def values_read(code: CodeType) -> frozenset[str]:
    """The closure's variables that `code` uses for more than their shape or type.

    Most pullbacks that hold an input only undo a change of shape: `g.reshape(x.shape)`.
    """
    read = set()
    for this, following in pairwise(dis.get_instructions(code)):
        if this.opname in ("LOAD_DEREF", "LOAD_CLOSURE") and not (
            following.opname == "LOAD_ATTR" and following.argval in _SHAPE_ONLY
        ):
            read.add(this.argval)
    return frozenset(read)


watch.check = check
