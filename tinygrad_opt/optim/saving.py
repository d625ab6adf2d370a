"""Saving an optimizer and taking it up again: state dicts, pickles, and what it prints.

A state dict that is loaded is matched with the groups by names or positions, checked whole, and
only then taken over.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import numpy as np

from ..arrays.device import to_device
from ..arrays.xp import array_namespace
from ..core.tensor import Tensor, wrap_plain
from ..kernels import bfloat16
from .hooks import Hooked
from .state import Edits, State, StateView, bind

__all__ = ["Saved", "by_position"]


class Saved(Hooked):
    """The part of Optimizer that writes and reads its state; hooks may change what goes by."""

    param_groups: list[dict[str, Any]]
    state: Any
    _edits: Edits
    _formulas: dict[Any, Any]
    _flat: Any
    _seen: list[list[Tensor]]
    _noted: Any = None  # the `state` that was looked at last

    def _cuda_graph_capture_health_check(self) -> None:
        """Nothing; steps that are copies of PyTorch's call it."""

    _accelerator_graph_capture_health_check = _cuda_graph_capture_health_check

    def _patch_step_function(self) -> None:
        """Nothing; optimizers that are loaded from a pickle call it."""

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: state}, "param_groups": [settings, "params": indices]}, as PyTorch's.

        The state Tensors are the live ones, not copies; but states of 16 bits are float32 here, the
        same numbers.
        """
        for before in tuple(self._hooks.before_state_dict.values()) if self._hooks else ():
            before(self)
        state_dict = _exported(self)
        for after in tuple(self._hooks.after_state_dict.values()) if self._hooks else ():
            changed = after(self, state_dict)
            state_dict = state_dict if changed is None else changed
        return state_dict

    def load_state_dict(
        self, state_dict: dict[str, Any], *, keep_settings: bool | Collection[str] = False
    ) -> None:
        """Takes over a `state_dict()`: the settings of its groups, and copies of its state.

        Where both sides know the names of their parameters, state goes by name; else by position.
        `keep_settings`: hyper-parameters of this optimizer that the saved ones do not replace:
        True for all, or their names, such as `["lr"]`. State is never cast: a saved optimizer of
        float32 parameters does not fit float64 ones.
        Raises ValueError with all differences, if groups, names, shapes or types differ; nothing
        has changed then.
        """
        state_dict = dict(state_dict)
        for before in tuple(self._hooks.before_loading.values()) if self._hooks else ():
            changed = before(self, state_dict)
            state_dict = state_dict if changed is None else changed
        _load(self, state_dict, keep_settings)
        for after in tuple(self._hooks.after_loading.values()) if self._hooks else ():
            after(self)

    def __getstate__(self) -> dict[str, Any]:  # hooks are not pickled, as in PyTorch
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._flat, self._seen, self._edits, self._formulas = None, [], Edits(), {}
        self._noted = None
        if not isinstance(self.state, State):
            self.state = State(self._edits, self.state)
            for p, entry in self.state.items():
                if type(entry) is dict:
                    bind(self.state, p, StateView(self._edits, entry))

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * (i > 0) + [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _exported(optimizer: Any) -> dict[str, Any]:
    """The state dict: parameters replaced by their running number over all groups.

    Settings that are functions are not data, and left out: who loads keeps his own.
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
        index.get(p, p): _as_numbers(entry) if isinstance(entry, dict) else entry
        for p, entry in optimizer.state.items()
    }
    return {"state": state, "param_groups": groups}


def _as_numbers(entry: dict[Any, Any]) -> dict[Any, Any]:
    """A copy of an entry in which words of 16 bits are the float32 numbers that they stand for."""
    return {
        name: wrap_plain(bfloat16.widened(value.array))
        if isinstance(value, Tensor) and value.dtype == bfloat16.WORD
        else value
        for name, value in entry.items()
    }


# Loading an optimizer's state dict: matched, checked whole, then taken over -----------------------


_AT_MOST = 10  # lines of a difference: a wrong file differs everywhere


def _load(
    optimizer: Any, state_dict: dict[str, Any], keep_settings: bool | Collection[str]
) -> None:
    """Check a state dict against the optimizer's groups, then take it over whole."""
    name = type(optimizer).__name__
    saved_groups, groups = state_dict["param_groups"], optimizer.param_groups
    if _named(saved_groups) and _named(groups):
        partners = _by_name(name, saved_groups, groups)
        aligned = len(saved_groups) == len(groups)
        if not aligned and keep_settings is not True:
            raise _different_groups(name, saved_groups, groups)
    else:
        partners = by_position(name, saved_groups, groups)
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


def by_position(
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
    """Like `by_position`, but by the parameters' names, whatever their order and group."""
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
                faults.append(f"{label}: {key} is {array.dtype}, the parameter {p.array.dtype}")
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
