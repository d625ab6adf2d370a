"""One run of a model, written down: every operation, with what it took and what it made.

Operations are seen where they are recorded for backward (`core.record`), so for the run all
tensors count as requiring a gradient. Functions that are not recorded, or that ONNX has a node for
as a whole, are watched by name (`WATCHED`), and what they do inside is not written down. Other
threads go on as before; the model's tensors, modes and generators are as before when it is over.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .. import ops
from ..autograd import recorded_writes
from ..core import record
from ..core.node import Variable
from ..core.tensor import Tensor, wrap
from ..nn.module import Module
from .errors import OnnxExporterError
from .trace import Trace

__all__ = ["WATCHED", "traced"]

_NAMES = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d all any argmax argmin argsort avg_pool1d avg_pool2d
    avg_pool3d batch_norm bitwise_and bitwise_not bitwise_or bitwise_xor conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d embedding eq gather ge group_norm gt
    index_select instance_norm interpolate isfinite isinf isnan layer_norm le logical_and
    logical_not logical_or logical_xor lt max max_pool1d max_pool2d max_pool3d min ne one_hot pad
    scatter sort topk tril triu
"""
WATCHED = frozenset(_NAMES.split())
_OPERATORS = {
    "__eq__": "eq", "__ne__": "ne", "__lt__": "lt", "__le__": "le", "__gt__": "gt", "__ge__": "ge",
    "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor",
    "__invert__": "bitwise_not",
}  # fmt: skip
_READING = ("item", "tolist", "numpy", "__array__", "__float__", "__int__", "__bool__", "__index__")
_NUMPYS = {"axis": "dim", "keepdims": "keepdim"}
_ROOMS = ("functions", "nn", "tensors")
_PACKAGE = __name__.rpartition(".onnx.")[0]
_one_at_a_time = threading.RLock()


# Running ------------------------------------------------------------------------------------------


def traced(
    model: Callable[..., Any], args: Any, kwargs: dict[str, Any], states: dict[str, Any]
) -> Trace:
    """The trace of model(*args, **kwargs); tensors among them are the inputs, in their order.

    states: the model's parameters and buffers by name.
    """
    trace = Trace({id(t.array): (name, t.array) for name, t in states.items()})
    run = _Run(trace, model)
    with _one_at_a_time, run.exchanged(states.values()):
        given = [run.input(x) for x in args]
        named = {name: run.input(x) for name, x in kwargs.items()}
        trace.returned = _returned(trace, model(*given, **named))
    return trace


