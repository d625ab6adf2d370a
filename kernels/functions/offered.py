"""Formulas in the place of plain functions, where compiled code calls these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core.typing import signature
from numba.extending import lower_builtin, type_callable

from . import writing
from .constants import FLOAT32, FLOAT64

__all__ = ["offer"]


def offer(plain: Callable[..., Any], make: Callable[[Any], Callable[[Any], Any]]) -> None:
    """Let compiled code that calls `plain` have the formula that a type's numbers make."""
    known = {types.float32: make(FLOAT32), types.float64: make(FLOAT64)}
    plain.formulas = known  # type: ignore[attr-defined]  # for who writes without asking Numba

    @type_callable(plain)
    def of_number(context: Any) -> Any:
        def choose(x: Any) -> Any:
            if not isinstance(x, types.Float | types.Integer | types.Boolean):
                return None
            kind = x if x in known else types.float64
            return signature(kind, kind)

        return choose

    @lower_builtin(plain, types.Float)
    def write(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = signature.return_type
        return writing.call(context, builder, known[kind], kind, values[0])
