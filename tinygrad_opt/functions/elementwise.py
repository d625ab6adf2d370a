"""Arithmetic and choices, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import dtypes, ops
from ..autograd.graph import Variable, wrap_plain
from ..autograd.half import widened
from ..autograd.promote import fitted, promoted, result_type
from ..public import public
from .comparison import isnan

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = [
    "add", "addcdiv", "addcmul", "clamp", "clamp_max", "clamp_min", "clip", "clone", "float_power",
    "fmax", "fmin", "lerp", "masked_fill", "maximum", "minimum", "mul", "multiply", "pow", "rsub",
    "sub", "subtract", "threshold", "where",
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
