"""Functions whose arguments are written down once, elsewhere: constructors, and checked faces."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["constructor", "defined", "in_def", "next_constructor"]

Parameter = inspect.Parameter


def constructor(
    qualname: str, parameters: Sequence[Parameter], run: Callable[[Any, dict[str, Any]], None],
    space: dict[str, Any],
) -> Any:  # fmt: skip
    """The `__init__` of the class `qualname`, which calls run(self, {name: value, ...}).

    Made from text, as `dataclasses` does, so that Python itself checks the arguments. `space`: the
    names of the module that the annotations are written in.
    """
    defaults = {p.name: p.default for p in parameters}
    given = ", ".join(f"{name!r}: {name}" for name in defaults)
    head = ", ".join(["self", *in_def(parameters, lambda p: f"_defaults[{p.name!r}]")])
    text = f"def __init__({head}): _run(self, {{{given}}})"
    made = defined("__init__", text, space, _run=run, _defaults=defaults)
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


def in_def(parameters: Iterable[Parameter], default: Callable[[Parameter], str]) -> list[str]:
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
