"""What is left of a Node after backward if its derivative needs no values: a second one may follow.

As in PyTorch, only what saved tensors is spent. `@saves_nothing` says that the pullbacks of an
operation need shapes and types alone, as those of `x + y`, `sum` and `reshape` do. Such a Node
gives back all memory as well, and keeps the outlines of its inputs, of which its pair makes the
same pullbacks again.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .node import Node, Variable
from .tensor import wrap_as

__all__ = ["inputs_kept", "keep_result", "outlined", "outlines", "revived", "saves_nothing"]

_MANY = 8192  # elements: to let go of fewer is not worth its time

_references = sys.getrefcount


class Outline(Variable):
    """What backward asks of a tensor that a gradient goes to, without its values."""

    __slots__ = ("dtype", "kind", "shape")  # kind: the class of what it is the outline of

    def __init__(
        self, node: Node, shape: tuple[int, ...], dtype: np.dtype[Any], kind: type
    ) -> None:
        self.node, self.shape, self.dtype, self.kind = node, shape, dtype, kind

    @property
    def array(self) -> Any:
        """Itself: a gradient is compared with its shape and type."""
        return self


def outlines(targets: Any) -> list[Any]:
    """Those that a gradient goes to: leaves themselves, and the outlines of others."""
    return [x if x is None or x.node is None else _target(x.node, *_said(x.array)) for x in targets]


class _Recording(threading.local):
    inputs = False  # whether Nodes are to hold on to the tensors that they are made of


recording = _Recording()


@contextmanager
def inputs_kept() -> Iterator[None]:
    """What is recorded points to tensors, not to outlines, for who looks for them in the graph."""
    before, recording.inputs = recording.inputs, True
    try:
        yield
    finally:
        recording.inputs = before


def keep_result(x: Any, y: Any) -> Any:
    """`y`, made of `x`: its Node holds on to `y` in the place of `x`, where they are large."""
    node = x.node
    if y.array.size >= _MANY and node is not None and x._base is None and not recording.inputs:
        if node.output:  # which holds the value of x as well
            node.output = (None, *node.output[1:])
        stands_for_x = wrap_as(type(y), y.array, True, node)
        y.node.targets, y.node.inputs = outlines((x,)), (stands_for_x,)
    return y


def saves_nothing(operation: Any = None, *, when: Any = None) -> Any:
    """Marks an operation whose pullbacks need no values, only shapes and types.

    `when(node)`: for which of its Nodes that is true, if not for all.
    """
    if operation is None:
        return lambda operation: saves_nothing(operation, when=when)

    def outlined_if(node: Node) -> tuple[Any, ...]:
        return _entries(node) if _references(node) > _ALONE and when(node) else ()

    operation.outlined = outlined if when is None else outlined_if
    return operation


def outlined(node: Node) -> tuple[Any, ...]:
    """What stays of a Node's inputs; nothing if only the pass holds it, so that none can follow."""
    return _entries(node) if _references(node) > _ALONE else ()


def _entries(node: Node) -> tuple[Any, ...]:
    """(who gets the gradient, shape, dtype, class) of each input; numbers are left as they are."""
    if len(node.targets) == 1:  # the usual case, at the least cost
        x = node.targets[0]
        return ((x.node or x, *_said(x.array)),)
    return tuple(map(_entry, node.inputs, node.targets))


def _entry(x: Any, target: Any) -> Any:
    if target is not None:
        return target.node or target, *_said(target.array)
    a = getattr(x, "array", x)
    return (None, *_said(a)) if hasattr(a, "shape") else x


def _said(a: Any) -> tuple[Any, ...]:
    """Shape, dtype and class of an array; of an outline, those of what it stands for."""
    return a.shape, a.dtype, a.kind if type(a) is Outline else type(a)


def revived(node: Node) -> tuple[Any, ...]:
    """The output of a released Node, computed again. Raises RuntimeError if that needs values."""
    if not node.inputs:
        raise _freed(node)
    entries = [x if isinstance(x, tuple) else (None, x) for x in node.inputs]
    node.targets = [_target(*entry) for entry in entries]
    node.inputs = tuple([_blank(*rest) if len(rest) > 1 else rest[0] for _, *rest in entries])
    node.output = node.on_tensors(_as_it_is)
    return node.output


def _target(to: Any, *rest: Any) -> Any:
    return Outline(to, *rest) if isinstance(to, Node) else to


def _blank(shape: tuple[int, ...], dtype: Any, kind: Any) -> Any:
    """An array whose values nobody is going to read."""
    traced = getattr(kind, "_namespace", None)
    if traced is not None:
        return traced.zeros(shape, dtype)
    return (np.empty if issubclass(kind, np.ndarray) else kind)(shape, dtype)


def _freed(node: Node) -> RuntimeError:
    """The error of a pass through a Node that an earlier one has released."""
    return RuntimeError(
        "Trying to backward through the graph a second time (or directly access saved tensors "
        f"after they have already been freed): {node.name()} was freed by the first backward. "
        "Pass retain_graph=True to the first, or compute the forward pass again."
    )


def _as_it_is(array: Any) -> Any:
    return array


def _count(node: Any) -> Any:
    return _references(node)


def _probe() -> Any:
    """How many references there are to a Node that nothing but the pass which releases it holds."""

    def operation() -> None: ...

    operation.outlined = _count  # type: ignore[attr-defined]
    node = Node(operation, (), (), {}, ())
    node.release()
    return node.inputs


_ALONE = _probe()
