"""Flat groups: the parameters of a group as one vector, so that a step is one kernel call.

A FlatGroup holds one buffer for the values, one for the gradients and one for each optimizer
state; parameters, `.grad`s and states are views into them. Twelfth of the reading path; then
`kernels/rule.py` makes the kernel, and `kernels/adam.py` is a rule.

Nothing depends on it for correctness: what lies elsewhere is stepped there (`elsewhere.py`), and
what somebody else looks at is left where it is (`ownership.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.dtypes import get_default_dtype
from ..arrays.xp import array_namespace
from ..core.tensor import Tensor
from ..kernels import bfloat16
from ..tensors.rowsparse import SparseTensor
from .ownership import GradSlot, Homes, gradient_held_alone, held_alone
from .run import Run

__all__ = ["FlatGroup", "Run", "flatten"]


class FlatGroup:
    """Parameters of one dtype and device, laid end to end; states beside them.

    params: the Tensors, in order.  offsets: where each begins; one entry more for the end.
    steps: how many steps each parameter has taken (float32, as PyTorch's `step`; float64 if that is
    the default).  scalars: other numbers of an optimizer, one per parameter.
    shown: the letters of the states that `optimizer.state` has views of.  fresh: parameters that
    have no state yet.  narrow: whether states are words of 16 bits (`kernels.bfloat16`).  number:
    which of the optimizer's vectors this is.  counter: see `drawing`.  guests: parameters that
    share another's state, with its FlatGroup (None for the same) and its number there.
    """

    def __init__(self, params: list[Tensor]) -> None:
        self.params = params
        self.dtype, self.device = params[0].array.dtype, params[0].device
        self.xp = array_namespace(params[0].array)
        self.shapes = [p.array.shape for p in params]
        sizes = [p.array.size for p in params]
        self.offsets = [0, *np.cumsum(sizes).tolist()]
        double = get_default_dtype() == np.float64
        self.steps = np.zeros(len(params), np.float64 if double else np.float32)
        self.start_over({})
        self.views: list[Any] = [None] * len(params)  # None: somebody else holds the memory
        self.slots: list[GradSlot | None] = [None] * len(params)
        self._homes = Homes()  # of those that have one
        self.shown: tuple[str, ...] = ()
        self.at_home = self.narrow = False
        self.number, self.counter = 0, [0, 0]
        self._gather()

    def start_over(self, scalars: dict[str, float]) -> None:
        """New states, of which nothing has begun; the old ones stay with who looks at them."""
        self.steps = np.zeros_like(self.steps)
        self.scalars: dict[str, Any] = {k: np.full_like(self.steps, v) for k, v in scalars.items()}
        self.states: dict[str, Any] = {}
        self.fresh = set(range(len(self.params)))
        self.guests: dict[int, tuple[FlatGroup | None, int]] = {}
        self._whole: Run | None = None  # the usual case: one run, made once
        self._whole_names: tuple[str, ...] = ()

    def _gather(self) -> None:
        """Move values and gradients into the buffers, except where somebody else holds them."""
        movable = held_alone(self.params)
        total = self.offsets[-1] if any(movable) else 0
        self.values = self.xp.empty(total, self.dtype)
        self.gradient = self.xp.empty(total, self.dtype)
        for i, p in enumerate(self.params):
            if not movable[i]:
                continue
            a, b = self.offsets[i], self.offsets[i + 1]
            view = self.values[a:b].reshape(p.array.shape)
            view[...] = p.array
            p.array = self.views[i] = view
            slot = self.slots[i] = GradSlot(self.gradient, a, b, view.shape)
            p._home = slot
            self._homes.add(p, view, slot)
            if type(p._grad) is Tensor and not p._grad.requires_grad and gradient_held_alone(p):
                p._grad = slot.receive(p._grad.array)

    def ready(self) -> bool:
        """Look where everything lies, before a step; False if the group has to be made anew.

        That is when a parameter went to another dtype or device, or changed its shape.
        """
        self.at_home = len(self._homes) == len(self.params) and self._homes.hold_all()
        return self.at_home or all(
            p.array.dtype == self.dtype and p.device == self.device and p.array.shape == shape
            for p, shape in zip(self.params, self.shapes, strict=True)
        )

    def has_rows(self) -> bool:
        """Whether a gradient is row-sparse."""
        return any(type(p._grad) is SparseTensor for p in self.params)

    def state(self, name: str) -> Any:
        """The flat buffer of one optimizer state, zeros at first."""
        buffer = self.states.get(name)
        if buffer is None:
            dtype = bfloat16.WORD if self.narrow else self.dtype
            buffer = self.states[name] = self.xp.zeros(self.offsets[-1], dtype)
        return buffer

    def state_view(self, name: str, i: int) -> Any:
        """Parameter i's part of a state, in the parameter's shape."""
        a, b = self.offsets[i], self.offsets[i + 1]
        return self.state(name)[a:b].reshape(self.params[i].array.shape)

    def step_view(self, i: int) -> Any:
        """Parameter i's step count as a 0-d array that shares memory with `steps`."""
        return self.steps[i : i + 1].reshape(())

    def scalar_view(self, name: str, i: int) -> Any:
        """Parameter i's number of that name as a 0-d array."""
        return self.scalars[name][i : i + 1].reshape(())

    # A step -------------------------------------------------------------------------------------

    def whole(self, names: tuple[str, ...]) -> Run | None:
        """All parameters as one run, with the states of these letters; None if they are not as one.

        That is, if one has no gradient, does not lie at home, has taken another number of steps or
        has other scalars, or shares another's state.
        """
        if not self.at_home or self.guests or (len(self.params) > 1 and not self._alike()):
            return None
        if self._whole is None or self._whole_names != names:
            arrays = (self.values, self.gradient, *(self.state(name) for name in names))
            self._whole = Run(self, 0, len(self.params), arrays)
            self._whole_names = names
        self._whole.taken = int(self.steps.item(0))
        return self._whole

    def _alike(self) -> bool:
        """Whether all parameters have taken the same number of steps, and have equal scalars."""
        return _all_equal(self.steps) and all(map(_all_equal, self.scalars.values()))


def _all_equal(numbers: Any) -> bool:
    data = numbers.tobytes()  # the quickest way, for one number as for a thousand
    return bool(data == data[: numbers.itemsize] * len(numbers))


def flatten(params: list[Tensor]) -> list[FlatGroup]:
    """One FlatGroup for each dtype and device among the parameters."""
    kinds: dict[Any, list[Tensor]] = {}
    for p in params:
        kinds.setdefault((p.array.dtype, str(p.device)), []).append(p)
    return [FlatGroup(same) for same in kinds.values()]
