"""Writing in place as part of the graph: `y.mul_(w)`, `out[t] = h`.

The new value goes to the tensor's own memory, so that every view shows it, and the tensor gets a
new Node. Operations recorded earlier still point to the tensor; they meant what it was then. So
the tensor keeps its past, and a backward pass first replaces such inputs by what they were (it
looks for them only while a tensor with a past is alive).

A tensor written to through a recorded view of it gets a new Node as well. Other views that were
taken before the write show the new values, but their history is that of the old ones: backward
through them raises. A value that a pullback holds and that was overwritten is found by
`saved_values.py`.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..arrays.xp import xp
from ..core.backward import watch
from ..core.node import FixedNode, Node, Variable, next_rank
from ..core.tensor import wrap_plain
from ..core.versions import mark_empty, note_write, owner, written_between
from .hooks import KEEP_GRAD
from .past import Past
from .saved_values import captured

__all__ = ["adopt", "forget", "overwrite", "rebound", "reshape", "resolve", "update",
           "without_values"]  # fmt: skip

rebound: dict[int, Any] = {}  # id -> weak reference, of the tensors that have a past

Way = Any  # from a tensor to a view of it: None, a function, or two ways, one after the other


class _Then:
    """Two ways in a row. Of 10,000 views in a chain each has a way: the last one's and a step."""

    __slots__ = ("first", "second")

    def __init__(self, first: Way, second: Way) -> None:
        self.first, self.second = first, second


class CopySlices(FixedNode):
    """Part of a tensor overwritten: gradients there go to the new value, elsewhere to the old."""

    __slots__ = ()

    def __init__(self, old: Any, value: Any, way: Way, index: Any) -> None:
        def to_old(g: Any) -> Any:
            raw = getattr(g, "array", g)
            mask = xp(raw).zeros(raw.shape, bool)
            _through(way, mask)[index] = True
            return xp(g).where(mask, 0, g)

        def to_value(g: Any) -> Any:
            part = _through(way, g)[index]
            extra = len(value.shape) - len(part.shape)  # leading axes of length 1
            return part.reshape((1,) * extra + tuple(part.shape)) if extra > 0 else part

        inputs = (old, value)
        targets = tuple(x if getattr(x, "requires_grad", False) else None for x in inputs)
        super().__init__(CopySlices, inputs, targets, {}, (None, to_old, to_value))

    def name(self) -> str:
        return "CopySlices"


def overwrite(tensor: Any, name: str, index: Any, value: Any, within: Any = ...) -> None:
    """`tensor[within][index] = value`, recorded; `within` gives a view.

    No values are saved: the gradients are plain copies.
    """
    bases = _writable(tensor, name)
    part = tensor.array[within]
    part[index] = getattr(value, "array", value)
    if not isinstance(value, Variable):
        value = wrap_plain(part[index])
    elif value.node is not None:
        _check_history(value, -sys.maxsize)
        value = without_values(value)  # it may be a view of the memory that it was written to
    rank = next_rank()
    note_write(tensor.array, rank, recorded=True)
    for x, way in [(tensor, None), *bases]:
        old = without_values(x)
        _rebind(x, old, CopySlices(old, value, _Then(way, lambda a: a[within]), index), rank)
    tensor._bases = bases


def update(
    tensor: Any, name: str, function: Callable[..., Any], others: tuple[Any, ...] = ()
) -> None:
    """`tensor = function(tensor, *others)` in the tensor's memory, recorded.

    The old values are copied, also those of `others` that share the memory.
    """
    bases = _writable(tensor, name)
    rank = next_rank()
    old = _stand_in(tensor, tensor.array.copy())
    result = function(old, *(_apart(x, tensor, old) for x in others))
    tensor.array[...] = result.array
    note_write(tensor.array, rank, recorded=True)
    node = result.node
    if node is None:  # a step function: nothing flows back to the old values
        node = CopySlices(without_values(tensor), wrap_plain(result.array), None, ...)
    elif any(x is old for x in node.inputs) and not _saves_values(node):
        old.array = without_values(old).array  # nobody needs the copy
    _rebind(tensor, old, node, rank)
    for base, way in bases:
        old = without_values(base)
        _rebind(base, old, CopySlices(old, result, way, ...), rank)
    tensor._bases = bases


def adopt(tensor: Any, old: Any, node: Node, rank: int) -> None:
    """`node` has written to the tensor, which was `old`, since `rank`: now it is what made it."""
    note_write(tensor.array, rank, recorded=True)
    _rebind(tensor, old, node, rank)


def reshape(tensor: Any, function: Callable[[Any], Any]) -> None:
    """`tensor = function(tensor)` for another shape of the same memory: `squeeze_`, `t_`."""
    old = _stand_in(tensor, tensor.array)
    rank = next_rank()
    result = function(old)
    tensor.array = result.array
    if old._requires_grad and result.node is not None:
        _rebind(tensor, old, result.node, rank)


def forget(tensor: Any) -> None:
    """`detach_`: the tensor becomes a leaf; earlier operations still know what it was."""
    _rebind(tensor, _stand_in(tensor, tensor.array), None, next_rank())
    tensor.__dict__.pop("_bases", None)


def resolve(outputs: list[Any]) -> None:
    """Before a backward pass: let every Node point to what its inputs were when it was made."""
    if not rebound:
        return
    seen: set[Node] = set()
    stack: list[Node] = []
    for x in outputs:
        _check_history(x, -sys.maxsize)
        stack.append(x.node)
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if any(x is not None and x._past for x in node.targets):
            node.targets = [_at(x, node.rank) for x in node.targets]
            node.inputs = tuple(_at(x, node.rank) for x in node.inputs)
        for x in node.targets:
            if x is not None:
                _check_history(x, node.rank)
                stack.append(x.node)


