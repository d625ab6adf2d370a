"""Functions that a rule calls: read once, and inlined into its kernels by `lower`.

A helper is a function of numbers, plain or `@njit`, that returns one number or several. Its text is
read as a rule's is, so what it may say is the same; it may return early, and call other helpers.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NoReturn

from . import source
from .vocabulary import FUNCTIONS

__all__ = ["Helper", "function_of", "read"]


@dataclass(frozen=True)
class Helper:
    """A function that a rule calls.

    outputs: the returned expressions, where the only return is the last statement; else the body
    assigns `results` on every path.
    """

    name: str
    function: FunctionType
    file: str
    arguments: tuple[str, ...]
    body: tuple[ast.stmt, ...]
    outputs: tuple[ast.expr, ...]
    scope: dict[str, Any]

    @property
    def assigned(self) -> set[str]:
        """The names that the body assigns, arguments among them."""
        nodes = (node for statement in self.body for node in ast.walk(statement))
        names = (node for node in nodes if isinstance(node, ast.Name))
        return {n.id for n in names if isinstance(n.ctx, ast.Store)}

    def bound(self, call: ast.Call, fail: Callable[[str], NoReturn]) -> dict[str, Any]:
        """Return what each argument gets: a syntax tree, or the value of a default."""
        if any(isinstance(a, ast.Starred) for a in call.args) or None in [
            k.arg for k in call.keywords
        ]:
            fail(f"{self.name} is called with * or **: name its arguments one by one")
        try:
            given = inspect.signature(self.function).bind(
                *call.args, **{str(k.arg): k.value for k in call.keywords}
            )
        except TypeError as error:
            fail(f"{self.name}({', '.join(self.arguments)}) cannot be called like this: {error}")
        given.apply_defaults()
        return dict(given.arguments)


def function_of(value: Any) -> FunctionType | None:
    """Return the plain function that a rule would inline for `value`, None for anything else."""
    value = getattr(value, "py_func", value)  # of @njit, whose options count for nothing here
    try:
        known = value in FUNCTIONS
    except TypeError:  # not hashable
        return None
    return value if isinstance(value, FunctionType) and not known else None


def read(function: FunctionType, scope: dict[str, Any], fail: Callable[[str], NoReturn]) -> Helper:
    """Read the text of a helper; `fail` is called with what is wrong with it.

    scope: what the free names of the function mean.
    """
    name, code = function.__name__, function.__code__
    where = f"{code.co_filename}, line {code.co_firstlineno}"

    def wrong(message: str) -> NoReturn:
        fail(f"the helper {name} ({where}) {message}")

    flags = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_GENERATOR
    if name == "<lambda>" or code.co_flags & flags:
        wrong("must be a function written with def, and no generator")
    if hasattr(function, "__wrapped__"):
        wrong("is wrapped by a decorator, which a kernel would leave out; call what it wraps")
    definition = source.definition(function, lambda message: wrong(f"cannot be read: {message}"))
    spec = definition.args
    if spec.vararg or spec.kwarg or spec.kwonlyargs or spec.posonlyargs:
        wrong("takes plain positional arguments only, without * or /")
    statements = list(definition.body)
    if isinstance(statements[0], ast.Expr) and isinstance(statements[0].value, ast.Constant):
        del statements[0]  # the docstring
    counts = {len(_values(node)) for node in _returns(statements)}
    if len(counts) != 1 or 0 in counts:
        wrong("must return a number on every path, or always as many")
    if _returns(statements) == statements[-1:]:
        body, outputs = statements[:-1], _values(statements[-1])
    else:
        names = [f"result{k}" for k in range(counts.pop())]
        taken = {n.id for n in ast.walk(definition) if isinstance(n, ast.Name)}
        while taken & set(names):
            names = [f"{n}_" for n in names]
        body = _joined(statements, names, wrong)
        outputs = [ast.copy_location(ast.Name(n, ast.Load()), definition.body[-1]) for n in names]
    arguments = tuple(a.arg for a in spec.args)
    return Helper(name, function, code.co_filename, arguments, tuple(body), tuple(outputs), scope)


def _values(node: Any) -> list[ast.expr]:
    """Return the expressions of a return."""
    if node.value is None:
        return []
    return list(node.value.elts) if isinstance(node.value, ast.Tuple) else [node.value]


def _returns(statements: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return the returns among statements, at any depth; those of nested functions are not ours."""
    found: list[ast.stmt] = []
    for statement in statements:
        if isinstance(statement, ast.Return):
            found.append(statement)
        elif isinstance(statement, ast.If | ast.For | ast.While):
            found += _returns([*statement.body, *statement.orelse])
    return found


def _joined(
    statements: Sequence[ast.stmt], names: Sequence[str], wrong: Callable[[str], NoReturn]
) -> list[ast.stmt]:
    """Return the statements with `names` assigned in place of early returns.

    What follows an `if` that returns goes into the branches that do not.
    """
    for k, statement in enumerate(statements):
        before, rest = statements[:k], statements[k + 1 :]
        if isinstance(statement, ast.Return):
            pairs = zip(names, _values(statement), strict=True)
            made = [ast.Assign([ast.Name(n, ast.Store())], value) for n, value in pairs]
            return [*before, *(ast.copy_location(assign, statement) for assign in made)]
        if isinstance(statement, ast.If) and _returns([statement]):
            body = _joined([*statement.body, *rest], names, wrong)
            orelse = _joined([*statement.orelse, *rest], names, wrong)
            return [*before, ast.copy_location(ast.If(statement.test, body, orelse), statement)]
    wrong("must return a number on every path, or always as many")
