"""What a recorded graph keeps in memory until backward has run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any

from ..autograd.function_node import FunctionNode
from ..autograd.node import Node, Variable
from ..autograd.versions import owner

__all__ = ["memory_of_graph"]


def memory_of_graph(outputs: Iterable[Any], known: Iterable[Any] = ()) -> list[tuple[int, int]]:
    """(rank of the oldest Node that holds it, bytes) of each piece of memory the graph keeps.

    outputs: the tensors whose graph it is.  known: tensors whose memory does not count, because it
    would be there without the graph. Views count as what they view, once.
    """
    seen = {id(owner(x.array)) for x in known if isinstance(x, Variable)}
    found: list[tuple[int, int]] = []
    nodes = sorted(_nodes(outputs), key=lambda node: -node.rank)  # oldest first
    for node in nodes:
        for array in _arrays(_held_by(node), set()):
            memory = owner(array)
            if id(memory) not in seen:
                seen.add(id(memory))
                found.append((node.rank, memory.nbytes))
    return found


def _nodes(outputs: Iterable[Any]) -> set[Node]:
    found: set[Node] = set()
    stack = [x.node for x in outputs if isinstance(x, Variable)]
    while stack:
        node = stack.pop()
        if node is not None and node not in found:
            found.add(node)
            stack.extend(x.node for x in node.targets if x is not None)
    return found


def _held_by(node: Node) -> list[Any]:
    """The result and what the pullbacks hold. Inputs are other Nodes' results, or come last."""
    saved = list(node.call.saved()) if isinstance(node, FunctionNode) else []
    return [*node.output, *saved, *node.inputs]


def _arrays(value: Any, visited: set[int]) -> Iterator[Any]:
    """The arrays in nested containers and in the closures of functions."""
    if isinstance(value, Variable):
        value = value.array
    if hasattr(value, "strides") and hasattr(value, "nbytes"):
        yield value
        return
    if id(value) in visited:
        return
    visited.add(id(value))
    for part in _parts(value):
        yield from _arrays(part, visited)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, list)):
        return value
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, functools.partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, FunctionType):
        return _captured(value)
    return ()


def _captured(function: Callable[..., Any]) -> list[Any]:
    cells = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # a variable that was deleted
            continue
    return [*cells, *(getattr(function, "__defaults__", None) or ())]
