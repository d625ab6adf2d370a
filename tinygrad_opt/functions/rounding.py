"""Rounding, division with a rest, signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from ..autograd.graph import Variable

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = [
    "ceil", "copysign", "div", "divide", "fix", "floor", "floor_divide", "fmod", "frac",
    "remainder", "round", "sgn", "sign", "true_divide", "trunc",
]  # fmt: skip

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