def _returned(trace: Trace, value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(_returned(trace, part) for part in value.values())
    if isinstance(value, (tuple, list)):
        return tuple(_returned(trace, part) for part in value)
    if value is not None and not isinstance(value, Variable):
        raise OnnxExporterError(
            f"a model must return tensors, got {type(value).__name__} among its results"
        )
    return trace.seen(value)


class _Run:
    """What stands in the place of what is exchanged for the run."""

    def __init__(self, trace: Trace, model: Any) -> None:
        self.trace = trace
        modules = model.named_modules() if isinstance(model, Module) else ()
        self.paths = {id(module): path for path, module in modules}
        self.thread = threading.get_ident()
        self.inside = 0  # of how many watched functions
        self.over = False  # somebody may have kept what was exchanged

    def here(self) -> bool:
        return threading.get_ident() == self.thread and not self.inside and not self.over

    def input(self, value: Any) -> Any:
        if not isinstance(value, Variable):
            return value
        array = value.array.copy()
        self.trace.new(array, True)
        return _followed(array)

    def caller(self, original: Any) -> Any:
        """Of `Module.__call__`: what happens inside stands in that module."""

        def call(module: Any, *args: Any, **named: Any) -> Any:
            path = self.trace.path
            path.append(self.paths.get(id(module), path[-1]))
            try:
                return original(module, *args, **named)
            finally:
                path.pop()

        return call

    def record(self, value: Any, op: Any, inputs: Any, *rest: Any) -> Any:
        if self.here():
            parameters = inspect.signature(op.pair).parameters if hasattr(op, "pair") else {}
            names = [n for n, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
            several = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
            given = {"parts": inputs} if several else dict(zip(names, inputs, strict=False))
            defaults = {n: p.default for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
            self.trace.add(op.__name__, {**defaults, **given, **rest[1]}, [value])
        return record.record_plainly(value, op, inputs, *rest)

    def watch(self, function: Any, name: str) -> Any:
        signature = inspect.signature(function)

        def watched(*args: Any, **named: Any) -> Any:
            if not self.here() or not any(map(self._is_followed, (*args, *named.values()))):
                return function(*args, **named)
            bound = signature.bind(*args, **{_NUMPYS.get(k, k): v for k, v in named.items()})
            bound.apply_defaults()
            self.inside += 1
            try:
                result = function(*args, **named)
            finally:
                self.inside -= 1
            parts = result if isinstance(result, tuple) else (result,)
            arrays = [_own(part.array) for part in parts]
            arguments = dict(bound.arguments)
            first = next(iter(arguments))
            self.trace.add(name, {"input": arguments.pop(first), **arguments}, arrays)
            made = [_followed(array) for array in arrays]
            if not isinstance(result, tuple):
                return made[0]
            return type(result)(*made) if hasattr(result, "_fields") else tuple(made)

        return watched

    def _is_followed(self, value: Any) -> bool:
        if isinstance(value, (tuple, list)):
            return any(map(self._is_followed, value))
        return isinstance(value, Variable) and value._requires_grad

    def maker(self, function: Any) -> Any:
        """Of `tensors.creation._made`, which all factories call."""

        def made(*args: Any, **named: Any) -> Any:
            result = function(*args, **named)
            if not self.here():
                return result
            self.trace.add("made", {}, [result.array])
            return _followed(result.array)

        return made

    def to(self, original: Any) -> Any:
        """Of `Tensor.to`, where it makes integers, which is not recorded."""

        def to(tensor: Any, *args: Any, **named: Any) -> Any:
            result = original(tensor, *args, **named)
            if not self.here() or not tensor._requires_grad or result._requires_grad:
                return result
            self.trace.add("cast", {"x": tensor}, [result.array])
            return _followed(result.array)

        return to

    def detach(self, original: Any) -> Any:
        def detach(tensor: Any) -> Any:
            return _followed(tensor.array) if self.here() and tensor._requires_grad else \
                original(tensor)  # fmt: skip

        return detach

    def reading(self, original: Any, name: str) -> Any:
        def read(tensor: Any, *args: Any, **named: Any) -> Any:
            if self.here() and self.trace.knows(tensor):
                raise OnnxExporterError(
                    f"the model reads a tensor's elements ({name}), as `if`, int() and float() do; "
                    "the graph would keep what they were this time. Compute with tensors: "
                    "torch.where(condition, a, b)"
                )
            return original(wrap(tensor.array) if self.here() else tensor, *args, **named)

        return read

    def update(self, tensor: Any, name: str, function: Any, others: Any = ()) -> None:
        self.trace.replace(tensor, function(tensor, *others), name)

    def overwrite(self, tensor: Any, name: str, index: Any, value: Any, within: Any = ...) -> None:
        if within is not ... and index is not ...:
            raise OnnxExporterError(
                "x[number, list] = value has no form in the graph; index in two steps"
            )
        place = within if index is ... else index
        if isinstance(value, Variable) and value.array.dtype != tensor.array.dtype:
            value = ops.cast(value, dtype=tensor.array.dtype)
        self.trace.replace(tensor, ops.put(tensor, value, index=place), name)

    @contextlib.contextmanager
    def exchanged(self, states: Any) -> Iterator[None]:
        """Exchange all that the run has to see, and put it back."""
        before: list[tuple[Any, str, Any]] = []

        def exchange(owner: Any, name: str, replacement: Any) -> None:
            before.append((owner, name, vars(owner)[name]))
            setattr(owner, name, replacement)

        followed = [(t, t._requires_grad) for t in states]
        try:
            for t, _ in followed:
                t._requires_grad = True
            exchange(Module, "__call__", self.caller(vars(Module)["__call__"]))
            exchange(record, "record", self.record)
            exchange(record._Mode, "enabled", _always_on(self.thread))
            exchange(recorded_writes, "update", self.update)
            exchange(recorded_writes, "overwrite", self.overwrite)
            exchange(Tensor, "to", self.to(Tensor.to))
            exchange(Tensor, "detach", self.detach(Tensor.detach))
            data = vars(Tensor)["data"]
            exchange(Tensor, "data", property(self.detach(data.fget), data.fset))
            for name in _READING:
                if name in vars(Tensor):
                    exchange(Tensor, name, self.reading(vars(Tensor)[name], name))
            for owner, name, function, watched in _bindings():
                made = self.maker(function) if watched == "_made" else self.watch(function, watched)
                exchange(owner, name, made)
            yield
        finally:
            self.over = True
            for owner, name, original in reversed(before):
                setattr(owner, name, original)
            for t, required in followed:
                t._requires_grad = required


def _bindings() -> list[tuple[Any, str, Any, str]]:
    """Wherever a watched function stands: (module or Tensor, name there, it, its own name)."""
    rooms, package = tuple(f"{_PACKAGE}.{room}" for room in _ROOMS), sys.modules[_PACKAGE]
    for name in WATCHED.intersection(dir(package)):
        getattr(package, name)  # what is first asked for in the run would stay as exchanged
    found: list[tuple[Any, str, Any, str]] = []
    for path, module in list(sys.modules.items()):
        if path == _PACKAGE or path.startswith(rooms):
            for name, value in list(vars(module).items()):
                own = getattr(value, "__name__", "")
                ours = inspect.isfunction(value) and value.__module__.startswith(rooms)
                if ours and (own in WATCHED or own == "_made"):
                    found.append((module, name, value, own))
    for name, value in vars(Tensor).items():
        own = _OPERATORS.get(name, name)
        if inspect.isfunction(value) and own in WATCHED:
            found.append((Tensor, name, value, own))
    return found


def _always_on(thread: int) -> property:
    """Recording, on in one thread whatever is said, and as it was in the others."""

    def read(mode: Any) -> bool:
        return threading.get_ident() == thread or mode.__dict__.get("enabled", True)

    def write(mode: Any, value: bool) -> None:
        if threading.get_ident() != thread:
            mode.__dict__["enabled"] = value

    return property(read, write)


def _followed(array: Any) -> Any:
    """A tensor over an array, whose operations are recorded."""
    return record.record_plainly(array, _followed, (), (), {}, (array,))


def _own(array: Any) -> Any:
    """An array object of its own, so that no two numbers are of one."""
    return array.view()
