"""Optimizer state: what `optimizer.state` shows of the flat buffers, and noticing edits of it.

Entries are dicts of Tensors that lie in the flat buffers, so that a usual step needs no look at
them. Whoever edits a dict, by whatever method, or moves a Tensor (`.data = ...`), sets one flag,
and the next step takes everything over again (`placing.py`). A plain dict that a user put there
stays the one he put there; it cannot tell, so each step compares what it holds.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Collection
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.device import device_of, to_device
from ..arrays.xp import array_namespace
from ..core.tensor import Tensor, wrap_plain

if TYPE_CHECKING:
    from ..core.tensor import Tensor

__all__ = ["array_of", "fitted", "free_state"]


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


def export_state(optimizer: Any) -> dict[str, Any]:
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


# Loading an optimizer's state dict: matched, checked whole, then taken over -----------------------


_AT_MOST = 10  # lines of a difference: a wrong file differs everywhere


def load(optimizer: Any, state_dict: dict[str, Any], keep_settings: bool | Collection[str]) -> None:
    """Check a state dict against the optimizer's groups, then take it over whole."""
    name = type(optimizer).__name__
    saved_groups, groups = state_dict["param_groups"], optimizer.param_groups
    if _named(saved_groups) and _named(groups):
        partners = _by_name(name, saved_groups, groups)
        aligned = len(saved_groups) == len(groups)
        if not aligned and keep_settings is not True:
            raise _different_groups(name, saved_groups, groups)
    else:
        partners = _by_position(name, saved_groups, groups)
    edits = optimizer._edits
    state: dict[Any, Any] = {}
    faults: list[str] = []
    for number, entry in state_dict["state"].items():
        if number in partners:
            p, label = partners[number]
            state[p] = StateView(edits, _copied(optimizer, p, label, entry, faults))
        else:
            state[number] = copy.deepcopy(entry)
    if faults:
        raise ValueError(_report(f"{name}: the loaded state dict does not fit", faults))
    optimizer.state.clear()
    optimizer.state.update(state)
    if keep_settings is not True:
        kept = {"params", "param_names", *(keep_settings or ())}
        for saved, group in zip(saved_groups, groups, strict=True):
            group.update({k: copy.deepcopy(v) for k, v in saved.items() if k not in kept})
            if "param_names" in saved and "param_names" not in group:
                group["param_names"] = list(saved["param_names"])


def _named(groups: list[dict[str, Any]]) -> bool:
    return bool(groups) and all(group.get("param_names") for group in groups)


def _by_position(
    name: str, saved_groups: list[dict[str, Any]], groups: list[dict[str, Any]]
) -> dict[int, tuple[Tensor, str]]:
    """Which parameter each saved number stands for, and what to call it."""
    if len(saved_groups) != len(groups):
        raise _different_groups(name, saved_groups, groups)
    partners = {}
    for i, (saved, group) in enumerate(zip(saved_groups, groups, strict=True)):
        if len(saved["params"]) != len(group["params"]):
            raise ValueError(
                f"{name}: loaded state dict contains a parameter group that doesn't match the size "
                f"of optimizer's group {i}: {len(saved['params'])} parameters, the optimizer's has "
                f"{len(group['params'])}"
            )
        names = group.get("param_names") or [f"[{j}]" for j in range(len(group["params"]))]
        for number, p, label in zip(saved["params"], group["params"], names, strict=True):
            partners[number] = p, f"param_groups[{i}] {label}"
    return partners


def _by_name(
    name: str, saved_groups: list[dict[str, Any]], groups: list[dict[str, Any]]
) -> dict[int, tuple[Tensor, str]]:
    """As `_by_position`, but by the parameters' names, whatever their order and group."""
    saved = {n: i for g in saved_groups for n, i in zip(g["param_names"], g["params"], strict=True)}
    here = {n: p for g in groups for n, p in zip(g["param_names"], g["params"], strict=True)}
    faults = [f"{n}: not in the state dict" for n in here if n not in saved]
    faults += [f"{n}: only in the state dict" for n in saved if n not in here]
    if faults:
        raise ValueError(
            _report(
                f"{name}: loaded state dict contains a parameter group that doesn't match the size "
                "or the names of optimizer's group",
                faults,
            )
        )
    return {saved[n]: (p, n) for n, p in here.items()}


def _different_groups(name: str, saved: list[Any], groups: list[Any]) -> ValueError:
    return ValueError(
        f"{name}: loaded state dict has a different number of parameter groups: {len(saved)}, the "
        f"optimizer has {len(groups)}"
    )


def _copied(
    optimizer: Any, p: Tensor, label: str, entry: dict[str, Any], faults: list[str]
) -> dict[str, Any]:
    """A copy of one parameter's state on its device; what does not fit is added to `faults`."""
    free = {"step", *optimizer.scalar_states, *optimizer.free_states}
    loaded: dict[str, Any] = {}
    for key, value in entry.items():
        array = _as_array(value)
        if array is None:
            loaded[key] = copy.deepcopy(value)
            continue
        if key not in free and (array.shape or not p.shape):
            if tuple(array.shape) != tuple(p.shape):
                faults.append(
                    f"{label}: {key} has shape {tuple(array.shape)}, the parameter {tuple(p.shape)}"
                )
            elif array.dtype != p.dtype:
                faults.append(f"{label}: {key} is {array.dtype}, the parameter {p.dtype}")
        on_host = key == "step" or key in optimizer.scalar_states
        loaded[key] = wrap_plain(array.copy() if on_host else to_device(array.copy(), p.device))
    return loaded


def _as_array(value: Any) -> Any:
    """The raw array of a Tensor, or of another library's (PyTorch's) on the CPU; else None."""
    array = value.array if isinstance(value, Tensor) else value
    if not (hasattr(array, "shape") and hasattr(array, "dtype")):
        return None
    known = isinstance(array, np.ndarray) or array_namespace(array) is not array_namespace(0)
    return array if known else np.asarray(array)


def _report(headline: str, faults: list[str]) -> str:
    shown = faults[:_AT_MOST]
    if len(faults) > _AT_MOST:
        shown.append(f"... and {len(faults) - _AT_MOST} more")
    return "\n  ".join([f"{headline}:", *shown])


# States that have not their parameter's shape: means, matrices, histories; kept in `state` alone --


def array_of(value: Any) -> Any:
    """The array of a Tensor, also of PyTorch's, or of a number."""
    array = value.array if isinstance(value, Tensor) else value
    return np.asarray(array) if array_namespace(array) is array_namespace(0) else array


def fitted(value: Any, like: Any) -> Any:
    """The array of a Tensor, also of PyTorch's, in the dtype and on the device of `like`."""
    array = to_device(array_of(value), device_of(like))
    return array if array.dtype == like.dtype else array.astype(like.dtype)


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
