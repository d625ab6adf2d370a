"""Formulas written as LLVM's instructions, each once in a library, by calling them with `Value`s.

Numba would infer the types of a formula, optimise it and make machine code of it, before LLVM takes
it into the loop that it stands in: a tenth of a second for each. This takes a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiler import within
from . import primitives

__all__ = ["call", "copysign", "fma", "maximum", "polynomial", "power_of_two", "select", "split"]


class Value:
    """A number, or the truth about some, in the code that is written.

    kind: of the numbers.
    """

    __slots__ = ("builder", "context", "kind", "truth", "value")
    __array_ufunc__ = None  # NumPy's numbers leave the operators to it

    def __init__(
        self, context: Any, builder: Any, value: Any, kind: Any, truth: bool = False
    ) -> None:
        self.context, self.builder, self.value = context, builder, value
        self.kind, self.truth = kind, truth

    def of(self, value: Any, truth: bool = False) -> Value:
        """Another one in the same function."""
        return Value(self.context, self.builder, value, self.kind, truth)

    def number(self, x: Any) -> Any:
        """A constant of the numbers' type."""
        return self.context.get_value_type(self.kind)(float(x))

    def _other(self, x: Any) -> Any:
        return x.value if isinstance(x, Value) else self.number(x)

    def __add__(self, x: Any) -> Value:
        return self.of(self.builder.fadd(self.value, self._other(x)))

    def __radd__(self, x: Any) -> Value:
        return self.of(self.builder.fadd(self._other(x), self.value))

    def __sub__(self, x: Any) -> Value:
        return self.of(self.builder.fsub(self.value, self._other(x)))

    def __rsub__(self, x: Any) -> Value:
        return self.of(self.builder.fsub(self._other(x), self.value))

    def __mul__(self, x: Any) -> Value:
        return self.of(self.builder.fmul(self.value, self._other(x)))

    def __rmul__(self, x: Any) -> Value:
        return self.of(self.builder.fmul(self._other(x), self.value))

    def __truediv__(self, x: Any) -> Value:
        return self.of(self.builder.fdiv(self.value, self._other(x)))

    def __rtruediv__(self, x: Any) -> Value:
        return self.of(self.builder.fdiv(self._other(x), self.value))

    def __neg__(self) -> Value:
        return -0.0 - self

    def __abs__(self) -> Value:
        kind = self.value.type
        function = self.builder.module.declare_intrinsic("llvm.fabs", [kind])
        return self.of(self.builder.call(function, [self.value]))

    def _is(self, relation: str, x: Any) -> Value:
        truth = self.builder.fcmp_ordered(relation, self.value, self._other(x))
        return self.of(truth, truth=True)

    def __lt__(self, x: Any) -> Value:
        return self._is("<", x)

    def __gt__(self, x: Any) -> Value:
        return self._is(">", x)

    def __eq__(self, x: Any) -> Any:
        return self._is("==", x)

    def __bool__(self) -> bool:  # what `if`, `and` and `!=` ask for
        raise TypeError("a formula knows no numbers while it is written: choose with `select`")

    __hash__ = None  # type: ignore[assignment]


def _of_values(primitive: Any) -> Callable[..., Any]:
    """Return the primitive for arguments of which one at least is a `Value`."""

    def write(*arguments: Any) -> Any:
        one = next(a for a in arguments if isinstance(a, Value))
        context, builder = one.context, one.builder
        kinds, values = zip(*(_typed(one, a) for a in arguments), strict=True)
        signature, generate = primitive.definition(None, *kinds)
        made = generate(context, builder, signature, values)
        if isinstance(signature.return_type, types.Float):
            return one.of(made)
        return tuple(one.of(part) for part in cgutils.unpack_tuple(builder, made))

    return write


def _typed(one: Value, x: Any) -> tuple[Any, Any]:
    if isinstance(x, Value):
        return types.boolean if x.truth else x.kind, x.value
    if isinstance(x, tuple):
        kind = types.UniTuple(one.kind, len(x))
        return kind, ir.Constant.literal_array([one.number(number) for number in x])
    return one.kind, one.number(x)


copysign, fma, maximum, polynomial, power_of_two, select, split = map(
    _of_values,
    (
        primitives.copysign, primitives.fma, primitives.maximum, primitives.polynomial,
        primitives.power_of_two, primitives.select, primitives.split,
    ),
)  # fmt: skip


def call(context: Any, builder: Any, formula: Callable[[Any], Any], kind: Any, x: Any) -> Any:
    """Write a call of `formula` for `x` of the type `kind`, and the formula where it is not yet."""
    library, name = context.active_code_library, f"tinygrad_opt_{formula.__name__}_{kind}"
    signature = ir.FunctionType(x.type, [x.type])
    written = library.__dict__.setdefault("_formulas", set())
    if name not in written:
        # In a module of its own: what a caller's arithmetic may do is said of all in the caller's.
        module = library.create_ir_module(name)
        function = ir.Function(module, signature, name)
        function.attributes.add("alwaysinline")
        inside = ir.IRBuilder(function.append_basic_block())
        inside.ret(formula(Value(context, inside, function.args[0], kind)).value)
        library.add_ir_module(module)
        within.leave_out_if_unused(library, name)
        written.add(name)
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [x])
