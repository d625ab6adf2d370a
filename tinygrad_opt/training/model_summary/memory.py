"""What a recorded graph keeps in memory until backward has run."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

from ...autograd.function_nodes import FunctionNode
from ...core.node import Node, Variable
from ...core.versions import owner
from ...nn.module import Module

__all__ = ["memory_of_graph"]


def memory_of_graph(outputs: Iterable[Any], known: Iterable[Any] = ()) -> list[tuple[float, int]]:
    """(rank of the oldest Node that holds it, bytes) of each piece of memory the graph keeps.

    outputs: the tensors whose graph it is, and which count as well.  known: tensors whose memory
    does not count, because it would be there without the graph. Views count as what they view.
    """
    tensors = [x for x in outputs if isinstance(x, Variable) and x.node is not None]
    holders = [(node.rank, _held_by(node)) for node in _nodes(tensors)]
    holders += [(x.node.rank, [x]) for x in tensors if x.node is not None]
    seen = {id(owner(x.array)) for x in known if isinstance(x, Variable)}
    found: list[tuple[float, int]] = []
    for rank, held in sorted(holders, key=lambda holder: -holder[0]):  # oldest first
        for array in _arrays(held):
            memory = owner(array)
            if id(memory) not in seen:
                seen.add(id(memory))
                found.append((rank, memory.nbytes))
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


def _arrays(held: Any) -> Iterator[Any]:
    """The arrays in nested containers, in the closures of functions, in objects they hold."""
    visited: set[int] = set()
    waiting = [held]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Variable):
            value = value.array
        if type(value).__module__.startswith(("llvmlite.", "numba.")):
            continue  # a compiled kernel holds no results
        if hasattr(value, "strides") and hasattr(value, "nbytes"):
            yield value
        elif id(value) not in visited:
            visited.add(id(value))
            waiting += _parts(value)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, list)):
        return value
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, functools.partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, MethodType):
        return (value.__func__, value.__self__)
    if isinstance(value, FunctionType):
        return _captured(value)
    if isinstance(value, (Node, Module, ModuleType, type)):  # other Nodes come by themselves
        return ()
    held = getattr(value, "__dict__", None)  # some make up an attribute of any name
    return held.values() if isinstance(held, dict) else ()


def _captured(function: FunctionType) -> list[Any]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # a variable that was deleted
            continue
    return [*cells, *(function.__defaults__ or ())]
