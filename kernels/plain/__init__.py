"""Functions of pointers and numbers, of which the files of compiled steps consist.

    @plain(p_f4, p_f4, p_f4)
    def add_maximum(y0, x1, x2):
        for i0 in range(200):
            ...

    @njit(types.int64(types.intp), error_model="numpy", nogil=True)
    def enter_0(table):
        return call_0(table)     # call_0 = from_table(step_0)

They are Numba's Python, and compiled by Numba, but without its inference: types are known from the
signature on, and each variable has one. So `lowering.py` goes through the text once and asks Numba
for each operation's code, which takes a hundredth of the time; what it does not know, it leaves to
Numba. And they are all compiled into the one function that is called from Python, where LLVM sees
each of them once; `@njit` functions would each be compiled twice, alone and in their callers.
"""

# mypy: ignore-errors
from __future__ import annotations

import inspect
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..compiler import denormals
from .lowering import Plain

__all__ = ["at", "exchange_mode", "from_table", "memory", "plain", "ticks"]

_WORD = ir.IntType(64)


def plain(*kinds: Any, returns: Any = types.none, exact: bool = False) -> Any:
    """Make a function of a step's file: of these types, which returns another, or nothing.

    exact: without the liberties that loops have: products and sums as one operation, sums in
    another order.
    """
    return lambda function: Plain(function, kinds, returns, exact)


def from_table(step: Plain, direct: int = 0) -> Any:
    """Make a function that calls `step` with its last arguments from a table.

    It takes the first `direct` arguments, then the table's address. Of pointers there are the
    addresses in it, of numbers float64.
    """
    given, rest = step.kinds[:direct], step.kinds[direct:]

    def typing(typing_context: Any, *_: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            *first, table = values
            loaded = [_slot(context, builder, table, i, kind) for i, kind in enumerate(rest)]
            return step.call(context, builder, [*first, *loaded])

        return step.returns(*given, types.intp), generate

    names = ["typing_context", *list(inspect.signature(step.function).parameters)[:direct], "table"]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    typing.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    typing.__name__ = f"call_{step.name}"
    return intrinsic(typing)


def _slot(context: Any, builder: Any, table: Any, i: int, kind: Any) -> Any:
    real = isinstance(kind, types.Float)
    stored = ir.DoubleType() if real else _WORD
    place = builder.inttoptr(table, stored.as_pointer())
    value = builder.load(builder.gep(place, [_WORD(i)]))
    if real:
        return context.cast(builder, value, types.float64, kind)
    return builder.inttoptr(value, context.get_value_type(kind))


if denormals.X86:
    _space: dict[str, Any] = {}
    exec(denormals.PRELUDE, _space)
    exchange_mode = _space["exchange_mode"]


@intrinsic
def at(typing, pointer, offset):
    """Return the pointer `offset` elements on."""

    def generate(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


@intrinsic
def memory(typing, array):
    """Return a pointer to the first element of an array."""

    def generate(context, builder, signature, arguments):
        return context.make_array(array)(context, builder, arguments[0]).data

    element = types.uint8 if array.dtype == types.boolean else array.dtype
    return types.CPointer(element)(array), generate


@intrinsic
def ticks(typing):
    """Return the processor's count of ticks."""

    def generate(context, builder, signature, arguments):
        function = builder.module.declare_intrinsic(
            "llvm.readcyclecounter", (), ir.FunctionType(_WORD, ())
        )
        return builder.call(function, ())

    return types.int64(), generate
