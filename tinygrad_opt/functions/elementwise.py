"""Arithmetic and choices, element by element."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..core.half import widened
from ..core.node import Variable
from ..core.promote import fitted, promoted, result_type
from ..core.public import public
from ..core.tensor import wrap_plain
from .comparison import isnan

if TYPE_CHECKING:
    from ..core.tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "addcdiv",
    "addcmul",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "clone",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "div",
    "divide",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "hypot",
    "lerp",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logit",
    "masked_fill",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "mvlgamma",
    "nan_to_num",
    "neg",
    "negative",
    "polygamma",
    "positive",
    "pow",
    "rad2deg",
    "reciprocal",
    "relu",
    "remainder",
    "round",
    "rsqrt",
    "rsub",
    "sgn",
    "sigmoid",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "tan",
    "tanh",
    "threshold",
    "true_divide",
    "trunc",
    "where",
    "xlogy",
]  # fmt: skip


mul, pow, maximum, minimum = ops.mul, ops.pow, ops.maximum, ops.minimum


# These are called most: the operations refuse by themselves, without a check before.
_add, _sub = public(ops.add, "add"), public(ops.sub, "sub")


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input + alpha * other, broadcast."""
    return _add(input, other) if alpha == 1 else _add_scaled(input, other, alpha)


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input - alpha * other, broadcast."""
    return _sub(input, other) if alpha == 1 else _sub_scaled(input, other, alpha)


@widened
def _add_scaled(x: Any, y: Any, alpha: float) -> Tensor:
    return _add(x, scaled(x, y, alpha))


@widened
def _sub_scaled(x: Any, y: Any, alpha: float) -> Tensor:
    return _sub(x, scaled(x, y, alpha))


def scaled(input: Any, other: Any, alpha: Any) -> Any:
    """alpha * other, in the type of input + other.

    Raises RuntimeError for an alpha of a higher kind than that type.
    """
    kind: Any = getattr(other, "dtype", None)
    if kind is getattr(input, "dtype", None) and kind in (dtypes.float32, dtypes.float64):
        return other * alpha  # the usual case, at its usual cost
    kind = result_type((input, other))
    if kind.kind != "f" and isinstance(alpha, float):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number, got "
            f"{alpha}"
        )
    if kind.kind != "b" and isinstance(alpha, bool):
        raise RuntimeError(f"Boolean alpha only supported for Boolean results, got {alpha}")
    if kind.kind == "b":
        return other if alpha else ops.where(other, False, other)
    return promoted(input, other)[1] * alpha


def rsub(input: Tensor, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """other - alpha * input, broadcast."""
    return sub(other, input, alpha=alpha)


def clone(input: Tensor) -> Tensor:
    """A copy that gradients flow back through."""
    return ops.clone(input)


def float_power(input: Tensor | float, exponent: Tensor | float) -> Tensor:
    """input ^ exponent in float64, whatever the types."""
    x, y = (
        ops.cast(z, dtype=dtypes.float64) if isinstance(z, Variable) else float(z)
        for z in (input, exponent)
    )
    return ops.pow(x, y)


def clip(
    input: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None
) -> Tensor:
    """input limited to [min, max]; the bounds are numbers, Tensors or None.

    The gradient passes where min <= input <= max. Raises RuntimeError if both bounds are None.
    """
    if min is None and max is None:
        raise RuntimeError("clip: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Variable) or isinstance(max, Variable):
        bounds = [bound for bound in (min, max) if bound is not None]
        y, *bounds = promoted(input, *bounds)
        if min is not None:
            y = where(y < bounds[0], bounds[0], y)
        return y if max is None else where(y > bounds[-1], bounds[-1], y)
    kind = input.array.dtype
    if kind.kind != "f":
        kind = result_type((input, *(bound for bound in (min, max) if bound is not None)))
        input = input if input.array.dtype == kind else input.to(kind)
        min, max = (bound if bound is None else fitted(bound, kind) for bound in (min, max))
    return ops.clip(input, min=min, max=max)


def clamp_min(input: Tensor, min: Tensor | float) -> Tensor:
    """input, but at least `min`."""
    return clip(input, min=min)


def clamp_max(input: Tensor, max: Tensor | float) -> Tensor:
    """input, but at most `max`."""
    return clip(input, max=max)


def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """input where it lies above the threshold, else `value`."""
    return ops.threshold(input, threshold=threshold, value=value)


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of the two, or the one that is not NaN; a tie's gradient goes to `input`."""
    input, other = promoted(input, other)
    return ops.where((input >= other) | isnan(other), input, other)


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of the two, or the one that is not NaN; a tie's gradient goes to `input`."""
    input, other = promoted(input, other)
    return ops.where((input <= other) | isnan(other), input, other)


def where(
    condition: Tensor, input: Tensor | float | None = None, other: Tensor | float | None = None
) -> Any:
    """input where condition holds, else other, broadcast; with one argument: the true indices."""
    if input is None and other is None:
        return tuple(wrap_plain(i) for i in condition.array.nonzero())
    if condition.array.dtype is not dtypes.bool and condition.array.dtype is not dtypes.uint8:
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{dtypes.name_of(condition.array.dtype)}; compare it, as in x != 0"
        )
    kind = result_type((input, other))
    numbers = [not hasattr(x, "dtype") for x in (input, other)]
    input, other = (fitted(x, kind) if number else x
                    for x, number in zip((input, other), numbers, strict=True))  # fmt: skip
    if all(numbers):  # where(mask, 1.0, 0.0) has no array that decides the type
        input, other = kind.type(input), kind.type(other)
    return ops.where(condition, *promoted(input, other))