def _saves_values(node: Node) -> bool:
    return any(True for pullback in node.output[1:] for _ in captured(pullback))


# What a tensor was ------------------------------------------------------------------------------


def _at(x: Any, rank: int) -> Any:
    """What the tensor `x` was when a Node of this rank was made."""
    past = getattr(x, "_past", None)
    old = past.at(rank) if past else None
    return x if old is None else old


def _rebind(tensor: Any, old: Any, node: Node | None, rank: int) -> None:
    if old._requires_grad:
        if tensor._past is None:
            tensor._past = Past()
            key = id(tensor)
            rebound[key] = weakref.ref(tensor, lambda _: rebound.pop(key, None))
        tensor._past.add(rank, old)
    hooks = None if old.node is None else old.node.hooks
    tensor.node, tensor._requires_grad = node, node is not None
    if hooks and KEEP_GRAD in hooks and node is not None:
        del hooks[KEEP_GRAD]  # retain_grad means the tensor as it is
        tensor.retain_grad()


def _check_history(x: Any, rank: int) -> None:
    """Raise if the history of `x` is not that of the values that a Node of this rank saw."""
    if x.node is None or type(x) is Variable:  # a bare Variable joins Nodes, and has no memory
        return
    if written_between(x.array, x.node.rank, rank):
        raise RuntimeError(
            f"a tensor of shape {tuple(x.array.shape)} made by {x.node.name()} was used after its "
            "memory had been written to in place through another tensor that shares it (a view, "
            "or what it is a view of). Take the view again after the write, or write to a .clone()"
        )
    if x.node.rank < rank:
        raise RuntimeError(
            "Trying to backward through the graph a second time: a tensor that was written to in "
            "place since then stands in it, and its history was freed by the first backward. Pass "
            "retain_graph=True to the first, or compute the forward pass again."
        )


def _stand_in(tensor: Any, array: Any) -> Any:
    old = wrap_plain(array)
    old.node, old._requires_grad = tensor.node, tensor._requires_grad
    return old


def without_values(tensor: Any) -> Any:
    """What `tensor` is in the graph, in its shape and type but without its values."""
    space = xp(tensor.array)
    nothing = space.zeros((), tensor.array.dtype)
    mark_empty(nothing)
    return _stand_in(tensor, space.broadcast_to(nothing, tensor.array.shape))


# Who shares the memory ----------------------------------------------------------------------------


def _apart(x: Any, tensor: Any, old: Any) -> Any:
    """`x` in memory that a write to `tensor`, which was `old`, does not reach."""
    if x is tensor:
        return old
    if not isinstance(x, Variable) or owner(x.array) is not owner(tensor.array):
        return x
    if x.node is None and x._requires_grad:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation: the "
            "operation would write to its memory, which it also reads; use leaf.clone()"
        )
    _check_history(x, -sys.maxsize)
    return _stand_in(x, x.array.copy())


def _writable(tensor: Any, name: str) -> list[tuple[Any, Way]]:
    """The tensors that `tensor` is a view of, each with the way there. Raises where it must."""
    bases = _bases(tensor)
    for x in (tensor, *(base for base, _ in bases)):
        _check_history(x, -sys.maxsize)
    if any(base.node is None and base._requires_grad for base, _ in bases):
        raise RuntimeError(
            f"{name}: a view of a leaf Variable that requires grad is being used in an in-place "
            "operation. Do it under no_grad(), or write to a .clone()"
        )
    if tensor.node is None and not _alone(tensor):
        raise RuntimeError(
            f"{name}: this in-place operation would have to be recorded, which is not supported "
            "for a tensor whose memory is shared with others outside the graph (it is a view, or "
            "has views). Write through one tensor only: base[index] = value, or to a .clone()"
        )
    return bases


def _bases(x: Any) -> list[tuple[Any, Way]]:
    found: list[tuple[Any, Way]] = []
    way: Way = None
    while "_bases" not in x.__dict__:
        node = x.node
        if node is None or len(node.inputs) != 1 or not isinstance(node.inputs[0], Variable):
            return found
        base: Any = node.inputs[0]
        if owner(base.array) is not owner(x.array):
            return found
        way = _Then(_view(node), way)
        found.append((base, way))
        x = base
    # What x was a view of before the last write made its Node.
    known = x.__dict__["_bases"]
    return known if way is None else [*found, *((b, _Then(before, way)) for b, before in known)]


def _view(node: Node) -> Way:
    pair, params = node.op.pair, node.params
    return lambda a: pair(a, **params)[0]


def _through(way: Way, array: Any) -> Any:
    steps = [way]
    while steps:
        step = steps.pop()
        if type(step) is _Then:
            steps += (step.second, step.first)
        elif step is not None:
            array = step(array)
    return array


def _references(tensor: Any) -> tuple[int, int]:
    array = tensor.array
    base = array.base
    return sys.getrefcount(array), 0 if base is None else sys.getrefcount(base)


def _alone(tensor: Any) -> bool:
    """Whether nothing but `tensor` holds its memory (CPython counts references)."""
    held, of_base = _references(tensor)
    own = tensor._past.holders(tensor.array) if tensor._past else 0
    return held <= _HELD + own and of_base <= _HELD_BASE


_HELD, _HELD_BASE = _references(SimpleNamespace(array=np.zeros(2)[:1]))  # held once each


watch.resolve = resolve
