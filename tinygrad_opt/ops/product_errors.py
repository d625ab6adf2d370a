"""What is said of matrices that cannot be multiplied."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.dtypes import name_of

__all__ = ["check_bias", "check_inner", "check_linear", "check_operands"]


def check_operands(x: Any, y: Any) -> None:
    """Raise TypeError unless x and y are arrays or Tensors, RuntimeError if one has no axis."""
    if not (hasattr(x, "shape") and hasattr(y, "shape")):
        kinds = f"'{type(x).__name__}' and '{type(y).__name__}'"
        raise TypeError(f"matmul: unsupported operand type(s) for @: {kinds}")
    if not x.ndim or not y.ndim:
        raise RuntimeError("matmul: both arguments need to be at least 1D, but they are 0D")


def check_inner(x: Any, y: Any) -> tuple[Any, Any]:
    """The arrays of x and y; raises RuntimeError unless the matrices there can be multiplied."""
    a, b = getattr(x, "array", x), getattr(y, "array", y)
    if a.shape[-1] != b.shape[-2]:
        sizes = ("x".join(map(str, z.shape)) for z in (a, b))
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied ({} and {})".format(*sizes))
    for i, (n, m) in enumerate(zip(a.shape[-3::-1], b.shape[-3::-1], strict=False)):
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"matmul: The size of tensor a ({n}) must match the size of tensor b ({m}) at "
                f"non-singleton dimension {max(a.ndim, b.ndim) - 3 - i}; the leading "
                f"axes of {tuple(a.shape)} and {tuple(b.shape)} do not broadcast"
            )
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"matmul: expected m1 and m2 to have the same dtype, but got: "
            f"{name_of(a.dtype).lower()} != {name_of(b.dtype).lower()}; convert one, for instance "
            "with .float()"
        )
    return a, b


def check_linear(x: Any, weight: Any, bias: Any = None) -> None:
    """Raise RuntimeError unless x (..., in) fits weight (out, in), and bias is of their type."""
    if x.shape[-1:] != weight.shape[-1:]:
        raise RuntimeError(
            f"linear: input has shape {tuple(x.shape)}, but the layer expects {weight.shape[-1]} "
            f"features last: mat1 and mat2 shapes cannot be multiplied ({_rows(x.shape)} and "
            f"{_rows(weight.shape[::-1])})"
        )
    if x.dtype != weight.dtype:
        raise RuntimeError(
            f"linear: mat1 and mat2 must have the same dtype, but got {name_of(x.dtype)} and "
            f"{name_of(weight.dtype)} (input and weight); convert the input, for instance with "
            ".float() (a NumPy array with from_numpy(x).float())"
        )
    check_bias("linear", bias, weight)


def check_bias(name: str, bias: Any, weight: Any) -> None:
    """Raise RuntimeError unless the bias, if there is one, is of the weight's type."""
    if bias is not None and bias.dtype != weight.dtype:
        raise RuntimeError(
            f"{name}: self and mat2 must have the same dtype, but got {name_of(bias.dtype)} and "
            f"{name_of(weight.dtype)} (bias and weight)"
        )


def _rows(shape: Any) -> str:
    """A shape as rows x columns, all axes but the last joined."""
    return f"{math.prod(shape[:-1])}x{shape[-1]}" if len(shape) else "0-d"
