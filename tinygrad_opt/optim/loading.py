"""Loading an optimizer's state dict: matched, checked whole, then taken over."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from ..autograd.graph import wrap_plain
from ..backend import array_namespace, to_device
from .state import StateView

if TYPE_CHECKING:
    from .optimizer import Optimizer

_AT_MOST = 10  # lines of a difference: a wrong file differs everywhere


def load(
    optimizer: Optimizer, state_dict: dict[str, Any], keep_settings: bool | Collection[str]
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
    optimizer: Optimizer, p: Tensor, label: str, entry: dict[str, Any], faults: list[str]
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
