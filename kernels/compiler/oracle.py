"""Plain Python that rounds as a kernel does: the function itself, on NumPy scalars."""

from __future__ import annotations

import ast
import builtins
import functools
from types import CellType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from .syntax import FUNCTIONS, Rule

# math.sqrt of a float32 is a double in Python; NumPy's functions keep the dtype.
_NUMPY_NAMES = {"pow": "power", "atan": "arctan", "atan2": "arctan2"}
_BUILTINS = frozenset({"abs", "min", "max"})


def frozen(function: FunctionType, rule: Rule) -> FunctionType:
    """Return `function` with the names from around it as they are now: as the kernels have them.

    Of an object whose attributes the rule reads, `math` say, these attributes are what is kept.
    """
    read: dict[str, set[str]] = {}
    for node in rule.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read.setdefault(node.value.id, set()).add(node.attr)
    scope = {
        name: SimpleNamespace(**{a: getattr(value, a) for a in read[name]})
        if name in read and not isinstance(value, int | float | np.number)
        else value
        for name, value in rule.scope.items()
    }
    made: Any = _with_names(function, scope)
    functools.update_wrapper(made, function)
    del made.__wrapped__  # it wraps nothing, and may be made into a rule again
    return made


def on_numpy_scalars(function: FunctionType, scalar: type[np.floating[Any]]) -> FunctionType:
    """Return a `frozen` function whose calls of other functions keep the dtype `scalar`."""

    def replaced(value: Any) -> Any:
        if isinstance(value, SimpleNamespace):
            return SimpleNamespace(**{n: replaced(v) for n, v in vars(value).items()})
        try:
            known = FUNCTIONS.get(value)
        except TypeError:  # not hashable
            return value
        if known is None or known[0] in _BUILTINS:
            return value
        name = known[0].removeprefix("math.")
        called = getattr(np, _NUMPY_NAMES.get(name, name), value)
        # Arguments may be plain floats, from literals: NumPy would answer them in double.
        return lambda *arguments: scalar(called(*map(scalar, arguments)))

    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    scope = function.__globals__ | {name: cell.cell_contents for name, cell in cells}
    return _with_names(function, {name: replaced(value) for name, value in scope.items()})


def _with_names(function: FunctionType, scope: dict[str, Any]) -> FunctionType:
    """Return the function with `scope` in place of its globals and its closure."""
    cells = tuple(CellType(scope[name]) for name in function.__code__.co_freevars)
    around = {"__builtins__": builtins, "__name__": function.__module__, **scope}
    return FunctionType(function.__code__, around, closure=cells)
