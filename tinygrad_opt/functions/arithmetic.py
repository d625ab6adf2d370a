"""Arithmetic, element by element: sums, products, division with a rest, rounding."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..arrays import dtypes
from ..core.half import widened
from ..core.node import Variable
from ..core.promote import number_for, promoted, result_type
from ..core.public import public
from ..core.tensor import Tensor

__all__ = [
    "add", "addcdiv", "addcmul", "ceil", "clone", "copysign", "div", "divide", "fix",
    "float_power", "floor", "floor_divide", "fmod", "frac", "lerp", "maximum", "minimum", "mul",
    "multiply", "positive", "pow", "remainder", "round", "rsub", "sgn", "sign", "sub", "subtract",
    "true_divide", "trunc",
]  # fmt: skip


mul, pow, maximum, minimum = ops.mul, ops.pow, ops.maximum, ops.minimum


# These are called most: the operations refuse by themselves, without a check before.
_add, _sub = public(ops.add, "add"), public(ops.sub, "sub")


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input + alpha * other, broadcast."""
    return _add(input, other) if is_one(alpha) else _add_scaled(input, other, alpha)


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input - alpha * other, broadcast."""
    return _sub(input, other) if is_one(alpha) else _sub_scaled(input, other, alpha)


@widened
def _add_scaled(x: Any, y: Any, alpha: float) -> Tensor:
    if _are_alike(alpha, x, y):
        return ops.add_scaled(x, y, alpha=alpha)
    return _add(x, scaled(x, y, alpha))


@widened
def _sub_scaled(x: Any, y: Any, alpha: float) -> Tensor:
    if _are_alike(alpha, x, y):
        return ops.add_scaled(x, y, alpha=-alpha)
    return _sub(x, scaled(x, y, alpha))


def _are_alike(factor: Any, *tensors: Any) -> bool:
    """Whether tensors are of one type of floats and of one shape, and a factor is a number."""
    if type(factor) not in (int, float) or not all(isinstance(x, Variable) for x in tensors):
        return False
    kind, shape = tensors[0].array.dtype, tensors[0].array.shape
    return kind.kind == "f" and all(
        x.array.dtype == kind and x.array.shape == shape for x in tensors[1:]
    )


def is_one(alpha: Any) -> bool:
    """Whether `alpha` changes nothing. True does not count: `scaled` has something to say of it."""
    return bool(alpha == 1) and alpha is not True


def check_factor(kind: Any, factor: Any, name: str = "alpha") -> None:
    """Raise RuntimeError for a factor of a higher kind than results of type `kind`, or a bool."""
    if kind.kind in "iub" and isinstance(factor, float):
        raise RuntimeError(
            f"For integral input tensors, argument {name} must not be a floating point number, got "
            f"{factor}"
        )
    if kind.kind != "b" and isinstance(factor, bool):
        raise RuntimeError(f"Boolean {name} only supported for Boolean results, got {factor}")


def scaled(input: Any, other: Any, alpha: Any) -> Any:
    """alpha * other, in the type of input + other.

    Raises RuntimeError for an alpha of a higher kind than that type.
    """
    kind: Any = getattr(other, "dtype", None)
    usual = kind is getattr(input, "dtype", None) and kind in (dtypes.float32, dtypes.float64)
    if usual and alpha.__class__ is not bool:
        return times(other, alpha)  # at its usual cost
    kind = result_type((input, other))
    check_factor(kind, alpha)
    if kind.kind == "b":
        return other if alpha else ops.where(other, False, other)
    return times(promoted(input, other)[1], alpha)


def times(x: Any, number: Any) -> Any:
    """x * number, of which backward needs no values where it is a Python number."""
    plain = isinstance(number, (int, float)) and isinstance(x, Variable)
    return ops.scaled(x, by=number) if plain and x.array.dtype.kind in "fc" else x * number


def rsub(input: Tensor, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """other - alpha * input, broadcast."""
    return sub(other, input, alpha=alpha)


def float_power(input: Tensor | float, exponent: Tensor | float) -> Tensor:
    """input ^ exponent in float64, whatever the types; in complex128, if one is complex."""
    whole = any(_is_complex(z) for z in (input, exponent))
    kind, number = (dtypes.complex128, complex) if whole else (dtypes.float64, float)
    x, y = (
        ops.cast(z, dtype=kind) if isinstance(z, Variable) else number(z) for z in (input, exponent)
    )
    return ops.pow(x, y)


def _is_complex(z: Any) -> bool:
    return isinstance(z, complex) or getattr(getattr(z, "array", z), "dtype", _FLOAT).kind == "c"


_FLOAT = dtypes.float64


@widened
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    if _are_alike(value, input, tensor1, tensor2):
        return ops.addcmul(input, tensor1, tensor2, value=value)
    input, tensor1, tensor2 = promoted(input, tensor1, tensor2)
    product, value = tensor1 * tensor2, number_for(value, input.array.dtype)
    return ops.add(input, product if value == 1 else times(product, value))


@widened
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2. Raises RuntimeError for integers over integers."""
    if _are_alike(value, input, tensor1, tensor2):
        return ops.addcdiv(input, tensor1, tensor2, value=value)
    if result_type((tensor1, tensor2)).kind not in "fc":
        raise RuntimeError(
            "Integer division with addcdiv is not supported; convert tensor1 or tensor2 with "
            ".float()"
        )
    input, tensor1, tensor2 = promoted(input, tensor1, tensor2)
    return input + value * (tensor1 / tensor2)


