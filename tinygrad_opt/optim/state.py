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
from typing import Any

import numpy as np

from ..arrays.device import device_of, to_device
from ..arrays.xp import array_namespace
from ..core.tensor import Tensor, wrap_plain
from ..kernels import bfloat16

__all__ = ["array_of", "fitted", "free_state"]


class Edits:
    """Whether an optimizer's state was edited since the optimizer last looked.

    made: set by those who tell.  plain: the dicts that cannot tell, each with a copy of what it
    held.  It holds none of those who tell: they hold it, and buffers, which go with the optimizer.
    """

    __slots__ = ("made", "plain")

    def __init__(self) -> None:
        self.made = True
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


# States that have not their parameter's shape: means, matrices, histories; kept in `state` alone --


def array_of(value: Any) -> Any:
    """The array of a Tensor, also of PyTorch's, or of a number."""
    array = value.array if isinstance(value, Tensor) else value
    return np.asarray(array) if array_namespace(array) is array_namespace(0) else array


def fitted(value: Any, like: Any) -> Any:
    """The array of a Tensor, also of PyTorch's, in the dtype and on the device of `like`.

    States of 16 bits (`kernels.bfloat16`) stand for numbers, and become and come from them.
    """
    if type(value) is Tensor and type(value.array) is type(like) is np.ndarray:
        array = value.array  # nearly always, and far quicker to ask
        return array if array.dtype == like.dtype else _converted(array, like.dtype)
    array = to_device(array_of(value), device_of(like))
    return array if array.dtype == like.dtype else _converted(array, like.dtype)


def _converted(array: Any, dtype: Any) -> Any:
    if dtype == bfloat16.WORD:
        return bfloat16.nearest(array)
    return (bfloat16.widened(array) if array.dtype == bfloat16.WORD else array).astype(dtype)


def free_state(entry: Any, name: str, shape: tuple[int, ...], like: Any, t: int) -> Any:
    """The array of `entry[name]`, zeros of `shape` at step 1, fitted to the array `like`.

    Raises KeyError if it is missing at a later step, RuntimeError if it is of another shape.
    """
    held = entry.get(name)
    if held is not None and tuple(held.shape) != shape:
        raise RuntimeError(
            f"the state of a parameter: {name} must have shape {shape}, got {tuple(held.shape)}; "
            "clear its state to begin afresh: optimizer.state.pop(p, None)"
        )
    if held is None:
        if t > 1:
            raise KeyError(
                f"the state of a parameter has no {name}, only {', '.join(entry)}; to begin afresh "
                "clear all of it: optimizer.state.pop(p, None)"
            )
        array = array_namespace(like).zeros(shape, like.dtype)
    else:
        array = fitted(held, like)
        if isinstance(held, Tensor) and array is held.array:
            return array
    bind(entry, name, wrap_plain(array))
    return array
