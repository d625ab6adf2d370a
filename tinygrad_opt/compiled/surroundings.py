"""What a compiled step takes from around it, beside memory, and what it must not leave there."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.node import Variable
from ..core.tensor import wrap_as
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from .trace import Trace
from .tracing import array_in
from .tree import flatten
from .values import CompileError

__all__ = ["Surroundings", "hooks_of", "refuse_what_is_kept", "stand_in"]

_PLAIN = (int, float, str, bool, type(None))
_NOTED = (Variable, Module, Optimizer, *_PLAIN)


def stand_in(tensor: Any) -> Any:
    """What is traced in the place of an argument: the same memory, and another object.

    So the argument is told from a tensor that the step has from elsewhere. One that gathers a
    gradient of its own stays itself. Raises CompileError for one that is part of a graph.
    """
    if tensor.node is not None and tensor._requires_grad:
        raise CompileError(
            "compile: an argument is part of a graph, which a compiled step cannot go back "
            "through; pass tensor.detach()"
        )
    if tensor._requires_grad:
        if tensor._home is not None:
            raise CompileError("compile: a parameter of an optimizer is no argument of a step")
        return tensor
    return wrap_as(type(tensor), array_in(tensor).view())


def hooks_of(thing: Any) -> Any:
    """The hooks of a tensor or module, by identity; None for none."""
    hooks = thing._hooks
    if not hooks:
        return None
    tables = [hooks] if hasattr(hooks, "values") else list(vars(hooks).values())
    return [id(hook) for table in tables for hook in table.values()]


def refuse_what_is_kept(trace: Trace, result: Any, arguments: list[Any]) -> None:
    """Refuse a step that keeps tensors of its trace: it would see them for ever.

    Whoever holds one finds the numbers of the traced run in it.
    """
    handed_out = [*flatten(result)[0], *(grad for _, _, grad in trace.left)]
    known = {id(t) for t in (*handed_out, *arguments)}
    made = {id(t) for reference in trace.made if (t := reference()) is not None}
    for tensor in handed_out:
        if id(tensor) in made:
            tensor._base = None  # what it is a view of stands in a buffer

    def kept() -> list[Any]:
        alive = [t for t in (reference() for reference in trace.made) if t is not None]
        return [t for t in alive if id(t) not in known]

    if kept():
        gc.collect()  # what stood in a circle
    tensors = kept()
    for tensor in tensors:
        tensor.array = np.array(array_in(tensor).final.data)
    if tensors:
        trace.put_modules_back()
        raise CompileError(
            f"compile: the step keeps {len(tensors)} of its tensors, in an attribute, a list or a "
            "hook; a compiled step would have those of its trace for ever. Return them instead"
        )


class Surroundings:
    """Names that the step's function reads, and the settings and parts of modules that ran.

    step: the function.  modules: those that it called.

    names   (a namespace, a name in it, what it holds)
    cells   (a cell of the function's closure, what it holds)
    """

    def __init__(self, step: Callable[..., Any], modules: list[Any]) -> None:
        function: Any = inspect.unwrap(getattr(step, "__func__", step))
        code, space = getattr(function, "__code__", None), getattr(function, "__globals__", {})
        names = [n for n in (code.co_names if code is not None else ()) if n in space]
        self.names = [(space, n, space[n]) for n in names if isinstance(space[n], _NOTED)]
        self.cells = [
            (cell, cell.cell_contents)
            for cell in getattr(function, "__closure__", None) or ()
            if _is_noted(cell)
        ]
        self.names += [(vars(m), name, held) for m in modules for name, held in _settings(vars(m))]


def _is_noted(cell: Any) -> bool:
    try:
        return isinstance(cell.cell_contents, _NOTED)
    except ValueError:  # not yet assigned
        return False


def _settings(space: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a module's behaviour hangs on: plain settings, parameters, buffers and children."""
    return [
        (name, held)
        for name, held in space.items()
        if isinstance(held, (*_PLAIN, tuple, Variable, Module)) and name not in _SEEN_OTHERWISE
    ]


_SEEN_OTHERWISE = {"training", "_hooks"}
