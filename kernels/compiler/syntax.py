"""Reading a rule: its source, its arguments and the shape that every rule must have."""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, NoReturn, get_args

from . import source
from .draws import Draw
from .helpers import Helper, read


class RuleError(ValueError):
    """A function that cannot become an update rule; the text says why and what to do."""


@dataclass(frozen=True)
class Rule:
    """What the text of a rule says: its names, and its parsed body.

    draws: the last arguments, which the kernel draws, with what kind of number each is.  helpers:
    the functions that it calls, as they were when they were first looked at.  attributes: of
    modules, `math.pi`, by the scope that they were looked up in; as they were then, too.
    """

    name: str
    origin: str
    arguments: tuple[str, ...]
    states: tuple[str, ...]
    body: tuple[ast.stmt, ...]
    outputs: tuple[ast.expr, ...]
    scope: dict[str, Any]
    file: str = ""
    draws: tuple[tuple[str, str], ...] = ()
    helpers: dict[FunctionType, Helper] = field(default_factory=dict)
    attributes: dict[tuple[int, str], Any] = field(default_factory=dict)

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The arguments that are scalars, and given."""
        return self.arguments[2 + len(self.states) : len(self.arguments) - len(self.draws)]

    def helper(self, function: FunctionType, fail: Callable[[str], NoReturn]) -> Helper:
        """Return what the text of a helper says; its names mean what they meant the first time."""
        if function not in self.helpers:
            self.helpers[function] = read(function, scope_of(function, fail), fail)
        return self.helpers[function]

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
    draws = _draws(plain, definition, fail)
    given = arguments[: len(arguments) - len(draws)]
    if given + tuple(draws) != arguments:
        fail(
            f"takes what is drawn last, got ({', '.join(arguments)}) with {', '.join(draws)} drawn"
        )
    if len(given) < 2:
        fail(f"must take at least a parameter and its gradient, got ({', '.join(given)})")

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
    if len(outputs) + 1 > len(given):
        fail(
            f"returns {len(outputs)} values, but has only ({', '.join(given)}) to write "
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
    body, scope, file = tuple(statements[:-1]), scope_of(plain, fail), plain.__code__.co_filename
    rule = Rule(
        definition.name, origin, arguments, states, body, outputs, scope, file,
        tuple(draws.items()),
    )  # fmt: skip
    return rule, plain


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
    scope, file = scope_of(plain, fail), plain.__code__.co_filename
    return Rule(name, origin, arguments, (), tuple(body), (last.value,), scope, file)


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


def _draws(
    function: FunctionType, definition: ast.FunctionDef, fail: Callable[[str], NoReturn]
) -> dict[str, str]:
    """Return the arguments that are annotated as drawn, with their kinds."""
    found = {}
    names = function.__globals__ | _cells(function)
    for argument in definition.args.args:
        if argument.annotation is None:
            continue
        text = ast.unparse(argument.annotation)
        try:
            meant = function.__annotations__[argument.arg]
            meant = eval(meant, names) if isinstance(meant, str) else meant
        except Exception:  # of names that only type checkers see; or it is one of ours
            if text.rpartition(".")[2].strip("\"'") in ("Normal", "Uniform"):
                fail(f"{text}, which {argument.arg} is annotated with, is not known here; import "
                     "it at the head of the file")  # fmt: skip
            continue
        if kind := _kind_drawn(meant):
            found[argument.arg] = kind
        elif any(_kind_drawn(part) for part in get_args(meant)):
            fail(f"{argument.arg} is annotated with {text}; what a rule draws is Normal or "
                 "Uniform, with nothing beside it")  # fmt: skip
    return found


def _kind_drawn(annotation: Any) -> str | None:
    """What an annotation says is drawn, if it does."""
    kinds = (m.kind for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Draw))
    return next(kinds, None)


def _cells(function: FunctionType) -> dict[str, Any]:
    """Return what the names of the closure mean; of those that have no value yet, nothing."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def scope_of(function: FunctionType, fail: Callable[[str], NoReturn]) -> dict[str, Any]:
    """Return what the free names of the function mean: builtins, then globals, then closure."""
    try:
        found = inspect.getclosurevars(function)
    except ValueError:  # a cell of the closure is still empty
        fail("a name from around the rule has no value yet; define it above")
    return {**found.builtins, **found.globals, **found.nonlocals}
