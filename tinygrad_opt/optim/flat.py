"""Flat groups: the parameters of a group as one vector, so that a step is one kernel call.

A FlatGroup holds one buffer for the values, one for the gradients and one for each optimizer
state; parameters, `.grad`s and states are views into them. Twelfth of the reading path; then
`kernels/rule.py` makes the kernel, and `kernels/adam.py` is a rule.

Nothing depends on it for correctness: a parameter whose array or gradient lies elsewhere (because
somebody replaced it, shares its memory, or kept the gradient) is stepped where it lies, by a kernel
call of its own. Where the gradient is row-sparse, its rows are gathered, stepped as any others, and
put back.

Who holds an array is read from CPython's reference counts. Moving a parameter that somebody else
looks at would cut that view off; overwriting a gradient that somebody kept would change it behind
his back. Both are left alone instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..arrays.dtypes import get_default_dtype
from ..arrays.namespace import is_writable
from ..arrays.rowsparse import RowSparse
from ..arrays.xp import array_namespace, same_library
from ..core.tensor import Tensor, wrap_plain
from ..core.versions import note_write
from ..tensors.sparse import SparseTensor

__all__ = ["FlatGroup", "Run"]

_references = sys.getrefcount


class _Probe:
    """Attributes held once, to learn what `getrefcount` says of an object nobody else holds."""

    __slots__ = ("array",)

    array: Any


_probe = _Probe()
_probe.array = np.zeros(2)[:1]
_ALONE = _references(_probe.array)  # held by one attribute
_IN_SLOT = _ALONE + 1  # held by a GradSlot and its tensor
_OWNER_ALONE = _references(_probe.array.base)  # held by one view


class GradSlot:
    """A parameter's place in the flat gradient; the engine writes the first gradient here.

    buffer[start:stop] of the flat gradient is its memory, `tensor` the `.grad` that lies there.
    """

    __slots__ = ("buffer", "start", "stop", "tensor", "view")

    def __init__(self, buffer: Any, start: int, stop: int, shape: tuple[int, ...]) -> None:
        self.buffer, self.start, self.stop = buffer, start, stop
        self.view = buffer[start:stop].reshape(shape)
        self.tensor = wrap_plain(self.view)

    def holds(self, g: Tensor | None) -> bool:
        """Whether `g` is the gradient that lies here: `g.data = ...` takes it elsewhere."""
        return g is self.tensor and g.array is self.view

    def receive(self, g: Any) -> Tensor:
        """A Tensor that holds `g`: the slot's own, or another if this one is taken or unfit."""
        if _references(self.tensor) > _ALONE:
            return wrap_plain(g.copy())  # somebody kept the last gradient
        self.tensor.array = self.view
        if _references(self.view) > _IN_SLOT:
            return wrap_plain(g.copy())  # or its memory
        tensor, view = self.tensor, self.view
        if g.shape != view.shape or g.dtype != view.dtype or not same_library(g, view):
            return wrap_plain(g.copy())
        view[...] = g
        return tensor


class Run:
    """Neighbouring parameters that take a step together: their arrays, flat, and their numbers.

    arrays: values, gradient, then states.  steps, scalars: one number per parameter, views.
    taken: how many steps they have taken, all of them the same number.
    copy_back: (array, index, copy), for each array of which the step is done on a copy of a part.
    """

    __slots__ = (
        "arrays", "copy_back", "host", "offsets", "params", "scalars", "start", "steps", "stop",
        "taken",
    )  # fmt: skip

    def __init__(
        self,
        flat: FlatGroup,
        start: int,
        stop: int,
        arrays: tuple[Any, ...],
        copy_back: tuple[Any, ...] = (),
    ) -> None:
        self.start, self.stop = start, stop  # parameters start <= i < stop of the group
        self.host: FlatGroup | None = None  # of a guest: whose numbers start and stop are
        self.params = flat.params[start:stop]
        self.offsets = flat.offsets[start : stop + 1]
        self.arrays = arrays
        self.steps = flat.steps[start:stop]
        self.taken = int(self.steps[0])
        self.scalars = {name: values[start:stop] for name, values in flat.scalars.items()}
        self.copy_back = copy_back

    def parts(self, *others: Any) -> Iterator[tuple[Tensor, tuple[Any, ...]]]:
        """Each parameter with its own part of `arrays`, and of `others` that are as long; flat."""
        first = self.offsets[0]
        arrays = (*self.arrays, *others)
        for p, a, b in zip(self.params, self.offsets, self.offsets[1:], strict=False):
            yield p, tuple(array[a - first : b - first] for array in arrays)

    def finish(self, t: int) -> None:
        """Count the step, write back what was done on a copy, and tell older graphs of it."""
        self.steps.fill(t)
        for array, index, stepped in self.copy_back:
            array[index] = stepped
        note_write(self.copy_back[0][0] if self.copy_back else self.arrays[0])


