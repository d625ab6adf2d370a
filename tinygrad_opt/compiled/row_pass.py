"""The inner loop of a loop's function: one pass over a row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .elements import constant, expression
from .values import Value

__all__ = ["RowPass", "added", "start_of", "stored_form"]


class RowPass:
    """The lines of one inner loop."""

    def __init__(self, nest: Any, phase: int) -> None:
        self.nest, self.phase = nest, phase
        self.lines: list[str] = []
        self._done: dict[Any, str] = {}

    def operand(self, value: Value, i: int) -> str:
        """The name of an argument's element."""
        if not isinstance(value.args[i], Value):
            return ""
        access = self.nest.access[value.number, i]
        root = access.root
        if root.number in self.nest.mine:
            return self.name_of(root)
        return self._read(self.nest._element(access), root)

    def _read(self, text: str, root: Value) -> str:
        if text.isidentifier() and root.dtype != bool:
            return text  # what stands before the row has a name already
        if text not in self._done:
            name = f"e{len(self._done)}"
            self._done[text] = name
            self.lines.append(f"{name} = {text}{' != 0' if root.dtype == bool else ''}")
        return self._done[text]

    def name_of(self, value: Value) -> str:
        """The name of a value's element, computed in this pass or read where an earlier left it."""
        nest, number = self.nest, value.number
        name = nest.names[number]
        if nest.level[number] in ("row", "rowsum") or number in self._done:
            return name
        place = None
        if number in nest.scratch:
            place = f"{nest.scratch[number]}[j]"
        elif nest.is_kept(number):
            place = nest._element(nest.access[number, "out"])
        if place is not None and nest.phase[number] < self.phase:
            self.lines.append(f"{name} = {place}{' != 0' if value.dtype == bool else ''}")
        else:
            operands = [self.operand(value, i) for i in range(len(value.args))]
            self.lines.append(f"{name} = {expression(value, operands)}")
            if place is not None:
                self.lines.append(f"{place} = {stored_form(value, name)}")
        self._done[number] = name
        return name


def stored_form(value: Value, name: str) -> str:
    return f"u1({name})" if value.dtype == bool else name


def start_of(value: Value, wide: bool = False) -> str:
    """What a sum, a maximum or a minimum begins with."""
    dtype = value.dtype
    if dtype.kind == "f":
        start = {"sum": 0.0, "amax": -math.inf, "amin": math.inf}[value.op]
        return constant(start, "float64" if wide and value.op == "sum" else dtype)
    if value.op == "sum":
        return constant(0, dtype)
    if dtype.kind == "b":
        return "False" if value.op == "amax" else "True"
    limits = np.iinfo(dtype)
    return constant(limits.min if value.op == "amax" else limits.max, dtype)


def added(value: Value, total: str, x: str) -> list[str]:
    """The line that takes one more element into a sum, a maximum or a minimum."""
    if value.op == "sum":
        return [f"{total} += {x}"]
    if value.dtype.kind == "f":  # NaN wins
        return [f"{total} = {'larger' if value.op == 'amax' else 'smaller'}({total}, {x})"]
    return [f"{total} = {x} if {x} {'>' if value.op == 'amax' else '<'} {total} else {total}"]
