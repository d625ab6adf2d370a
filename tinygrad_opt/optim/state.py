"""Optimizer state: what `optimizer.state` and the state dicts show of the flat buffers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from ..autograd.graph import wrap_plain
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
            entry.bind("step", wrap_plain(flat.step_view(i)))
        for name, start in optimizer.scalar_states.items():
            scalar = flat.scalar_view(name, i, start)
            scalar[...] = _as_number(held.get(name, start))
            entry.bind(name, wrap_plain(scalar))
        for letter, name in optimizer.shown_states(rule):
            view = flat.state_view(letter, i)
            if held.get(name) is not None:
                view[...] = to_device(held[name].array, device_of(view)).reshape(view.shape)
            entry.bind(name, wrap_plain(view))
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
