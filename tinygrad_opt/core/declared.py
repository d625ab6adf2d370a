"""Functions whose arguments are written down once, elsewhere: constructors, and checked faces.

Compiling one takes a tenth of a millisecond, and `import` makes 400: so the text of a function is
compiled, if ever, when it is called. What it takes is told at once by what `taking` makes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any, NamedTuple

__all__ = [
    "BY_PLACE", "Argument", "arguments_of", "constructor", "defined", "in_def", "next_constructor",
    "taking",
]  # fmt: skip

Parameter = inspect.Parameter

BY_PLACE = Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD


class Argument(NamedTuple):
    """What is needed of an `inspect.Parameter`, which takes twenty times as long to make."""

    name: str
    kind: Any
    default: Any
    annotation: Any


def arguments_of(function: Any) -> list[Argument]:
    """The arguments of a function: those of `inspect.signature`."""
    while hasattr(function, "__wrapped__") and not hasattr(function, "__signature__"):
        function = function.__wrapped__  # `inspect.unwrap` takes ten times as long
    if not isinstance(function, FunctionType) or hasattr(function, "__signature__"):
        found = inspect.signature(function).parameters.values()
        return [Argument(p.name, p.kind, p.default, p.annotation) for p in found]
    code = function.__code__
    count, by_name = code.co_argcount, code.co_kwonlyargcount
    names, after = code.co_varnames, count + by_name
    last = function.__defaults__ or ()
    defaults = dict(zip(names[count - len(last) : count], last, strict=True))
    defaults.update(function.__kwdefaults__ or {})
    kinds: list[Any] = [Parameter.POSITIONAL_ONLY] * code.co_posonlyargcount
    kinds += [Parameter.POSITIONAL_OR_KEYWORD] * (count - len(kinds))
    order: list[tuple[str, Any]] = [*zip(names, kinds, strict=False)]
    if code.co_flags & inspect.CO_VARARGS:
        order.append((names[after], Parameter.VAR_POSITIONAL))
        after += 1
    order += [(name, Parameter.KEYWORD_ONLY) for name in names[count : count + by_name]]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        order.append((names[after], Parameter.VAR_KEYWORD))
    notes = function.__annotations__
    return [
        Argument(name, kind, defaults.get(name, Parameter.empty), notes.get(name, Parameter.empty))
        for name, kind in order
    ]


def taking(
    parameters: Iterable[Any], run: Callable[[dict[str, Any]], Any], name: str,
    space: dict[str, Any],
) -> Any:  # fmt: skip
    """A function of these parameters that calls run({name: value, ...}), made without compiling.

    It is the code of `_taker` with other names of arguments. `space`: its globals, where `_run` is
    put as well.
    """
    parameters = list(parameters)
    kinds = [p.kind for p in parameters]
    by_place = [p for p in parameters if p.kind in BY_PLACE]
    by_name = [p for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    stars = [p for kind in _FLAGS for p in parameters if p.kind is kind]
    names = tuple(p.name for p in (*by_place, *by_name, *stars))
    code = _taker.__code__.replace(
        co_filename=f"<arguments of {name}>", co_firstlineno=1, co_name=name, co_qualname=name,
        co_varnames=names, co_nlocals=len(names),
        co_argcount=len(by_place), co_kwonlyargcount=len(by_name),
        co_posonlyargcount=kinds.count(Parameter.POSITIONAL_ONLY),
        co_flags=_taker.__code__.co_flags | sum(_FLAGS[p.kind] for p in stars),
    )  # fmt: skip
    space["_run"] = run
    defaults = tuple(p.default for p in by_place if p.default is not Parameter.empty)
    made = FunctionType(code, space, name, defaults)
    made.__kwdefaults__ = {p.name: p.default for p in by_name if p.default is not Parameter.empty}
    return made


def _taker() -> Any:
    return _run(locals())  # type: ignore[name-defined]  # noqa: F821


_FLAGS = {
    Parameter.VAR_POSITIONAL: inspect.CO_VARARGS,
    Parameter.VAR_KEYWORD: inspect.CO_VARKEYWORDS,
}


def constructor(
    qualname: str, parameters: Sequence[Any], run: Callable[[Any, dict[str, Any]], None],
    space: dict[str, Any],
) -> Any:  # fmt: skip
    """The `__init__` of the class `qualname`, which calls run(self, {name: value, ...}).

    Python itself checks the arguments. `space`: the names of the module that the annotations are
    written in.
    """
    first = Argument("self", Parameter.POSITIONAL_OR_KEYWORD, Parameter.empty, Parameter.empty)
    made = taking(
        [first, *parameters], lambda given: run(given.pop("self"), given), "__init__", {**space}
    )
    made.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": "None"}
    made.__qualname__, made.declared = f"{qualname}.__init__", True
    return made


def next_constructor(cls: type, instance: Any) -> Any:
    """The `__init__` behind that of `cls`, in the order of the instance's classes: a written one.

    What `constructor` makes is passed over: it takes the settings of its own class.
    """
    mro = type(instance).__mro__
    behind = (vars(c).get("__init__") for c in mro[mro.index(cls) + 1 :])
    return next(f for f in behind if f is not None and not hasattr(f, "declared"))


def in_def(parameters: Iterable[Any], default: Callable[[Any], str]) -> list[str]:
    """The parameters as they stand in a `def`; `default`: the source of one's default."""
    parts, by_name = [], False
    for p in parameters:
        stars = "*" if p.kind is Parameter.VAR_POSITIONAL else ""
        stars = "**" if p.kind is Parameter.VAR_KEYWORD else stars
        if p.kind is Parameter.KEYWORD_ONLY and not by_name:
            parts.append("*")
        by_name = by_name or p.kind in (Parameter.KEYWORD_ONLY, Parameter.VAR_POSITIONAL)
        has_none = stars or p.default is Parameter.empty
        parts.append(stars + p.name + ("" if has_none else f"={default(p)}"))
    return parts


def defined(name: str, text: str, space: dict[str, Any], **values: Any) -> Any:
    """The function that the source `text` defines, in the module `space`, which knows `values`."""
    inside = text.replace("\n", "\n    ")
    source = f"def make({', '.join(values)}):\n    {inside}\n    return {name}"
    found: dict[str, Any] = {}
    exec(compile(source, f"<arguments of {name}>", "exec"), space, found)
    return found["make"](**values)
