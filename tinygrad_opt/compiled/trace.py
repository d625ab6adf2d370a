"""The record of one run of a step: its values, what it was given, and what it changed.

`Trace` is filled by the `Traced` arrays of `traced.py` while `tracing.py` has them in the place of
the tensors' own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..arrays.memory import address, owner
from ..kernels.compiler.arguments import counter_of
from ..optim import drawing
from .values import CompileError, Layout, Value, same

__all__ = ["Trace", "users_line"]

_PACKAGE = str(Path(__file__).parents[1])


class Update(NamedTuple):
    """A step of an optimizer inside the compiled function: one launch of a rule over a vector."""

    optimizer: Any
    group: dict[str, Any]
    rule: Any
    flat: Any  # the FlatGroup

    @property
    def letters(self) -> tuple[str, ...]:
        """The numbers that a launch takes: the rule's coefficients, and of one that draws more."""
        if not self.rule.draws:
            return tuple(self.rule.coefficients)
        return (*self.rule.coefficients, *_COUNTER)

    def counter(self, step: int) -> tuple[int, ...]:
        """Those of a rule that draws, in step `step`; none of other rules."""
        if not self.rule.draws:
            return ()
        index = next(i for i, g in enumerate(self.optimizer.param_groups) if g is self.group)
        drawing.prepare(self.optimizer, index)
        seed, place = self.flat.counter
        return counter_of(self.rule, seed, step, place)


_COUNTER = ("drawn_seed_low", "drawn_seed_high", "drawn_step", "drawn_origin")


class Effect(NamedTuple):
    """What Python does in each call: a scheduler's step, or that of an optimizer of its own kind.

    after: whether it comes after the compiled part.
    """

    call: Callable[[Any], None]  # of what `metric` is
    metric: Value | None
    text: str
    after: bool


