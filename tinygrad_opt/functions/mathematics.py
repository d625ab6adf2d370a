"""Functions of numbers, element by element: exponentials, trigonometry, special functions."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..arrays import dtypes
from ..arrays.xp import xp
from ..core.half import widened
from ..core.promote import promoted, result_type
from ..core.tensor import Tensor, wrap_plain
from . import return_types

__all__ = [
    "abs", "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "deg2rad",
    "digamma", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "frexp", "hypot", "ldexp", "lgamma",
    "log", "log1p", "log2", "log10", "logaddexp", "logaddexp2", "logit", "mvlgamma", "neg",
    "negative", "nextafter", "polygamma", "rad2deg", "reciprocal", "relu", "rsqrt", "sigmoid",
    "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "xlogy",
]  # fmt: skip


abs, neg, sqrt = ops.abs, ops.neg, ops.sqrt
exp, exp2, expm1 = ops.exp, ops.exp2, ops.expm1
log, log1p, log2, log10 = ops.log, ops.log1p, ops.log2, ops.log10
logaddexp, logaddexp2 = ops.logaddexp, ops.logaddexp2
sin, cos, tan, asin, acos, atan = ops.sin, ops.cos, ops.tan, ops.asin, ops.acos, ops.atan
sinh, cosh, tanh, asinh, acosh, atanh = (
    ops.sinh, ops.cosh, ops.tanh, ops.asinh, ops.acosh, ops.atanh,
)  # fmt: skip


atan2, hypot, sinc, reciprocal, rsqrt = ops.atan2, ops.hypot, ops.sinc, ops.reciprocal, ops.rsqrt
sigmoid, relu = ops.sigmoid, ops.relu
erf, erfc, erfinv, lgamma = ops.erf, ops.erfc, ops.erfinv, ops.lgamma


def square(input: Tensor) -> Tensor:
    """input^2, element by element; of bools int64."""
    return ops.pow(input, 2) if input.array.dtype.kind == "b" else ops.mul(input, input)


def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other), and 0 where input is 0 whatever `other` is, unless it is NaN."""
    kind = result_type((input, other))
    kind = kind if kind.kind == "f" else dtypes.get_default_dtype()
    x, y = (z.to(kind) if hasattr(z, "array") else kind.type(z) for z in (input, other))
    return ops.xlogy(x, y)


def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians."""
    return ops.scaled(input, by=math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees."""
    return ops.scaled(input, by=180 / math.pi)


@widened
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; `eps` first limits x to [eps, 1 - eps]."""
    if input.array.dtype.kind != "f":
        input = input.to(dtypes.get_default_dtype())
    return ops.logit(input) if eps is None else ops.logit_within(input, eps=eps)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other."""
    return ops.mul(input, ops.exp2(other))


def frexp(input: Tensor) -> Any:
    """(mantissa, exponent) with input = mantissa * 2^exponent and 0.5 <= |mantissa| < 1.

    The exponent is int32; the mantissa has a gradient, 2^-exponent.
    """
    x = input.array
    if x.dtype.kind != "f":
        raise RuntimeError(
            f"torch.frexp() only supports floating-point dtypes, got {dtypes.name_of(x.dtype)}"
        )
    exponent = wrap_plain(xp(x).frexp(x)[1])
    return return_types.frexp(ops.ldexp(input, exponent=-exponent.array), exponent)


def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number of this type after `input` in the direction of `other`; no gradient."""
    x, y = promoted(input, other)
    return wrap_plain(xp(x.array).nextafter(x.array, y.array))


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


absolute, negative = abs, neg
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
