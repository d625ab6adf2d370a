"""Reading a rule: its source, its arguments and the shape that every rule must have."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from .. import functions
from . import source


class RuleError(ValueError):
    """A function that cannot become an update rule; the text says why and what to do."""


@dataclass(frozen=True)
class Rule:
    """What the text of a rule says: its names, and its parsed body."""

    name: str
    origin: str
    arguments: tuple[str, ...]
    states: tuple[str, ...]
    body: tuple[ast.stmt, ...]
    outputs: tuple[ast.expr, ...]
    scope: dict[str, Any]

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The arguments that are scalars."""
        return self.arguments[2 + len(self.states) :]

    @property
    def nodes(self) -> list[ast.AST]:
        """All that the body and the returned values consist of."""
        return [node for part in (*self.body, *self.outputs) for node in ast.walk(part)]

    @property
    def assigned(self) -> set[str]:
        """The names that the body assigns, arguments among them."""
        names = [node for node in self.nodes if isinstance(node, ast.Name)]
        return {n.id for n in names if isinstance(n.ctx, ast.Store)}

    @property
    def variables(self) -> set[str]:
        """All arguments and everything the body assigns."""
        return self.assigned | set(self.arguments)


def parse(function: Callable[..., Any]) -> tuple[Rule, FunctionType]:
    """Read the source of `function` and check its shape; RuleError says what is wrong.

    The function comes back as what it was found to be: a plain one.
    """
    name = getattr(function, "__name__", repr(function))

    def fail(message: str) -> NoReturn:
        raise RuleError(f"update rule {name}: {message}")

    plain = _plain(function, fail)
    definition = source.definition(plain, fail)
    spec, defaults = definition.args, plain.__defaults__ or plain.__kwdefaults__
    if spec.vararg or spec.kwarg or spec.kwonlyargs or spec.posonlyargs or defaults:
        fail("takes plain positional arguments only, without *, / or defaults")
    arguments = tuple(a.arg for a in spec.args)
    if len(arguments) < 2:
        fail(f"must take at least a parameter and its gradient, got ({', '.join(arguments)})")

    statements = list(definition.body)
    if isinstance(statements[0], ast.Expr) and isinstance(statements[0].value, ast.Constant):
        del statements[0]  # the docstring
    if not statements or not isinstance(statements[-1], ast.Return) or not statements[-1].value:
        fail("must end with one return of the parameter and its states, as in `return p, m`")
    for statement in statements[:-1]:
        if isinstance(statement, ast.FunctionDef):
            continue  # its return is not ours; refused with the other statements
        for node in ast.walk(statement):
            if isinstance(node, ast.Return):
                line = node.lineno - source.first_line(definition) + 1
                fail(
                    f"early return in line {line} of the rule; assign in if/else and "
                    "return once, as the last statement"
                )
    value = statements[-1].value
    outputs = tuple(value.elts) if isinstance(value, ast.Tuple) else (value,)
    if len(outputs) + 1 > len(arguments):
        fail(
            f"returns {len(outputs)} values, but has only ({', '.join(arguments)}) to write "
            "them to; the gradient is not written"
        )
    states = arguments[2 : 1 + len(outputs)]
    for expected, output in zip((arguments[0], *states), outputs, strict=True):
        if isinstance(output, ast.Name) and output.id in arguments and output.id != expected:
            fail(
                f"returns {output.id} where {expected} goes; arguments are parameter, gradient, "
                "states, coefficients, and the rule returns parameter and states in that order"
            )
    origin = f"{plain.__module__}.{plain.__qualname__}"
    body, scope = tuple(statements[:-1]), _scope(plain, fail)
    return Rule(definition.name, origin, arguments, states, body, outputs, scope), plain


def parse_element(function: Callable[..., Any], name: str) -> Rule:
    """Read a function from numbers to one number: none of its arguments has a rule's role."""

    def fail(message: str) -> NoReturn:
        raise RuleError(f"{name}: {message}")

    plain = _plain(function, fail)
    definition = source.definition(plain, fail)
    arguments = tuple(a.arg for a in definition.args.args)
    *body, last = definition.body
    if body and isinstance(body[0], ast.Expr):
        del body[0]  # the docstring
    if not isinstance(last, ast.Return) or last.value is None:
        fail("must end with a return of one number")
    origin = f"{plain.__module__}.{plain.__qualname__}"
    return Rule(name, origin, arguments, (), tuple(body), (last.value,), _scope(plain, fail))


def _plain(function: Any, fail: Callable[[str], NoReturn]) -> FunctionType:
    """Return `function` if it is one written with def that nothing has been wrapped around."""
    if hasattr(function, "py_func"):
        fail("is compiled already; leave out @njit, @update_rule compiles it")
    if not isinstance(function, FunctionType):
        fail(f"must be a plain function written with def, got {type(function).__name__}")
    flags = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_GENERATOR
    if function.__code__.co_name == "<lambda>" or function.__code__.co_flags & flags:
        fail("must be a plain function written with def")
    if hasattr(function, "__wrapped__"):
        fail(
            "there is another decorator under @update_rule, and a kernel of the function alone "
            "would leave out what it does; put @update_rule right above the def"
        )
    return function


def _scope(function: FunctionType, fail: Callable[[str], NoReturn]) -> dict[str, Any]:
    """Return what the free names of the function mean: builtins, then globals, then closure."""
    try:
        found = inspect.getclosurevars(function)
    except ValueError:  # a cell of the closure is still empty
        fail("a name from around the rule has no value yet; define it above")
    return {**found.builtins, **found.globals, **found.nonlocals}


# The functions that a rule may call ---------------------------------------------------------------


def _same(name: str, count: int) -> dict[Any, tuple[str, int]]:
    """Return the entries of a function that `math` and NumPy have under one name."""
    modules = [module for module in (math, np) if hasattr(module, name)]
    return {getattr(module, name): (f"math.{name}", count) for module in modules}


# From function to its name in a kernel and its number of arguments. Each has a float32 version in
# Numba and in numba-cuda. Not here: sin, cos, tan (float64 arithmetic in their CUDA range
# reduction) and floor, ceil (integers in Numba, missing in numba-cuda).
FUNCTIONS: dict[Any, tuple[str, int]] = {
    abs: ("abs", 1),
    min: ("min", 2),
    max: ("max", 2),
    np.abs: ("abs", 1),
    math.pow: ("math.pow", 2),
    math.erf: ("math.erf", 1),
    math.atan: ("math.atan", 1),
    np.arctan: ("math.atan", 1),
    math.atan2: ("math.atan2", 2),
    np.arctan2: ("math.atan2", 2),
}


for _name in ("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "sinh", "cosh"):
    FUNCTIONS |= _same(_name, 1)


FUNCTIONS |= _same("fabs", 1) | _same("copysign", 2) | _same("hypot", 2)
FUNCTIONS |= {
    getattr(functions, _name): (f"math.{_name}" if hasattr(math, _name) else _name, 1)
    for _name in functions.__all__
}
