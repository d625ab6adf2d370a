"""Writing in place as part of the graph: `y.mul_(w)`, `out[t] = h`, `y[0].add_(1)`.

The new value goes to the tensor's own memory, so that every view shows it, and the tensor gets a
new Node. Operations recorded earlier still point to the tensor; they meant what it was then. So
the tensor keeps its past, and a backward pass first replaces such inputs by what they were (it
looks for them only while a tensor with a past is alive).

A write through a view is one to its base: the base's new Node is a `CopySlices`, which sends the
gradient of that part to the new value, and the rest to what the base was. Then all views of the
base, the one written to as well, are out of date, and are taken anew when they are asked for
(`view_history.py`). A value that a pullback holds and that was overwritten is found by
`saved_values.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arrays.xp import xp
from ..core.backward import watch
from ..core.errors import refuse_stretched
from ..core.node import FixedNode, Node, Variable, next_rank
from ..core.outlines import outlined, revived
from ..core.record import mode
from ..core.tensor import wrap_plain
from ..core.versions import mark_empty, note_write, owner
from .regions import AsStrided, Region, layout_of, unlock
from .saved_values import captured
from .view_history import (
    at,
    check_writable,
    current,
    join,
    rebind,
    rebound,
    root_of,
    stand_in,
    views_of,
)

__all__ = ["adopt", "forget", "overwrite", "rebound", "reshape", "resolve", "update",
           "without_values"]  # fmt: skip


class Slot:
    """The place `tensor[within][index]`, as a Region is one: what to take, and what to blank."""

    def __init__(self, within: Any, index: Any) -> None:
        self._within, self._index = within, index

    def take(self, g: Any) -> Any:
        return g[self._within][self._index]

    def blank(self, g: Any) -> Any:
        raw = getattr(g, "array", g)
        mask = xp(raw).zeros(raw.shape, bool)
        mask[self._within][self._index] = True
        return xp(g).where(mask, 0, g)


class CopySlices(FixedNode):
    """Part of a tensor overwritten: gradients there go to the new value, elsewhere to the old."""

    __slots__ = ()

    def __init__(self, old: Any, value: Any, place: Any) -> None:
        shape = value.shape

        def to_value(g: Any) -> Any:
            part = place.take(g)
            extra = len(shape) - len(part.shape)  # leading axes of length 1
            return part.reshape((1,) * extra + tuple(part.shape)) if extra > 0 else part

        inputs = (old, value)
        targets = tuple(x if x._requires_grad else None for x in inputs)
        super().__init__(CopySlices, inputs, targets, {}, (None, place.blank, to_value))

    def name(self) -> str:
        return "CopySlices"


class Overwritten(FixedNode):
    """All of a tensor overwritten. It needs shapes alone: a second backward may follow."""

    __slots__ = ()
    outlined = staticmethod(outlined)

    def __init__(self, old: Any, value: Any) -> None:
        inputs = (old, value)
        targets = tuple(x if x._requires_grad else None for x in inputs)
        super().__init__(Overwritten, inputs, targets, {}, _pullbacks(value.shape))

    def on_tensors(self, wrap: Callable[[Any], Any]) -> tuple[Any, ...]:
        return _pullbacks(self.inputs[1].shape)

    def name(self) -> str:
        return "CopyBackwards"


def _pullbacks(shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Nothing goes to what a tensor was, all to the value of this shape that it became."""

    def to_value(g: Any) -> Any:
        extra = len(shape) - len(g.shape)  # leading axes of length 1
        return g.reshape((1,) * extra + tuple(g.shape)) if extra > 0 else g

    return None, lambda g: xp(g).zeros_like(g), to_value


def overwrite(tensor: Any, name: str, index: Any, value: Any, within: Any = ...) -> None:
    """`tensor[within][index] = value`, recorded; `within` gives a view.

    No values are saved: the gradients are plain copies.
    """
    others = _begin(tensor, name)
    root = root_of(tensor)
    part = tensor.array[within]
    place: Any = Slot(within, index)
    if root is not tensor:
        place = Region(layout_of(root.array), layout_of(part), None if index is ... else index)
    if isinstance(value, Variable) and value._requires_grad:
        current(value)
    part[index] = getattr(value, "array", value)
    if not isinstance(value, Variable):
        value = wrap_plain(part[index])
    elif value.node is not None:
        value = without_values(value)  # it may be a view of the memory that it was written to
    rank = next_rank()
    note_write(tensor.array, rank)
    old = without_values(root)
    whole = root is tensor and within is ... and _is_all(index)
    rebind(root, old, Overwritten(old, value) if whole else CopySlices(old, value, place), rank)
    _finish(tensor, others)


def _is_all(index: Any) -> bool:
    """Whether an index is `...` or `:`, also as the only one of a tuple."""
    index = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    return index is ... or (isinstance(index, slice) and index == slice(None))


