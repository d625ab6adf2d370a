"""Optimizer state: what `optimizer.state` shows of the flat buffers, and noticing edits of it.

Entries are dicts of Tensors that lie in the flat buffers, so that a usual step needs no look at
them. Whoever edits a dict, by whatever method, or moves a Tensor (`.data = ...`), sets one flag,
and the next step takes everything over again (`placing.py`). A plain dict that a user put there
stays the one he put there; it cannot tell, so each step compares what it holds.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from operator import is_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._tensor import Tensor
    from .optimizer import Optimizer


class Edits:
    """Whether an optimizer's state was edited since the optimizer last looked.

    made: set by those who tell.  state: the `optimizer.state` that was seen last.
    plain: the dicts that cannot tell, each with a copy of what it held.
    """

    __slots__ = ("made", "plain", "state")

    def __init__(self) -> None:
        self.made = True
        self.state: Any = None
        self.plain: list[tuple[dict[Any, Any], dict[Any, Any]]] = []

    def in_plain_dicts(self) -> bool:
        """Whether one of the dicts that cannot tell holds something else than it did."""
        return not all(same_objects(*pair) for pair in self.plain)

    def look_again(self) -> None:
        """What the dicts that cannot tell hold now is what was seen."""
        self.plain = [(held, dict(held)) for held, _ in self.plain]

    def watch(self, held: dict[Any, Any]) -> None:
        """From now on `held` tells of its edits here; a plain dict is compared in each step.

        The optimizer that it told before looks again too: the two share it.
        """
        if isinstance(held, (State, StateView)):
            if held.edits is not self:
                held.edits.made = True
                held.edits = self
        else:
            self.plain.append((held, dict(held)))


def same_objects(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    """Whether two dicts hold the same objects, in the same order."""
    return (
        len(one) == len(other)
        and all(map(is_, one, other))
        and all(map(is_, one.values(), other.values()))
    )


def _telling(name: str) -> Callable[..., Any]:
    """The method of dict, which also tells that an edit was made."""
    method = getattr(dict, name)

    def tell(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.edits.made = True
        return method(self, *args, **kwargs)

    tell.__name__, tell.__doc__ = name, method.__doc__
    return tell


class _Telling:
    """All methods that change a dict."""

    __slots__ = ()

    __setitem__ = _telling("__setitem__")
    __delitem__ = _telling("__delitem__")
    __ior__ = _telling("__ior__")
    update = _telling("update")
    clear = _telling("clear")
    pop = _telling("pop")
    popitem = _telling("popitem")
    setdefault = _telling("setdefault")


class StateView(_Telling, dict[str, Any]):
    """The state of one parameter: Tensors that are views into the flat buffers, and what users add.

    edits: told of every change.
    """

    __slots__ = ("edits",)

    def __init__(self, edits: Edits, items: Any = ()) -> None:
        dict.__init__(self, items)
        self.edits = edits

    def __reduce__(self) -> Any:  # copies and pickles are plain: their buffers are made anew
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(dict(self), memo)


class State(_Telling, defaultdict[Any, Any]):
    """`optimizer.state`: Tensor -> StateView; an entry that is asked for and not there is made."""

    __slots__ = ("edits",)

    def __init__(self, edits: Edits, entries: Any = ()) -> None:
        defaultdict.__init__(self, dict, entries)
        self.edits = edits

    def __missing__(self, p: Any) -> StateView:
        entry = StateView(self.edits)
        self[p] = entry
        return entry

    def __reduce__(self) -> Any:
        return defaultdict, (dict,), None, None, iter(self.items())


def bind(held: dict[Any, Any], name: Any, value: Any) -> None:
    """`held[name] = value` by the optimizer itself: no edit."""
    dict.__setitem__(held, name, value)


def unbind(held: dict[Any, Any], name: Any) -> Any:
    """`held.pop(name, None)` by the optimizer itself: no edit."""
    return dict.pop(held, name, None)


def export_state(optimizer: Optimizer) -> dict[str, Any]:
    """The state dict: parameters replaced by their running number over all groups.

    Settings that are functions are no data, and left out: who loads keeps his own.
    """
    index: dict[Tensor, int] = {}
    groups = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            index.setdefault(p, len(index))
        packed = {k: v for k, v in group.items() if k != "params" and not callable(v)}
        packed["params"] = [index[p] for p in group["params"]]
        groups.append(packed)
    state = {
        index.get(p, p): dict(entry) if isinstance(entry, dict) else entry
        for p, entry in optimizer.state.items()
    }
    return {"state": state, "param_groups": groups}
