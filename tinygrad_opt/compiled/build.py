"""From a step to machine code: trace it, plan it, write it, load it, bind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.dtypes import get_default_dtype
from ..core.record import mode
from ..kernels.pool import load
from ..optim.coefficients import next_scalars
from .binding import CompiledPart, EagerCall, row_major
from .entry import Steps, entry_of
from .launches import take_over
from .loops import Loop, Schedule
from .memory import Place, Plan
from .nests import RowsOfSeveralAxes, text_of
from .segment import Part
from .surroundings import Surroundings, hooks_of, refuse_what_is_kept, stand_in
from .text import Text
from .trace import Update
from .traced import Traced
from .tracing import array_in, traced_run
from .tree import flatten, unflatten
from .values import CompileError, Value

__all__ = ["Variant"]


class Variant:
    """A step compiled for one kind of arguments.

    Raises CompileError where the step cannot be compiled.
    """

    def __init__(self, step: Callable[..., Any], leaves: list[Any], args: Any, kwargs: Any) -> None:
        """leaves: the tensors among the arguments."""
        self.leaves = len(leaves)
        self.step = step
        plain = not kwargs and len(args) == len(leaves)  # tensors, and nothing else
        self.kinds = [(t.array.shape, t.array.dtype, t._requires_grad) for t in leaves if plain]
        self.known = (mode.enabled, get_default_dtype()) if plain else None
        self.stand_ins = [stand_in(t) for t in leaves]
        args, kwargs = unflatten(flatten((args, kwargs))[1], self.stand_ins)
        arrays = [array_in(t) for t in self.stand_ins]
        self.trace, result = traced_run(step, args, kwargs, arrays)
        self._refuse_early_schedulers()
        self._refuse_later_gradients()
        self._results(result)
        refuse_what_is_kept(self.trace, result, self.stand_ins)
        self._grads()
        self._writes()
        self.schedule, self.plan = self._planned()
        self.origin = f"{getattr(step, '__module__', '?')}.{getattr(step, '__qualname__', 'step')}"
        self.names = self.trace.names(self.stand_ins)
        arguments = {id(array) for array in arrays}
        self.text = Text(self.trace, self.schedule, self.plan, self.names, self.origin, arguments)
        text = self.text.text
        self.source = text.replace("CACHE", "True")
        self.functions = load("steps", lambda on_disk: text.replace("CACHE", str(on_disk)))
        self._bind(self.stand_ins)
        self._forget()

    def _refuse_early_schedulers(self) -> None:
        """Refuse what could not be set back where integers are not as assumed."""
        if self.trace.assumed and any(not e.after for e in self.trace.effects):
            raise CompileError(
                "compile: a scheduler steps before indices or classes are looked at, and could not "
                "be set back if they are wrong; call scheduler.step() after optimizer.step()"
            )

    def _refuse_later_gradients(self) -> None:
        """Refuse changes of gradients that an optimizer is to take in Python, at the end."""
        left = {id(leaf): after for leaf, _, after in self.trace.left}
        for p, grad in self.trace.kept_grads:
            if grad is not None and left.get(id(p), grad) is not grad:
                raise CompileError(
                    "compile: the step changes .grad after the step of an optimizer that takes it "
                    "in Python, at the end of the compiled step; call zero_grad() first"
                )

    # What the step leaves behind ---------------------------------------------------------------

    def _results(self, result: Any) -> None:
        """The values that are returned, in their place in what was returned."""
        tensors, self.shape_of_result = flatten(result)
        self.returned: list[Any] = []  # a Value to copy, or a tensor that was there before
        for tensor in tensors:
            array = array_in(tensor)
            if isinstance(array, Traced):
                if tensor.node is not None and tensor.node.output:
                    raise CompileError(
                        "compile: the step returns a tensor that backward() has not been called "
                        "on; a compiled step returns values without a graph. Call backward() "
                        "inside the step, or return tensor.detach()"
                    )
                self.returned.append(array.final)
            else:
                self.returned.append(
                    next((i for i, t in enumerate(self.stand_ins) if t is tensor), tensor)
                )

    def _grads(self) -> None:
        """What `.grad` of each leaf is after the step: (leaf, None, a slot's tensor or a Value)."""
        self.grads: list[tuple[Any, Any]] = []
        for leaf, before, after in self.trace.left:
            if after is before:
                continue
            if after is None:
                self.grads.append((leaf, None))
                continue
            array = array_in(after)
            if not isinstance(array, Traced):
                raise CompileError("compile: the step sets .grad to a tensor of outside data")
            value, slot = array.final, leaf._home
            if slot is None:
                self.grads.append((leaf, value))
                continue
            if not self.trace.home_of(value, slot.buffer, slot.start):
                self._store(value, slot.view)
            self.grads.append((leaf, slot.tensor))

    def _writes(self) -> None:
        """Values that go to arrays which were there before the step: the last of its groups."""
        arguments = [array_in(t) for t in self.stand_ins]
        for array, handle in self.trace.written():
            if any(array is a for a in arguments):
                raise CompileError("compile: the step writes to one of its arguments")
            if not array.flags.writeable:
                raise CompileError("compile: the step writes to a tensor that may not be written")
            if not array.flags.c_contiguous:
                raise CompileError("compile: the step writes to a tensor that is not contiguous")
            self._store(handle.final, array)

    def _store(self, value: Value, array: Any) -> None:
        """Have a value written to an array from outside when all else is done."""
        strides = tuple(s // array.itemsize for s in array.strides)
        params = {"array": array, "strides": strides}
        self.trace.stores.append(
            self.trace.add("store", (value,), params, np.zeros(()), name="store")
        )

    def _planned(self) -> tuple[Schedule, Plan]:
        trace = self.trace
        results = [v for v in self.returned if isinstance(v, Value)]
        results += [v for _, v in self.grads if isinstance(v, Value)]
        results += [v for v, _ in trace.assumed]
        results += [e.metric for e in trace.effects if e.metric is not None]
        results += [*trace.updates, *trace.stores, *trace.homed]
        take_over(trace.values, results)
        no_rows: set[int] = set()
        values = list(trace.values)
        arguments = [(v, v.args) for v in values]
        while True:
            schedule = Schedule(trace, results, no_rows)
            homes = {n: Place(str(id(b)), start) for n, (b, start) in trace.home.items()}
            plan = Plan(schedule, homes)
            try:
                for group in schedule.groups:
                    if isinstance(group, Loop) and group.values:
                        text_of(group, plan)
                return schedule, plan
            except RowsOfSeveralAxes as error:
                no_rows |= set(error.values)
                trace.values[:] = values
                for value, args in arguments:
                    value.args = args

    # Binding -------------------------------------------------------------------------------------

    def _bind(self, leaves: list[Any]) -> None:
        """Fix the arrays of every part; note which of them come with each call."""
        trace = self.trace
        of_leaf = {id(array_in(t)): i for i, t in enumerate(leaves)}
        self.blocks = {
            name: _aligned(size, _dtype_of(name)) for name, size in self.plan.sizes.items()
        }
        self.places: dict[int, Any] = {}  # arrays of inputs, draws and eager results, by number
        self.from_leaf: list[tuple[int, int]] = []  # (number of the Value, of the leaf)
        self.copied: list[tuple[int, Any]] = []  # arrays from outside that do not lie in order
        for value in trace.values:
            if value.op == "input":
                array = value.params["array"]
                if id(array) in of_leaf:
                    self.from_leaf.append((value.number, of_leaf[id(array)]))
                elif value.params.get("copied"):
                    self.copied.append((value.number, array))
                self.places[value.number] = row_major(array)
        self.draws = []
        for value, fill in trace.draws:
            array = self.places[value.number] = np.empty(value.shape, value.dtype)
            self.draws.append((fill, array))
        self.held = [
            (t, a, t._requires_grad, hooks_of(t))
            for t, a in trace.tensors.values()
            if id(a) not in of_leaf and t.node is None
        ]
        self.modes = [(m, training, hooks_of(m)) for m, training in trace.modules.values()]
        self.surroundings = Surroundings(self.step, [m for m, *_ in self.modes])
        self.entry = [(leaf, before) for leaf, before in trace.consulted]
        self.updates: list[Update] = [u.params["update"] for u in trace.updates]
        self.flats = [(u.optimizer, u.optimizer._flat, [
            (group, list(group["params"])) for group in u.optimizer.param_groups
        ]) for u in self.updates]  # fmt: skip
        self.steps = [Steps(u.flat) for u in self.updates]
        self.calls = [self._bound(part) for part in self.text.parts]
        self.before = [e for e in trace.effects if not e.after]
        self.after = [(e, self._view(e.metric)) for e in trace.effects if e.after]
        self.outputs = [self._view(v) if isinstance(v, Value) else v for v in self.returned]
        self.own_grads = [(leaf, self._view(g)) for leaf, g in self.grads if isinstance(g, Value)]
        self.final_grads = [(leaf, g) for leaf, g in self.grads if not isinstance(g, Value)]
        self.must_rewind = bool(trace.assumed and self.draws)
        self.generators = [g for g, _ in trace.generators.values()]
        for u in self.updates:
            u.optimizer._opt_called = True
            for slot in u.flat.slots:
                slot.tensor.array = slot.view
        self.takes, self.fits, self.run = entry_of(self)

    def _bound(self, part: Part) -> Any:
        if part.call is not None:
            return EagerCall(self, part.call)
        number = sum(1 for p in self.text.parts[: self.text.parts.index(part)] if p.call is None)
        return CompiledPart(self, self.functions[number], part)

    def _view(self, value: Value | None) -> Any:
        """Where the elements of a value are, as an array; None for None.

        It is a function that returns it, where that is another array in each call.
        """
        if value is None:
            return None
        root, layout = value.root, value.layout
        itemsize = value.dtype.itemsize
        strides = tuple(s * itemsize for s in layout.strides)

        def within(flat: Any) -> Any:
            return np.lib.stride_tricks.as_strided(
                flat[layout.offset :] if value.size else flat, value.shape, strides
            )

        place = self.plan.places.get(root.number)
        if place is not None:
            block = self.blocks.get(place.array)
            if block is None:
                block = next(b for b, _ in self.trace.home.values() if id(b) == int(place.array))
            if value.dtype == bool:
                block = block.view(bool)
            fixed = within(block[place.offset : place.offset + root.size])
            return fixed
        if layout.is_whole(value.shape):
            return lambda: self.places[root.number].reshape(value.shape)
        return lambda: within(row_major(self.places[root.number]).reshape(-1))

    def _forget(self) -> None:
        """Let go of the arrays of the traced run."""
        for value in self.trace.values:
            value.forget()

    def next_scalars(self, update: Update, t: int) -> None:
        """Take an optimizer's scalar states on, after its step `t`."""
        next_scalars(update.optimizer, update.group, update.flat, t)


def _dtype_of(block: str) -> Any:
    kind = block.partition("_")[2]
    return np.dtype("u1" if kind == "b1" else kind)


def _aligned(size: int, dtype: Any) -> Any:
    """Zeros that begin at a multiple of 64 bytes."""
    room = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * dtype.itemsize].view(dtype)