def update(
    tensor: Any, name: str, function: Callable[..., Any], others: tuple[Any, ...] = ()
) -> None:
    """`tensor = function(tensor, *others)` in the tensor's memory, recorded.

    The old values are copied, also those of `others` that share the memory.
    """
    views = _begin(tensor, name)
    root = root_of(tensor)
    place = None if root is tensor else Region(layout_of(root.array), layout_of(tensor.array))
    rank = next_rank()
    old = stand_in(tensor, tensor.array.copy())
    if place is not None:
        before = without_values(root)
        if before._requires_grad:  # as in PyTorch past the Node of the view, and its hooks
            old.node = AsStrided(before, place.spread)
    result = function(old, *(_apart(x, tensor, old) for x in others))
    tensor.array[...] = result.array
    note_write(tensor.array, rank)
    node = result.node
    if not _reads(node, old, rank):
        old.array = without_values(old).array  # nobody needs the copy
    if place is not None:
        rebind(root, before, CopySlices(before, result, place), rank)
    else:
        if node is None:  # a step function: nothing flows back to the old values
            node = Overwritten(without_values(tensor), wrap_plain(result.array))
        rebind(tensor, old, node, rank)
    _finish(tensor, views)


def adopt(tensor: Any, old: Any, node: Node, rank: int) -> None:
    """`node` has written to the tensor, which was `old`, since `rank`: now it is what made it."""
    root = root_of(tensor)
    note_write(tensor.array, rank)
    if root is tensor:
        rebind(tensor, old, node, rank)
        return
    others = _begin(tensor, "mark_dirty")
    value, before = without_values(tensor), without_values(root)
    value.node, value._requires_grad = node, True
    place = Region(layout_of(root.array), layout_of(tensor.array))
    rebind(root, before, CopySlices(before, value, place), rank)
    _finish(tensor, others)


def reshape(tensor: Any, name: str, function: Callable[[Any], Any]) -> None:
    """`tensor = function(tensor)` for another shape of the same memory: `squeeze_`, `t_`."""
    if tensor._requires_grad and mode.enabled:
        _check(tensor, name)
    current(tensor)
    old = stand_in(tensor, tensor.array)
    rank = next_rank()
    result = function(old)
    if old._requires_grad and result.node is not None:
        rebind(tensor, old, result.node, rank)
    if tensor._past:
        tensor._past.lay_out(layout_of(tensor.array))
    tensor.array = result.array


def forget(tensor: Any) -> None:
    """`detach_`: the tensor becomes a leaf; earlier operations still know what it was."""
    current(tensor)
    rebind(tensor, stand_in(tensor, tensor.array), None, next_rank())
    tensor._base = tensor._tied = None


def resolve(outputs: list[Any], wanted: list[Any] | None = None) -> None:
    """Before a backward pass: let every Node point to what its inputs were when it was made."""
    if not rebound:
        return
    for x in (*outputs, *(wanted or ())):
        current(x)
    seen: set[Node] = set()
    stack = [x.node for x in outputs]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if not node.output and node.inputs:
            revived(node)
        if any(x is not None and (x._past or x._base is not None) for x in node.targets):
            node.targets = [x if x is None else at(x, node.rank) for x in node.targets]
            node.inputs = tuple(
                at(x, node.rank) if isinstance(x, Variable) else x for x in node.inputs
            )
        for x in node.targets:
            if x is not None and x.node is not None:
                if x.node.rank < node.rank:
                    raise _freed()
                stack.append(x.node)


def _freed() -> RuntimeError:
    return RuntimeError(
        "Trying to backward through the graph a second time: a tensor that was written to in "
        "place since then stands in it, and its history was freed by the first backward. Pass "
        "retain_graph=True to the first, or compute the forward pass again."
    )


def without_values(tensor: Any) -> Any:
    """What `tensor` is in the graph, in its shape and type but without its values."""
    space = xp(tensor.array)
    nothing = space.zeros((), tensor.array.dtype)
    mark_empty(nothing)
    return stand_in(tensor, space.broadcast_to(nothing, tensor.array.shape))


def _reads(node: Node | None, old: Any, rank: int) -> bool:
    """Whether a Node made since `rank`, this one or what it came from, needs values of `old`."""
    stack, seen = [node], set()
    while stack:
        node = stack.pop()
        if node is None or node.rank > rank or node in seen:
            continue
        seen.add(node)
        if any(x is old for x in node.inputs) and _saves_values(node):
            return True
        stack.extend(x.node for x in node.targets if x is not None)
    return False


def _saves_values(node: Node) -> bool:
    return any(True for pullback in node.output[1:] for _ in captured(pullback))


# Before and after ---------------------------------------------------------------------------------


def _begin(tensor: Any, name: str) -> list[Any]:
    """Raise if the write may not be recorded; the views that it will give their first history."""
    _check(tensor, name)
    refuse_stretched(name, tensor.array)
    unlock(tensor)
    current(tensor)
    root = root_of(tensor)
    return [] if root._requires_grad else views_of(root, tensor)


def _check(tensor: Any, name: str) -> None:
    check_writable(tensor, name)
    root = root_of(tensor)
    if root.node is None and root._requires_grad:
        raise RuntimeError(
            f"{name}: a view of a leaf Variable that requires grad is being used in an in-place "
            "operation. Do it under no_grad(), or write to a .clone()"
        )


def _finish(tensor: Any, views: list[Any]) -> None:
    """The base has its new history: so has the view that was written to, and those found before."""
    if tensor._base is not None:
        views = [*views, tensor]
    for view in views:
        if view.node is None:
            join(view)
        else:
            current(view)


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
    return stand_in(current(x), x.array.copy())


watch.resolve = resolve
