"""Optimizer state: what `optimizer.state` and the state dicts show of the flat buffers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from ..backend import device_of, to_device

if TYPE_CHECKING:
    from .flat import FlatGroup
    from .optimizer import Optimizer


class StateView(dict[str, Any]):
    """The state of one parameter: Tensors that are views into the flat buffers.

    Assigning to a name that is bound copies into the buffer, so that
    `optimizer.state[p]["exp_avg"] = tensor` does what it says.
    """

    def bind(self, name: str, view: Tensor) -> None:
        """Make `name` show `view`."""
        super().__setitem__(name, view)

    def __setitem__(self, name: str, value: Any) -> None:
        bound = self.get(name)
        if isinstance(bound, Tensor):
            bound.array[...] = value.array if isinstance(value, Tensor) else value
        else:
            super().__setitem__(name, value)

    def __reduce__(self) -> Any:  # copies and pickles are plain: their buffers are made anew
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(dict(self), memo)


def import_state(optimizer: Optimizer, group: dict[str, Any], flat: FlatGroup) -> None:
    """Fill new flat buffers from `optimizer.state`, and make its entries views of them."""
    rule = optimizer.rule_for(group)
    for i, p in enumerate(flat.params):
        held = optimizer.state.get(p)
        if not held:
            continue
        entry = StateView()
        # SGD keeps no count: that it has a buffer means that it took a step.
        flat.steps[i] = _as_number(held.get("step", 1))
        if optimizer.counts_steps:
            entry.bind("step", Tensor(flat.step_view(i)))
        for name, start in optimizer.scalar_states.items():
            scalar = flat.scalar_view(name, i, start)
            scalar[...] = _as_number(held.get(name, start))
            entry.bind(name, Tensor(scalar))
        for letter, name in optimizer.shown_states(rule):
            view = flat.state_view(letter, i)
            if held.get(name) is not None:
                view[...] = to_device(held[name].array, device_of(view)).reshape(view.shape)
            entry.bind(name, Tensor(view))
        for name, value in held.items():
            if name not in entry and name != "step":
                entry.bind(name, value)
        optimizer.state[p] = entry


def _as_number(value: Any) -> float:
    return float(value.item()) if isinstance(value, Tensor) else float(value)


def export_state(optimizer: Optimizer) -> dict[str, Any]:
    """The state dict: parameters replaced by their running number over all groups."""
    index: dict[Tensor, int] = {}
    groups = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            index.setdefault(p, len(index))
        packed = {key: value for key, value in group.items() if key != "params"}
        packed["params"] = [index[p] for p in group["params"]]
        groups.append(packed)
    state = {index.get(p, p): dict(entry) for p, entry in optimizer.state.items()}
    return {"state": state, "param_groups": groups}


def load(optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
    """Check a state dict against the optimizer's groups, then take it over whole."""
    name = type(optimizer).__name__
    saved_groups = state_dict["param_groups"]
    groups = optimizer.param_groups
    if len(saved_groups) != len(groups):
        raise ValueError(
            f"{name}: loaded state dict has a different number of parameter groups: "
            f"{len(saved_groups)}, the optimizer has {len(groups)}"
        )
    for i, (saved, group) in enumerate(zip(saved_groups, groups, strict=True)):
        if len(saved["params"]) != len(group["params"]):
            raise ValueError(
                f"{name}: loaded state dict contains a parameter group that doesn't match the size "
                f"of optimizer's group {i}: {len(saved['params'])} parameters, the optimizer's has "
                f"{len(group['params'])}"
            )
    params = {
        number: p
        for saved, group in zip(saved_groups, groups, strict=True)
        for number, p in zip(saved["params"], group["params"], strict=True)
    }
    state = {
        params[number]: _loaded_entry(name, params[number], entry)
        for number, entry in state_dict["state"].items()
        if number in params
    }
    optimizer.state.clear()
    optimizer.state.update(state)
    for saved, group in zip(saved_groups, groups, strict=True):
        settings = {k: copy.deepcopy(v) for k, v in saved.items() if k != "params"}
        if "param_names" in group:
            settings["param_names"] = group["param_names"]
        group.update(settings)


def _loaded_entry(name: str, p: Tensor, entry: dict[str, Any]) -> dict[str, Any]:
    """A copy of one parameter's state, in its dtype and on its device (but `step` as it is)."""
    loaded: dict[str, Any] = {}
    for key, value in entry.items():
        array = getattr(value, "array", value)
        if not hasattr(array, "shape") or not hasattr(array, "dtype"):
            loaded[key] = copy.deepcopy(value)
            continue
        if key != "step" and array.shape != () and tuple(array.shape) != tuple(p.array.shape):
            raise ValueError(
                f"{name}: state {key!r} in the loaded state dict has shape {tuple(array.shape)}, "
                f"its parameter has {tuple(p.array.shape)}"
            )
        kind = np.float32 if key == "step" else p.dtype
        copied = np.array(array, kind) if isinstance(array, np.ndarray) else array.astype(kind)
        loaded[key] = Tensor(copied if key == "step" else to_device(copied, p.device))
    return loaded