def masked_fill(input: Tensor, mask: Tensor, value: Tensor | float) -> Tensor:
    """input with `value`, cast to the input's type, where mask is True."""
    if mask.array.dtype is not dtypes.bool:
        raise RuntimeError(
            f"masked_fill only supports boolean masks, but got mask with dtype {mask.array.dtype}"
        )
    if isinstance(value, Variable) and value.array.ndim:
        raise RuntimeError(
            "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.array.ndim} dimension(s)."
        )
    kind = input.array.dtype
    if isinstance(value, Variable):
        value = value.to(kind)
    else:  # a Python number, which goes with arrays of any library
        value = {"f": float, "b": bool}.get(kind.kind, int)(fitted(value, kind))
    return ops.where(mask, value, input)


@widened
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    input, tensor1, tensor2 = promoted(input, tensor1, tensor2)
    product = tensor1 * tensor2
    return ops.add(input, product if value == 1 else scaled(input, product, value))


@widened
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2. Raises RuntimeError for integers over integers."""
    if result_type((tensor1, tensor2)).kind != "f":
        raise RuntimeError(
            "Integer division with addcdiv is not supported; convert tensor1 or tensor2 with "
            ".float()"
        )
    input, tensor1, tensor2 = promoted(input, tensor1, tensor2)
    return input + value * (tensor1 / tensor2)


def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """input + weight * (end - input), and exactly `end` where the weight is 1."""
    return ops.lerp(input, end, weight)


clamp, multiply, subtract = clip, mul, sub


# Functions of numbers, element by element: exponentials, trigonometry, special functions ----------


abs, neg, sqrt = ops.abs, ops.neg, ops.sqrt


exp, exp2, expm1 = ops.exp, ops.exp2, ops.expm1


log, log1p, log2, log10 = ops.log, ops.log1p, ops.log2, ops.log10


logaddexp, logaddexp2 = ops.logaddexp, ops.logaddexp2


sin, cos, tan, asin, acos, atan = ops.sin, ops.cos, ops.tan, ops.asin, ops.acos, ops.atan


sinh, cosh, tanh, asinh, acosh, atanh = (
    ops.sinh, ops.cosh, ops.tanh, ops.asinh, ops.acosh, ops.atanh,
)  # fmt: skip


atan2, hypot, sinc = ops.atan2, ops.hypot, ops.sinc


sigmoid, relu = ops.sigmoid, ops.relu


erf, erfc, erfinv, lgamma = ops.erf, ops.erfc, ops.erfinv, ops.lgamma


def square(input: Tensor) -> Tensor:
    """input^2, element by element; of bools int64."""
    return ops.pow(input, 2) if input.array.dtype.kind == "b" else ops.mul(input, input)


def reciprocal(input: Tensor) -> Tensor:
    """1 / input, element by element."""
    return ops.div(1.0, input)


@widened
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input), element by element."""
    return ops.div(1.0, ops.sqrt(input))


def positive(input: Tensor) -> Tensor:
    """The input itself. Raises RuntimeError for bools, as PyTorch."""
    if input.array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other), and 0 where input is 0 whatever `other` is, unless it is NaN."""
    kind = result_type((input, other))
    kind = kind if kind.kind == "f" else dtypes.get_default_dtype()
    x, y = (z.to(kind) if hasattr(z, "array") else kind.type(z) for z in (input, other))
    return ops.xlogy(x, y)


def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians."""
    return ops.mul(input, math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees."""
    return ops.mul(input, 180 / math.pi)


@widened
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; `eps` first limits x to [eps, 1 - eps]."""
    if input.array.dtype.kind != "f":
        input = input.to(dtypes.get_default_dtype())
    x = input if eps is None else ops.clip(input, min=eps, max=1 - eps)
    return ops.logit(x)


def digamma(input: Tensor) -> Tensor:
    """The derivative of lgamma."""
    return ops.polygamma(input, n=0)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma."""
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got {n}")
    return ops.polygamma(input, n=n)


@widened
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p.

    p (p - 1) / 4 * log(pi) + sum of lgamma(x - j / 2) for j = 0 ... p - 1.
    """
    total = p * (p - 1) / 4 * math.log(math.pi) + ops.lgamma(input)
    for j in range(1, p):
        total = total + ops.lgamma(ops.sub(input, j / 2))
    return total


def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """With NaN and the infinities replaced: by 0 and the largest numbers of the type."""
    dtype: Any = input.array.dtype
    if dtype.kind != "f":
        return ops.clone(input)
    most = float(np.finfo(dtype).max)
    return ops.nan_to_num(
        input,
        nan=0.0 if nan is None else nan,
        posinf=most if posinf is None else posinf,
        neginf=-most if neginf is None else neginf,
    )


absolute, negative = abs, neg


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2


arcsinh, arccosh, arctanh = asinh, acosh, atanh


# Rounding, division with a rest, signs ------------------------------------------------------------


floor, ceil, trunc, copysign = ops.floor, ops.ceil, ops.trunc, ops.copysign


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """To `decimals` places, halves to the even neighbour."""
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


sgn, fix = sign, trunc


true_divide, divide = ops.div, div
