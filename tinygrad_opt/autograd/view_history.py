"""What a tensor is in the graph, now and at an earlier time, if memory was written to in place.

A recorded write gives the base, the tensor at the end of all views, a new Node. Its views are told
nothing. Their own Nodes speak of the base as it was: a view whose Node is older than that of its
base is out of date, and is taken anew when somebody asks for what it is (`current`), or was when an
operation used it (`at`). PyTorch does the same with version counters.

What tensors were is kept in their `_past`. Ranks tell the time: they fall. A view that is taken
anew stands half a step after the write that made it necessary, before all that came later.
"""

from __future__ import annotations

import functools
import gc
import operator
import sys
import weakref
from itertools import repeat
from typing import Any

import numpy as np

from ..core.node import FixedNode, Node, Variable
from ..core.tensor import wrap_plain
from ..core.versions import owner
from ..core.views import FROM_FUNCTION, NO_GRAD, SEVERAL
from .past import Past
from .regions import AsStrided, Layout, Region, layout_of

__all__ = ["KEEP_GRAD", "at", "check_writable", "current", "join", "layout_at", "rebind",
           "rebound", "root_of", "stand_in", "views_of", "wrote_to_older"]  # fmt: skip

KEEP_GRAD = "retain_grad"  # the key of what `retain_grad` registers, among the hooks of a Node

rebound: dict[int, Any] = {}  # id -> weak reference, of the tensors that have a past


def root_of(x: Any) -> Any:
    """The tensor that `x` is a view of; or `x` itself."""
    return x if x._base is None else x._base


def current(x: Any) -> Any:
    """`x`, which if it is a view is taken anew if its base was written to since."""
    base, node = x._base, x.node
    if base is None or node is None or base.node is None or node.rank <= base.node.rank:
        return x
    _check_used(x)
    until = base._past.end_of(node.rank) if base._past else None
    old = stand_in(x, x.array)
    new = _taken(base, base, layout_of(x.array))
    rebind(x, old, new, base.node.rank + 0.5 if until is None else until)
    return x


def at(x: Any, rank: int) -> Any:
    """What the tensor `x` was when a Node of this rank was made: `x` itself, or a stand-in."""
    base = x._base
    old: Any
    if base is None or not base._past:
        old = x._past.at(rank) if x._past else None
        return x if old is None else old
    if x._tied is None:
        current(x)
    old = x._past.at(rank) if x._past else None
    then, whole = x if old is None else old, at(base, rank)
    if then.node is None or whole.node is None or rank < then.node.rank < whole.node.rank:
        return then
    _check_used(x)
    again = stand_in(x, then.array)
    again._layout = layout_at(then, x)
    again.node = _taken(whole, base, again._layout)
    until = base._past.end_of(rank)
    if until is not None:
        _remember(x, again, until)
    return again


def rebind(tensor: Any, old: Any, node: Node | None, rank: float) -> None:
    """From `rank` on `node` is what made the tensor; before that it was `old`."""
    if old._requires_grad and (old.node is None or rank < old.node.rank - 1):
        _remember(tensor, old, rank)  # or no Node has seen it: to make one takes a rank of its own
    hooks = None if old.node is None else old.node.hooks
    tensor.node, tensor._requires_grad = node, node is not None
    if hooks and KEEP_GRAD in hooks and node is not None:
        del hooks[KEEP_GRAD]  # retain_grad means the tensor as it is
        tensor.retain_grad()


def wrote_to_older(start: int) -> bool:
    """Whether a write since this rank, which was recorded, went to a tensor that is older."""
    return any(
        x is not None and (then := x._past.at(start)) is not None
        and (then.node is None or then.node.rank > start)
        for x in [reference() for reference in list(rebound.values())]
    )  # fmt: skip


def stand_in(tensor: Any, array: Any) -> Any:
    """What the tensor is in the graph now, over another array."""
    old = wrap_plain(array)
    old.node, old._requires_grad = tensor.node, tensor._requires_grad
    return old


def layout_at(then: Any, x: Any) -> Layout:
    """How `x` lay in memory when it was `then`: as it does now, unless its shape was changed."""
    laid: Layout | None = then.__dict__.get("_layout")
    return layout_of(x.array) if laid is None else laid


def _remember(tensor: Any, old: Any, until: float) -> None:
    if tensor._past is None:
        tensor._past = Past()
        key = id(tensor)
        rebound[key] = weakref.ref(tensor, lambda _: rebound.pop(key, None))
    tensor._past.add(until, old)


