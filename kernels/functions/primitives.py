"""What the functions are made of: one or two machine instructions each, for @njit code.

None of them branches, so a loop over them becomes SIMD code. A Python `a if c else b` around longer
formulas would not always: LLVM may move the formulas into the branches.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = [
    "add", "ceil", "copysign", "floor", "fma", "fmod", "half_bits", "maximum", "minimum",
    "of_half_bits", "polynomial", "power_of_two", "select", "size_bits", "split",
]  # fmt: skip


def instruction(definition: Any) -> Any:
    """Make a function for @njit code, as `intrinsic` does, that tells its `definition`."""
    made: Any = intrinsic(definition)
    made.definition = definition
    return made


# For each float type: its integer twin's width, the bits of the mantissa, the exponent's offset.
_LAYOUT = {types.float32: (32, 23, 127), types.float64: (64, 52, 1023)}


def _same_floats(*arguments: Any) -> bool:
    return arguments[0] in _LAYOUT and all(a == arguments[0] for a in arguments)


def _call(builder: Any, name: str, *values: Any) -> Any:
    """A call of an LLVM intrinsic whose arguments and result are of one type."""
    kind = values[0].type
    signature = ir.FunctionType(kind, [kind] * len(values))
    return builder.call(builder.module.declare_intrinsic(name, [kind], signature), values)


def _fmuladd(builder: Any, a: Any, b: Any, c: Any) -> Any:
    # Not llvm.fma, which is a slow call of the C library where the processor has no such
    # instruction; there this one is a product and a sum.
    return _call(builder, "llvm.fmuladd", a, b, c)


@instruction
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once where the processor can."""
    if not _same_floats(a, b, c):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _fmuladd(builder, *values)

    return a(a, b, c), generate


_LONG = 5


def _horner(builder: Any, x: Any, coefficients: Any) -> Any:
    total, *rest = coefficients
    for coefficient in rest:
        total = _fmuladd(builder, total, x, coefficient)
    return total


@instruction
def polynomial(typing: Any, x: Any, coefficients: Any) -> Any:
    """c[0] x^n + c[1] x^(n-1) + ... + c[n], by Horner's rule without a loop.

    Long ones in two halves of x^2 that do not wait for one another.
    """
    if not isinstance(coefficients, types.UniTuple) or not _same_floats(x, coefficients.dtype):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        value, packed = values
        parts = [builder.extract_value(packed, i) for i in range(coefficients.count)]
        if len(parts) < _LONG:
            return _horner(builder, value, parts)
        square = builder.fmul(value, value)
        first, second = (_horner(builder, square, parts[start::2]) for start in (0, 1))
        odd, even = (second, first) if len(parts) % 2 else (first, second)
        return _fmuladd(builder, odd, value, even)

    return x(x, coefficients), generate