class FlatGroup:
    """Parameters of one dtype and device, laid end to end; states beside them.

    params: the Tensors, in order.  offsets: where each begins; one entry more for the end.
    steps: how many steps each parameter has taken (float32, as PyTorch's `step`; float64 if that is
    the default).  scalars: other numbers of an optimizer, one per parameter.
    shown: the letters of the states that `optimizer.state` has views of.  fresh: parameters that
    have no state yet.  guests: parameters that share another's state, with its FlatGroup (None for
    the same) and its number there.
    """

    def __init__(self, params: list[Tensor]) -> None:
        self.params = params
        self.dtype, self.device = params[0].dtype, params[0].device
        self.xp = array_namespace(params[0].array)
        self.shapes = [p.array.shape for p in params]
        sizes = [p.array.size for p in params]
        self.offsets = [0, *np.cumsum(sizes).tolist()]
        double = get_default_dtype() == np.float64
        self.steps = np.zeros(len(params), np.float64 if double else np.float32)
        self.start_over({})
        self.views: list[Any] = [None] * len(params)  # None: somebody else holds the memory
        self.slots: list[GradSlot | None] = [None] * len(params)
        self._homes: list[tuple[Tensor, Any, GradSlot]] = []  # those that have one, for the check
        self.shown: tuple[str, ...] = ()
        self.at_home = False
        self._taken = 0
        self._gather()

    def start_over(self, scalars: dict[str, float]) -> None:
        """New states, of which nothing has begun; the old ones stay with who looks at them."""
        self.steps = np.zeros_like(self.steps)
        self.scalars: dict[str, Any] = {k: np.full_like(self.steps, v) for k, v in scalars.items()}
        self.states: dict[str, Any] = {}
        self.fresh = set(range(len(self.params)))
        self.guests: dict[int, tuple[FlatGroup | None, int]] = {}
        self._whole: list[Run] = []  # the usual case: one run, made once
        self._whole_names: tuple[str, ...] | None = None

    def _gather(self) -> None:
        """Move values and gradients into the buffers, except where somebody else holds them."""
        movable = _held_alone(self.params)
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
            self._homes.append((p, view, slot))
            if type(p._grad) is not Tensor or p._grad.requires_grad:
                continue
            if _references(p._grad) <= _ALONE:
                p._grad = slot.receive(p._grad.array)

    def ready(self) -> bool:
        """Look where everything lies, before a step; False if the group has to be made anew.

        That is when a parameter went to another dtype or device, or changed its shape.
        """
        self.at_home = self._all_at_home()
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
            buffer = self.states[name] = self.xp.zeros(self.offsets[-1], self.dtype)
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

    def runs(self, names: tuple[str, ...], by_rows: bool = False) -> Iterable[Run]:
        """The parameters that have a gradient, as few runs as possible.

        `by_rows`: of row-sparse gradients only the rows are stepped; else they are made dense.
        A run ends where a parameter has no gradient, does not lie at home, or has taken another
        number of steps (or has other scalars) than its neighbour, or shares another's state.
        """
        if not (self.at_home and self._alike()) or self.guests:
            return self._broken_runs(names, by_rows)
        if self._whole_names != names:
            arrays = (self.values, self.gradient, *(self.state(name) for name in names))
            self._whole = [Run(self, 0, len(self.params), arrays)]
            self._whole_names = names
        self._whole[0].taken = self._taken
        return self._whole

    def _broken_runs(self, names: tuple[str, ...], by_rows: bool) -> Iterator[Run]:
        start = 0
        while start < len(self.params):
            stop = self._end_of_run(start)
            if stop > start:
                a, b = self.offsets[start], self.offsets[stop]
                states = (self.state(name)[a:b] for name in names)
                arrays = (self.values[a:b], self.gradient[a:b], *states)
                yield Run(self, start, stop, arrays)
                start = stop
            else:
                if self.params[start]._grad is not None:
                    yield self._alone(start, names, by_rows)
                start += 1

    def _all_at_home(self) -> bool:
        if len(self._homes) < len(self.params):
            return False
        for p, view, slot in self._homes:
            tensor = slot.tensor
            if p.array is not view or p._grad is not tensor or tensor.array is not slot.view:
                return False
        return True

    def _alike(self) -> bool:
        """Whether all parameters have taken the same number of steps, and have equal scalars."""
        self._taken = int(self.steps.item(0))
        if len(self.params) == 1:
            return True
        return all(map(_all_equal, (self.steps, *self.scalars.values())))

    def _end_of_run(self, start: int) -> int:
        stop = start
        for p, view, slot in zip(
            self.params[start:], self.views[start:], self.slots[start:], strict=True
        ):
            if stop in self.guests:
                break
            if p.array is not view or slot is None or not slot.holds(p._grad):
                break
            if any(n[stop] != n[start] for n in (self.steps, *self.scalars.values())):
                break
            stop += 1
        return stop

    def _alone(self, i: int, names: tuple[str, ...], by_rows: bool) -> Run:
        """One parameter where it lies; scattered memory is stepped as a copy and written back."""
        p = self.params[i]
        g = p._grad.array  # the caller has looked
        if type(g) is RowSparse:
            if by_rows:
                return self._rows(i, g.coalesce(), names)
            g = g.to_dense()
        array = p.array
        whole = self.xp.ascontiguousarray(array).reshape(array.shape)
        g = _writable(self.xp.ascontiguousarray(g, dtype=self.dtype).reshape(-1))
        flat, k = self._state_of(i)
        states = (flat.state_view(name, k).reshape(-1) for name in names)
        back = () if array.flags.c_contiguous else ((array, ..., whole),)
        return self._own(i, Run(flat, k, k + 1, (whole.reshape(-1), g, *states), back))

    def _state_of(self, i: int) -> tuple[FlatGroup, int]:
        """Where the state of parameter i lies."""
        host, k = self.guests.get(i, (self, i))
        return host or self, k

    def _own(self, i: int, run: Run) -> Run:
        """The run is that of parameter i, wherever its state lies."""
        if i in self.guests:
            run.params, run.host = [self.params[i]], self._state_of(i)[0]
        return run

    def _rows(self, i: int, g: RowSparse, names: tuple[str, ...]) -> Run:
        """The rows of one parameter and of its states that a gradient names, each row once."""
        flat, k = self._state_of(i)
        arrays = [self.params[i].array, *(flat.state_view(name, k) for name in names)]
        gathered = [self.xp.ascontiguousarray(array[g.rows]) for array in arrays]
        value, *states = (rows.reshape(-1) for rows in gathered)
        gradient = _writable(self.xp.ascontiguousarray(g.values, dtype=self.dtype).reshape(-1))
        back = tuple((array, g.rows, rows) for array, rows in zip(arrays, gathered, strict=True))
        run = Run(flat, k, k + 1, (value, gradient, *states), back)
        run.offsets = [0, value.size]
        return self._own(i, run)


def _all_equal(numbers: Any) -> bool:
    data = numbers.tobytes()  # the quickest way, for one number as for a thousand
    return bool(data == data[: numbers.itemsize] * len(numbers))


def _writable(array: Any) -> Any:
    """The array, or a copy of one that may only be read: a kernel's type is of writable ones."""
    return array if is_writable(array) else array.copy()


def _held_alone(params: list[Tensor]) -> list[bool]:
    """For each parameter whether its memory is held by nothing but these parameters."""
    views_of: dict[int, int] = {}  # how many of the parameters view each owner
    for p in params:
        if p.array.base is not None:
            views_of[id(p.array.base)] = views_of.get(id(p.array.base), 0) + 1

    def alone(p: Tensor) -> bool:
        if _references(p.array) > _ALONE or not is_writable(p.array):
            return False
        if p.array.base is None:
            return True
        if type(p.array.base) is not type(p.array):
            return False  # memory of something else: a file, a buffer
        others = views_of[id(p.array.base)] - 1
        return _references(p.array.base) <= _OWNER_ALONE + others

    return [alone(p) for p in params]