def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """input + weight * (end - input), and exactly `end` where the weight is 1."""
    return ops.lerp(input, end, weight)


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy that gradients flow back through; row-major, or in the order of a format."""
    copied = ops.clone(input)
    return copied if memory_format is None else copied.contiguous(memory_format=memory_format)


# Division and rounding ----------------------------------------------------------------------------


def div(
    input: Tensor | float, other: Tensor | float, *, rounding_mode: str | None = None
) -> Tensor:
    """input / other; `rounding_mode` "floor" or "trunc" rounds the result, without gradient.

    Raises RuntimeError for another mode, and for integers divided by 0 with rounding.
    """
    if rounding_mode is None:
        return ops.div(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return _divided(
        ops.floor_divide if rounding_mode == "floor" else ops.trunc_divide, input, other
    )


def floor_divide(input: Tensor | float, other: Tensor | float) -> Tensor:
    """floor(input / other)."""
    return _divided(ops.floor_divide, input, other)


def remainder(input: Tensor | float, other: Tensor | float) -> Tensor:
    """input - other * floor(input / other): what is left has the sign of `other`."""
    return _divided(ops.remainder, input, other)


def fmod(input: Tensor, other: Tensor | float) -> Tensor:
    """input - other * trunc(input / other): what is left has the sign of `input`."""
    return _divided(ops.fmod, input, other)


def _divided(operation: Any, x: Any, y: Any) -> Tensor:
    """The operation. Raises RuntimeError for integers divided by 0, which NumPy calls 0."""
    a, b = (z.array if isinstance(z, Variable) else z for z in (x, y))
    whole = all(
        z.dtype.kind in "iub" if hasattr(z, "dtype") else isinstance(z, int) for z in (a, b)
    )
    if whole and not (b.all() if hasattr(b, "all") else b):
        raise RuntimeError(f"{operation.__name__}: ZeroDivisionError: integers divided by 0")
    return operation(x, y)


floor, ceil, trunc, copysign = ops.floor, ops.ceil, ops.trunc, ops.copysign


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """`input` rounded to `decimals` places; halves go to the even neighbour."""
    if decimals and input.array.dtype.kind != "f":
        raise NotImplementedError(
            f'"round_cpu" not implemented for {input.array.dtype} with decimals={decimals}'
        )
    return ops.round(input, decimals=decimals)


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1, as the input is negative, 0 or positive; bools as they are."""
    return ops.clone(input) if input.array.dtype.kind == "b" else ops.sign(input)


def frac(input: Tensor) -> Tensor:
    """What is left after `trunc`; it has the sign of the input."""
    return ops.sub(input, ops.trunc(input))


def positive(input: Tensor) -> Tensor:
    """The input itself. Raises RuntimeError for bools, as PyTorch does."""
    if input.array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def sgn(input: Tensor) -> Tensor:
    """Like `sign`; of complex numbers input / |input|, and 0 at 0."""
    return ops.sgn_complex(input) if input.array.dtype.kind == "c" else sign(input)


multiply, subtract = mul, sub
fix = trunc
true_divide, divide = ops.div, div
