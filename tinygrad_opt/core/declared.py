"""Constructors with the arguments of a function, so that settings are written down once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["constructor", "defined"]

Parameter = inspect.Parameter


def constructor(
    parameters: Sequence[Parameter], run: Callable[[Any, dict[str, Any]], None], space: Any
) -> Any:
    """`__init__` with these parameters, which calls run(self, {name: value, ...}).

    `space`: the names of the module that the annotations are written in.
    """
    defaults = {p.name: p.default for p in parameters}
    given = ", ".join(f"{name!r}: {name}" for name in defaults)
    head = ", ".join(["self", *_declared(parameters)])
    text = f"def __init__({head}): _run(self, {{{given}}})"
    made = defined("__init__", text, space, _run=run, _defaults=defaults)
    made.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": "None"}
    return made


def _declared(parameters: Sequence[Parameter]) -> list[str]:
    """The parameters as they stand in a `def`."""
    parts = []
    for p in parameters:
        if p.kind is Parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if p.default is Parameter.empty else f"=_defaults[{p.name!r}]"
        parts.append(p.name + default)
    return parts


def defined(name: str, text: str, space: dict[str, Any], **values: Any) -> Any:
    """The function that the source `text` defines, in the module `space`, which knows `values`."""
    inside = text.replace("\n", "\n    ")
    source = f"def make({', '.join(values)}):\n    {inside}\n    return {name}"
    found: dict[str, Any] = {}
    exec(compile(source, f"<arguments of {name}>", "exec"), space, found)
    return found["make"](**values)
