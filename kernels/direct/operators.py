"""Operators and changes of type that need not be looked for among all that Numba knows.

What they write is what Numba writes for them; for all others Numba is asked.
"""

# mypy: ignore-errors
from __future__ import annotations

import math
import operator
from typing import Any

from numba import types
from numba.core import typing
from numba.cpython import mathimpl, numbers

from ..functions import writing
from ..plain.lowering import Body, Typed

__all__ = ["SIGNED", "Operators"]

SIGNED, _UNSIGNED, _REAL = types.int64, types.uint64, (types.float32, types.float64)
_INTEGER = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.and_: "and_",
    operator.or_: "or_", operator.xor: "xor",
}  # fmt: skip
_FLOATING = {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul"}
_RELATION = {
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==",
    operator.ne: "!=",
}  # fmt: skip


def _absolute(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return builder.call(builder.module.declare_intrinsic("llvm.fabs", [values[0].type]), values)


# By Numba's own functions, which it would find in the end.
_OF_INTEGERS = {
    operator.floordiv: numbers.int_floordiv_impl, operator.mod: numbers.int_rem_impl,
    operator.rshift: numbers.int_shr_impl, operator.neg: numbers.int_negate_impl,
}  # fmt: skip
_OF_REALS = {
    operator.truediv: numbers.real_div_impl, operator.neg: numbers.real_negate_impl,
    math.sqrt: mathimpl.sqrt_impl, abs: _absolute,
}  # fmt: skip
_MIXED = {*_FLOATING, *_RELATION, operator.truediv}


class Operators(Body):
    """Writes what operators do."""

    def operate(self, function: Any, *arguments: Typed) -> Typed:
        kinds = {x.kind for x in arguments}
        if len(kinds) == 2 and function in _MIXED and kinds <= {*_REAL, SIGNED}:
            kinds = {types.float64}  # one of them at least is a real number
            arguments = tuple(Typed(self.cast(x, types.float64), types.float64) for x in arguments)
        if len(kinds) == 1:
            found = self.at_once(function, *kinds, *(x.value for x in arguments))
            if found is not None:
                return found
        return super().operate(function, *arguments)

    def at_once(self, function: Any, kind: Any, *values: Any) -> Typed | None:
        formula = getattr(function, "formulas", {}).get(kind)
        if formula is not None:
            return Typed(writing.call(self.context, self.builder, formula, kind, *values), kind)
        builder, relation = self.builder, _RELATION.get(function)
        if isinstance(kind, types.Integer) and relation is not None:
            compare = builder.icmp_signed if kind.signed else builder.icmp_unsigned
            return Typed(compare(relation, *values), types.boolean)
        if kind in (SIGNED, _UNSIGNED):
            name, of_numba = _INTEGER.get(function), _OF_INTEGERS.get(function)
        elif kind in _REAL:
            if relation is not None:
                ordered = builder.fcmp_unordered if relation == "!=" else builder.fcmp_ordered
                return Typed(ordered(relation, *values), types.boolean)
            name, of_numba = _FLOATING.get(function), _OF_REALS.get(function)
        else:
            return None
        if name is not None:
            return Typed(getattr(builder, name)(*values), kind)
        if of_numba is None or (function is operator.neg and kind is _UNSIGNED):
            return None
        signature = typing.signature(kind, *[kind] * len(values))
        return Typed(of_numba(self.context, builder, signature, values), kind)

    def cast(self, x: Typed, kind: Any) -> Any:
        made = _CHANGES.get((type(x.kind), type(kind)))
        if made is None or x.kind == kind:
            return super().cast(x, kind)
        return made(self.context, self.builder, x.kind, kind, x.value)


_CHANGES = {
    (types.Integer, types.Integer): numbers.integer_to_integer,
    (types.Integer, types.Float): numbers.integer_to_float,
    (types.Float, types.Integer): numbers.float_to_integer,
    (types.Float, types.Float): numbers.float_to_float,
}
