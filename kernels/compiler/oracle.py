"""Plain Python that rounds as a kernel does: the function itself, on NumPy scalars."""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Iterable, Sequence
from types import CellType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from ..draws import drawn
from .helpers import Helper, function_of
from .syntax import Rule
from .vocabulary import FUNCTIONS

# math.sqrt of a float32 is a double in Python; NumPy's functions keep the dtype.
_NUMPY_NAMES = {"pow": "power", "atan": "arctan", "atan2": "arctan2"}
_BUILTINS = frozenset({"abs", "min", "max"})


def frozen(function: FunctionType, rule: Rule) -> FunctionType:
    """Return `function` with the names from around it as they are now: as the kernels have them.

    Of an object whose attributes the rule reads, `math` say, these attributes are what is kept. Of
    helpers too: they are plain functions here, if `@njit` compiled them or not.
    """
    made = _frozen(function, rule.nodes, rule.scope, rule.helpers)
    functools.update_wrapper(made, function)
    del made.__wrapped__  # it wraps nothing, and may be made into a rule again
    return made


def _frozen(
    function: FunctionType, nodes: Iterable[ast.AST], scope: dict[str, Any],
    helpers: dict[FunctionType, Helper],
) -> Any:  # fmt: skip
    read: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read.setdefault(node.value.id, set()).add(node.attr)

    def kept(value: Any) -> Any:
        plain = function_of(value)
        helper = None if plain is None else helpers.get(plain)
        if helper is None:
            return value
        parts = (*helper.body, *helper.outputs)
        inside = [node for part in parts for node in ast.walk(part)]
        made = _frozen(helper.function, inside, helper.scope, helpers)
        made.__defaults__ = helper.function.__defaults__
        vars(made)["is_helper"] = True
        return made

    held = {
        name: SimpleNamespace(**{a: kept(getattr(value, a)) for a in read[name]})
        if name in read and not isinstance(value, int | float | np.number)
        else kept(value)
        for name, value in scope.items()
    }
    return _with_names(function, held)


def reference(
    function: FunctionType, rule: Rule, arrays: Sequence[Any], coefficients: Sequence[float],
    counter: tuple[int, int, int],
) -> None:  # fmt: skip
    """Run a `frozen` rule over arrays, element by element.

    counter: the seed, the step and the first element's place, for what the rule draws.
    """
    (seed, step, origin), size, scalar = counter, arrays[0].size, arrays[0].dtype.type
    random = [
        drawn(kind, seed, step, size, scalar, origin=origin, number=number)
        for number, (_, kind) in enumerate(rule.draws)
    ]
    on_scalars = on_numpy_scalars(function, scalar)
    constants = [scalar(c) for c in coefficients]
    written = (arrays[0], *arrays[2:])
    with np.errstate(all="ignore"):
        for i in range(size):
            result = on_scalars(
                *(scalar(a[i]) for a in arrays), *constants, *(z[i] for z in random)
            )
            values = result if isinstance(result, tuple) else (result,)
            for array, value in zip(written, values, strict=True):
                array[i] = value


def on_numpy_scalars(function: FunctionType, scalar: type[np.floating[Any]]) -> FunctionType:
    """Return a `frozen` function whose calls of other functions keep the dtype `scalar`."""

    def replaced(value: Any) -> Any:
        if isinstance(value, SimpleNamespace):
            return SimpleNamespace(**{n: replaced(v) for n, v in vars(value).items()})
        try:
            known = FUNCTIONS.get(value)
        except TypeError:  # not hashable
            return value
        if known is None and hasattr(value, "is_helper"):
            made = on_numpy_scalars(value, scalar)
            made.__defaults__ = value.__defaults__
            return made
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