@instruction
def select(typing: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b; both are computed."""
    if condition != types.boolean or not _same_floats(a, b):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(*values)

    return a(condition, a, b), generate


@instruction
def copysign(typing: Any, x: Any, sign: Any) -> Any:
    """|x| with the sign of `sign`. (Numba's own is a call of the C library.)"""
    if not _same_floats(x, sign):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _call(builder, "llvm.copysign", *values)

    return x(x, sign), generate


@instruction
def floor(typing: Any, x: Any) -> Any:
    """The whole number at or below x, as a float. (Numba's own is an integer.)"""
    return _rounded("llvm.floor", x)


@instruction
def ceil(typing: Any, x: Any) -> Any:
    """The whole number at or above x, as a float."""
    return _rounded("llvm.ceil", x)


@instruction
def fmod(typing: Any, x: Any, y: Any) -> Any:
    """The rest of x / y towards 0, with the sign of x; Numba has none. A call of the C library."""
    if not _same_floats(x, y):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.frem(*values)

    return x(x, y), generate


def _rounded(name: str, x: Any) -> Any:
    if not _same_floats(x):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _call(builder, name, *values)

    return x(x), generate


@instruction
def power_of_two(typing: Any, shifted: Any) -> Any:
    """2^n from the float n + 1.5 * 2^m, m the bits of the mantissa, whose last bits hold n.

    n must lie within the exponents of normal numbers; others give some number, or none.
    """
    if shifted not in _LAYOUT:
        return None
    width, mantissa, offset = _LAYOUT[shifted]

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.IntType(width)
        bits = builder.add(builder.bitcast(values[0], whole), whole(offset))
        return builder.bitcast(builder.shl(bits, whole(mantissa)), values[0].type)

    return shifted(shifted), generate


@instruction
def size_bits(typing: Any, x: Any) -> Any:
    """The bits of |x| as a whole number: the larger, the larger x is; those of NaN the largest."""
    if x not in _LAYOUT:
        return None
    width, _, _ = _LAYOUT[x]

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.IntType(width)
        return builder.and_(builder.bitcast(values[0], whole), whole((1 << (width - 1)) - 1))

    kind: Any = {32: types.uint32, 64: types.uint64}[width]
    return kind(x), generate


_CONVERTS = "+f16c"  # what a processor has that rounds them; LLVM calls a function where it has not


def _rounded_half(builder: Any, size: Any) -> Any:
    """The bits of the float16 nearest to the float32 of these bits, 0 or more."""
    whole, kind = ir.IntType(32), ir.FloatType()
    last = builder.and_(builder.lshr(size, whole(13)), whole(1))
    # Another exponent, and what the thirteen bits that go round up or down.
    moved = builder.add(builder.add(size, whole(0xC8000FFF)), last)
    found = builder.lshr(moved, whole(13))
    # Below 2^-14 there are whole multiples of 2^-24 alone, as there are from 1/2 to 1.
    lifted = builder.fadd(builder.bitcast(size, kind), kind(0.5))
    tiny = builder.sub(builder.bitcast(lifted, whole), whole(0x3F000000))
    found = builder.select(builder.icmp_unsigned("<", size, whole(0x38800000)), tiny, found)
    large = builder.icmp_unsigned(">=", size, whole(0x47800000))
    return builder.select(large, whole(0x7C00), found)


@instruction
def half_bits(typing: Any, x: Any) -> Any:
    """The bits of a float32 in float16: of the nearest number, ties to even; NaN stays one."""
    if x != types.float32:
        return None
    whole = ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(values[0], whole)
        size = builder.and_(bits, whole(0x7FFFFFFF))
        sign = builder.and_(builder.lshr(bits, whole(16)), whole(0x8000))
        if _CONVERTS in context.codegen().magic_tuple()[2].split(","):
            half = builder.fptrunc(values[0], ir.HalfType())
            found = builder.zext(builder.bitcast(half, ir.IntType(16)), whole)
        else:
            found = builder.or_(_rounded_half(builder, size), sign)
        rest = builder.and_(builder.lshr(size, whole(13)), whole(0x3FF))
        some = builder.select(builder.icmp_unsigned("==", rest, whole(0)), whole(1), rest)
        nan = builder.icmp_unsigned(">", size, whole(0x7F800000))
        odd = builder.or_(builder.or_(some, whole(0x7C00)), sign)
        return builder.trunc(builder.select(nan, odd, found), ir.IntType(16))

    return types.uint16(x), generate


@instruction
def of_half_bits(typing: Any, x: Any) -> Any:
    """The float32 that is the float16 of these bits, a uint16."""
    if x != types.uint16:
        return None
    whole, kind = ir.IntType(32), ir.FloatType()

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.zext(values[0], whole)
        size = builder.shl(builder.and_(bits, whole(0x7FFF)), whole(13))
        # An exponent that is 112 too small; infinities and NaN get theirs in the end.
        found = builder.fmul(builder.bitcast(size, kind), kind(2.0**112))
        top = builder.icmp_unsigned(">=", size, whole(0x7C00 << 13))
        found = builder.or_(
            builder.bitcast(found, whole), builder.select(top, whole(0x7F800000), whole(0))
        )
        sign = builder.shl(builder.and_(bits, whole(0x8000)), whole(16))
        return builder.bitcast(builder.or_(found, sign), kind)

    return types.float32(x), generate


@instruction
def split(typing: Any, x: Any) -> Any:
    """(k, m) with x = 2^k m and m from sqrt(1/2) to sqrt(2), of a positive normal number x."""
    if x not in _LAYOUT:
        return None
    width, mantissa, offset = _LAYOUT[x]
    root = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}[width]  # the bits of sqrt(1/2)
    # An exponent e is made a float as 2^m + e less 2^m, m the bits of the mantissa: there is no
    # SIMD conversion from 64 bits before AVX-512.
    shift = float(2**mantissa)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole, kind = ir.IntType(width), values[0].type
        one = offset << mantissa
        moved = builder.add(builder.bitcast(values[0], whole), whole(one - root))
        exponent = builder.lshr(moved, whole(mantissa))
        tagged = builder.bitcast(
            builder.or_(exponent, whole((offset + mantissa) << mantissa)), kind
        )
        k = builder.fsub(tagged, ir.Constant(kind, shift + offset))
        rest = builder.and_(moved, whole((1 << mantissa) - 1))
        m = builder.bitcast(builder.add(rest, whole(root)), kind)
        return context.make_tuple(builder, signature.return_type, [k, m])

    return types.UniTuple(x, 2)(x), generate


def _extreme(name: str, a: Any, b: Any) -> Any:
    if not _same_floats(a, b):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = values[0].type
        function = builder.module.declare_intrinsic(
            f"llvm.{name}", [kind], ir.FunctionType(kind, [kind, kind])
        )
        return builder.call(function, values, fastmath=("nsz",))  # either zero will do

    return a(a, b), generate


@instruction
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """The larger of the two, NaN if one is. A loop of it is SIMD code, which no `if` would be."""
    return _extreme("maximum", a, b)


@instruction
def minimum(typing: Any, a: Any, b: Any) -> Any:
    """The smaller of the two, NaN if one is."""
    return _extreme("minimum", a, b)


@instruction
def add(typing: Any, total: Any, x: Any) -> Any:
    """total + x, in a loop with several sums under way: in any order, but always in the same."""
    if not _same_floats(total, x):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.fadd(*values, flags=("reassoc", "nsz"))

    return total(total, x), generate
