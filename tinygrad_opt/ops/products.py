"""Matrix products. Seventh of the reading path; next: `tensors/methods.py`."""

from __future__ import annotations

import math
from typing import Any

from ..arrays.xp import xp
from ..core.half import HALF, in_float32
from ..core.record import op


def _t(x: Any) -> Any:
    return xp(x).swapaxes(x, -1, -2)


@op
def _matmul(x, y):  # both at least 2-D; leading axes broadcast
    return x @ y, lambda g: g @ _t(y), lambda g: _t(x) @ g


def matmul(x: Any, y: Any) -> Any:
    """The matrix product, with vectors as rows (left) or columns (right), as in NumPy."""
    if not (hasattr(x, "shape") and hasattr(y, "shape")):
        kinds = f"'{type(x).__name__}' and '{type(y).__name__}'"
        raise TypeError(f"matmul: unsupported operand type(s) for @: {kinds}")
    if len(x.shape) == 0 or len(y.shape) == 0:
        raise RuntimeError("matmul: both arguments need to be at least 1D, but they are 0D")
    left, right = len(x.shape) == 1, len(y.shape) == 1
    if left:
        x = x[None]
    if right:
        y = y[:, None]
    _check_inner(x, y)
    z = in_float32(_matmul, (x, y), {}) if x.dtype is HALF else _matmul(x, y)
    if left:
        z = z[..., 0, :]
    return z[..., 0] if right else z


def _check_inner(x: Any, y: Any) -> None:
    if x.shape[-1] != y.shape[-2]:
        a, b = ("x".join(map(str, z.shape)) for z in (x, y))
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({a} and {b})")
    for i, (n, m) in enumerate(zip(x.shape[-3::-1], y.shape[-3::-1], strict=False)):
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"matmul: The size of tensor a ({n}) must match the size of tensor b ({m}) at "
                f"non-singleton dimension {max(len(x.shape), len(y.shape)) - 3 - i}; the leading "
                f"axes of {tuple(x.shape)} and {tuple(y.shape)} do not broadcast"
            )
    if x.dtype != y.dtype:
        from ..arrays.dtypes import name_of

        raise RuntimeError(
            f"matmul: expected m1 and m2 to have the same dtype, but got: "
            f"{name_of(x.dtype).lower()} != {name_of(y.dtype).lower()}; convert one, for instance "
            "with .float()"
        )


dot = matmul


@op
def _linear(x, weight, bias):
    # y = x W^T + b;  dx = g W,  dW = g^T x,  db = sum of g.  x: (rows, in), weight: (out, in)
    if x.shape[1] != weight.shape[-1] or x.dtype is not weight.dtype:
        _check_linear(x, weight)
    y = xp(x).dot(x, weight.T)
    if bias is not None:
        y += bias
    return (
        y,
        lambda g: xp(g).dot(g, weight),
        lambda g: xp(g).dot(g.T, x),
        lambda g: xp(g).sum_rows(g),
    )


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x W^T + b over the last axis: (..., in) -> (..., out); weight (out, in), bias (out,) or None.

    Raises RuntimeError for another number of features, or another dtype than the weight's.
    """
    if x.ndim == 2:
        return _linear(x, weight, bias)
    _check_linear(x, weight)
    rows = _linear(x.reshape((math.prod(x.shape[:-1]), x.shape[-1])), weight, bias)
    return rows.reshape((*x.shape[:-1], weight.shape[0]))


def _check_linear(x: Any, weight: Any) -> None:
    if x.shape[-1:] != weight.shape[-1:]:
        raise RuntimeError(
            f"linear: input has shape {tuple(x.shape)}, but the layer expects {weight.shape[-1]} "
            f"features last: mat1 and mat2 shapes cannot be multiplied ({_rows(x.shape)} and "
            f"{_rows(weight.shape[::-1])})"
        )
    if x.dtype != weight.dtype:
        from ..arrays.dtypes import name_of

        raise RuntimeError(
            f"linear: mat1 and mat2 must have the same dtype, but got {name_of(x.dtype)} and "
            f"{name_of(weight.dtype)} (input and weight); convert the input, for instance with "
            ".float() (a NumPy array with from_numpy(x).float())"
        )


def _rows(shape: Any) -> str:
    """A shape as rows x columns, all axes but the last joined."""
    return f"{math.prod(shape[:-1])}x{shape[-1]}" if len(shape) else "0-d"