def _taken(whole: Any, base: Any, part: Layout) -> AsStrided:
    """The Node of a view, taken of `whole`, which is what `base` was at that time."""
    node = AsStrided(whole, Region(layout_at(whole, base), part).spread)
    node.rank = whole.node.rank - 0.5
    return node


# Views that have no part in this ------------------------------------------------------------------

_BECAUSE = {
    NO_GRAD: "was made under no_grad(), so that it is unclear whether the write is to be recorded. "
    "Make the view and the write both inside no_grad(), or both outside",
    SEVERAL: "is the output of a function that returns multiple views (unbind, split, chunk, or a "
    "loop over a tensor). Such functions do not allow the output views to be modified inplace. "
    "Index the tensor (y[i]) instead, or use an operation that makes a new tensor",
    FROM_FUNCTION: "was created inside a custom Function (or because an input was returned as-is), "
    "whose backward would be overridden. Return a .clone() from forward",
}


def check_writable(x: Any, name: str) -> None:
    """Raise RuntimeError if `x` is a view through which no write may be recorded."""
    if x._base is not None and x._tied is not None:
        raise RuntimeError(
            f"{name}: a view of shape {tuple(x.array.shape)} is being modified inplace while this "
            f"is recorded, and it {_BECAUSE[x._tied]}."
        )


def _check_used(x: Any) -> None:
    if x._tied is not None:
        raise _outdated(x)


def _outdated(x: Any) -> RuntimeError:
    return RuntimeError(
        f"a view of shape {tuple(x.array.shape)} was used after its base or another view of its "
        f"base had been modified inplace, and it {_BECAUSE[x._tied]}."
    )


# A base that had no history until now -------------------------------------------------------------


def join(view: Any) -> None:
    """Make a view without history one of its base, which has just begun to have one."""
    base = view._base
    if view._tied is None:
        view.node = _taken(base, base, layout_of(view.array))
    else:
        error = _outdated(view)

        def refuse(g: Any) -> Any:
            raise error

        view.node = FixedNode(AsStrided, (base,), (base,), {}, (None, refuse))
    view._requires_grad = True


def views_of(base: Any, written: Any) -> list[Any]:
    """The views of a base without history, but for `written`.

    Nothing holds a list of views, which hot loops make without need. So what Python holds is
    looked through; but only where references to the memory are left over.
    Raises RuntimeError for a view that was made a leaf, since it cannot be part of two histories.
    """
    if not base._viewed or not _references_left(base, written):
        return []
    if gc.get_freeze_count() and not any(map(operator.is_, gc.get_objects(), repeat(base))):
        raise RuntimeError(
            "an in-place operation would give a tensor a history that others share memory with, "
            "and which was made before gc.freeze(), so that they cannot be found. Write to a "
            ".clone()"
        )
    found = []
    for holder in gc.get_referrers(base):
        if type(holder) is dict:  # the attributes of a view, if somebody has asked for them
            found += [x for x in gc.get_referrers(holder) if isinstance(x, Variable)]
        elif isinstance(holder, Variable):
            found.append(holder)
    views = [x for x in found if x._base is base and x is not written]
    for x in views:
        if x._requires_grad:
            raise RuntimeError(
                f"a view of shape {tuple(x.array.shape)} was made a leaf by requires_grad_(), and "
                "its base is being modified inplace by what requires a gradient. Write to a "
                ".clone() of the base"
            )
    return views


def _references_left(base: Any, written: Any) -> bool:
    """Whether more arrays than those of two tensors look at their memory, or may do so."""
    memory = owner(base.array)
    if not (memory.flags.c_contiguous or memory.flags.f_contiguous):
        return True  # see `arrays/memory.py`: views of it may be behind one that is counted
    expected = _expected(base is written, memory is base.array)
    del memory  # or it would be counted
    return _references(base, written) > expected


def _references(base: Any, written: Any) -> int:
    """How many references hold the memory and the base's array (CPython counts them)."""
    array = base.array
    memory = owner(array)
    held = sys.getrefcount(array) + (0 if memory is array else sys.getrefcount(memory))
    return held - (base._past.holders(array) if base._past else 0)


@functools.cache
def _expected(written_itself: bool, owns_memory: bool) -> int:
    """What `_references` finds where nothing but the two tensors holds the memory."""
    base = wrap_plain(np.zeros(2) if owns_memory else np.zeros(2)[:])
    written = base if written_itself else wrap_plain(base.array[:1])
    return _references(base, written)
