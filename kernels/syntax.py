"""Reading a rule: its source, its arguments and the shape that every rule must have."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn


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
    def variables(self) -> set[str]:
        """All arguments and everything the body assigns."""
        nodes = [node for statement in self.body for node in ast.walk(statement)]
        names = [node for node in nodes if isinstance(node, ast.Name)]
        return {n.id for n in names if isinstance(n.ctx, ast.Store)} | set(self.arguments)


def parse(function: Callable[..., Any]) -> Rule:
    """Read the source of `function` and check its shape; RuleError says what is wrong."""
    name = getattr(function, "__name__", repr(function))
    definition = _definition(function, name)

    def fail(message: str) -> NoReturn:
        raise RuleError(f"update rule {name}: {message}")

    spec = definition.args
    if spec.vararg or spec.kwarg or spec.kwonlyargs or spec.defaults or spec.posonlyargs:
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
                fail(
                    f"early return in line {node.lineno} of the rule; assign in if/else and "
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
    origin = f"{function.__module__}.{function.__qualname__}"
    scope = _scope(function, name)
    return Rule(name, origin, arguments, states, tuple(statements[:-1]), outputs, scope)


def _definition(function: Callable[..., Any], name: str) -> ast.FunctionDef:
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise RuleError(
            f"update rule {name}: Python keeps no source for it ({error}); write the rule in a "
            "file or a notebook cell, not at a bare prompt or in exec"
        ) from None
    try:
        definition = ast.parse(text).body[0]
    except SyntaxError:  # a lambda in the middle of a larger statement
        definition = ast.Pass()
    if not isinstance(definition, ast.FunctionDef):
        raise RuleError(f"update rule {name}: must be a plain function written with def")
    return definition


def _scope(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """Return what the free names of the function mean: builtins, then globals, then closure."""
    try:
        found = inspect.getclosurevars(function)
    except ValueError:  # a cell of the closure is still empty
        raise RuleError(
            f"update rule {name}: a name from around the rule has no value yet; define it above"
        ) from None
    return {**found.builtins, **found.globals, **found.nonlocals}