class Trace:
    """One run of a step.

    values      in the order of computation
    inputs      id of an array -> its Value: arguments, parameters, buffers, constants
    assumed     (value, what it was): integers that were asked for their truth
    draws       values that are drawn anew in each call, each with the function that fills its array
    updates     launches of optimizers' rules
    stores      writes to memory that was there before the step
    effects     what Python does in each call
    tensors     tensors from outside, with the array that each held: {id: (tensor, array)}
    modules     modules that ran, with their mode
    """

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.inputs: dict[int, Value] = {}
        self.assumed: list[tuple[Value, bool]] = []
        self.draws: list[tuple[Value, Callable[[Any], None]]] = []
        self.effects: list[Effect] = []
        self.updates: list[Value] = []
        self.stores: list[Value] = []
        self.home: dict[int, tuple[Any, int]] = {}  # number -> (a flat gradient, offset)
        self.homed: list[Value] = []
        self.relus: dict[int, Any] = {}  # id of a result of relu -> it; of clamp, ties are others
        # number of what pooling relu(x) chose, or of its gradient -> the value of relu(x)
        self.rectified: dict[int, Value] = {}
        self.handles: dict[int, Any] = {}  # id of an array -> the Traced of all who hold it
        self.tensors: dict[int, tuple[Any, Any]] = {}
        self.modules: dict[int, tuple[Any, bool]] = {}
        self.spaces: list[tuple[dict[str, Any], dict[str, Any]]] = []  # of modules, and before
        self.generators: dict[int, tuple[Any, Any]] = {}  # with their place
        # id of a parameter's array -> what it is after its step
        self.stepped: dict[int, Value] = {}
        self.kept_grads: list[tuple[Any, Any]] = []  # that an optimizer steps by in Python, later
        self.made: list[Any] = []  # weak references to all tensors of the trace
        self.left: list[tuple[Any, Any, Any]] = []  # (leaf, .grad before, .grad after)
        self.consulted: list[tuple[Any, Any]] = []  # (leaf, .grad before), if the step looked
        self.path: list[str] = []  # of the module that is running
        self._known: dict[Any, Value] = {}
        self._arrays: dict[int, Any] = {}  # whose id is a key

    def emit(
        self, op: str, args: tuple[Any, ...], params: dict[str, Any], data: Any,
        layout: Layout | None = None, name: str = "",
    ) -> Value:  # fmt: skip
        """The Value of an op; the same one where the same was asked before."""
        epoch = len(self.updates)  # what is read after an update is something else
        key = (epoch, op, *map(_key, args), *sorted((k, repr(v)) for k, v in params.items()))
        if layout is not None:
            key = (epoch, op, layout.root.number, layout.offset, layout.strides, data.shape)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self.add(op, args, params, data, layout, name)
        return known

    def add(
        self, op: str, args: tuple[Any, ...], params: dict[str, Any], data: Any,
        layout: Layout | None = None, name: str = "",
    ) -> Value:  # fmt: skip
        """A new Value, whatever was asked before."""
        if 0 in data.shape:
            self.refuse("computes a tensor without elements")
        name = "_".join([*self.path, name or op])
        value = Value(len(self.values), op, args, params, data, name, layout)
        self.values.append(value)
        return value

    def is_masked_already(self, g: Any, mask: Any) -> bool:
        """Whether a gradient of relu(x) is 0 wherever max(x, 0) is, as pooling leaves it."""
        relu = self.rectified.get(g.root.number) if isinstance(g, Value) else None
        asked = isinstance(mask, Value) and mask.op == "not_equal" and mask.args[1:] == (0,)
        return relu is not None and asked and mask.args[0] is relu and g.shape == mask.shape

    def lift(self, array: Any) -> Value:
        """The Value of an array that was there before the step; a view, of a part of another."""
        known = self.inputs.get(id(array))
        if known is None:
            self._arrays[id(array)] = array
            known = self.inputs[id(array)] = self._new_input(array)
        return known

    def argument(self, array: Any) -> None:
        """Note an array that is another one in each call, though it may be a part of a larger."""
        self._arrays[id(array)] = array
        params = {"array": array} | ({} if array.flags.c_contiguous else {"copied": True})
        data = np.ascontiguousarray(array).reshape(array.shape)
        self.inputs[id(array)] = self.add("input", (), params, data)

    def _new_input(self, array: Any) -> Value:
        base = owner(array)
        fits = (
            base is not array
            and type(base) is np.ndarray
            and base.flags.c_contiguous
            and base.dtype == array.dtype
            and array.size
            and all(s % array.itemsize == 0 for s in array.strides)
        )
        if not fits:
            if not array.flags.c_contiguous:
                return self.add("input", (), {"array": array, "copied": True}, array.copy())
            return self.add("input", (), {"array": array}, array)
        root = self.lift(base)
        start = address(array) - address(base)
        strides = tuple(s // array.itemsize for s in array.strides)
        layout = Layout(root, start // array.itemsize, strides)
        return self.add("view", (root,), {}, array, layout)

    def put_modules_back(self) -> None:
        """Give the modules that ran the attributes that they had before."""
        for space, before in self.spaces:
            for name in [name for name in space if name not in before]:
                del space[name]
            space.update(before)

    # Where values go -----------------------------------------------------------------------------

    def home_of(self, value: Value, buffer: Any, start: int) -> bool:
        """Have a gradient lie in a flat gradient; False if somebody reads what lies there."""
        if id(buffer) in self.inputs:
            return False
        root = value.root
        for n, place in self.home.items():
            if place[0] is buffer and place[1] == start and n != root.number:
                there = self.values[n]  # an earlier gradient of this step, or a copy of this one
                return there.op == "copy" and there.args[0] is value
        held = self.home.get(root.number)
        if held is not None and held[0] is buffer and held[1] == start:
            return True
        fits = (
            held is None
            and root.op not in ("input", "draw", "call", "result")
            and value.layout.is_whole(value.shape)
        )
        if not fits:
            root = self.add("copy", (value,), {}, same(value), name="gradient")
        self.home[root.number] = (buffer, start)
        self.homed.append(root)
        return True

    def written(self) -> list[tuple[Any, Any]]:
        """(array, handle) of memory from outside that the step has changed."""
        found = []
        for key, handle in self.handles.items():
            expected = self.stepped.get(key, self.inputs[key])
            if handle.final is not expected:
                found.append((self._arrays[key], handle))
        held = [self._arrays[key] for key in self.handles]
        for array, _ in found:
            if any(other is not array and np.may_share_memory(array, other) for other in held):
                raise CompileError(
                    "compile: the step writes to memory that another of its tensors shares"
                )
        return found

    def names(self, leaves: list[Any]) -> dict[Any, str]:
        """{(id of the owner of an array, offset in it): name} of arguments, parameters, buffers."""
        found: dict[Any, str] = {}

        def note(name: str, tensor: Any) -> None:
            key = id(self.tensors[id(tensor)][1]) if id(tensor) in self.tensors else None
            if key in self.inputs:
                value = self.inputs[key]
                held = id(value.root.params.get("array"))
                found.setdefault((held, value.layout.offset), name.replace(".", "_"))

        for i, leaf in enumerate(leaves):
            note("input" if len(leaves) == 1 else f"input{i}", leaf)
        below = {id(m) for module, _ in self.modules.values() for m in module.children()}
        for module, _ in self.modules.values():
            if id(module) not in below:
                kinds = {path: type(m).__name__.lower() for path, m in module.named_modules()}
                for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                    path, _, last = name.rpartition(".")
                    parts = path.split(".") if path else []
                    named = [
                        f"{kinds['.'.join(parts[: i + 1])]}{part}" if part.isdigit() else part
                        for i, part in enumerate(parts)
                    ]
                    note("_".join([*named, last]), tensor)
        for number, update in enumerate(self.updates):
            flat = update.params["update"].flat
            found.setdefault((id(flat.values), -1), f"parameters{number}")
        return found

    def refuse(self, what: str) -> NoReturn:
        """Raise the error that names the user's line."""
        raise CompileError(f"compile: {users_line()}{what}")


def _key(x: Any) -> Any:
    return ("value", x.number) if isinstance(x, Value) else (type(x).__name__, repr(x))


def asked_by_user() -> bool:
    """Whether the question comes from the user's code, and not from one of the package's checks."""
    room = str(Path(__file__).parent)
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(room):
        frame = frame.f_back
    return frame is None or not frame.f_code.co_filename.startswith(_PACKAGE)


def users_line() -> str:
    """`train.py:31 ` of the innermost frame that is not the package's own, or nothing."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_PACKAGE, "<arg")):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} "


def raised_at(error: BaseException) -> str:
    """`train.py:31 ` of the innermost frame of the user's that an error came through."""
    found, trace = "the step ", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<")) and "site-packages" not in file:
            found = f"{Path(file).name}:{trace.tb_lineno} "
        trace = trace.tb_next
    return found
