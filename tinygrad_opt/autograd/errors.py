"""What went wrong in an operation, said in terms of tensors.

Operations run unguarded; only when the array library raises does `explain` look at the inputs
and find the words. Errors that an op raises itself (RuntimeError, IndexError) pass unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import device_of

__all__ = ["axis_index", "explain"]


def explain(name: str, inputs: tuple[Any, ...], error: Exception) -> Exception:
    """The exception to raise in place of the array library's own, for the operation `name`."""
    arrays = [getattr(x, "array", x) for x in inputs if hasattr(x, "shape")]
    if len({str(device_of(a)) for a in arrays}) > 1:
        found = " and ".join(dict.fromkeys(str(device_of(a)) for a in arrays))
        return RuntimeError(
            f"{name}: Expected all tensors to be on the same device, but found {found}; "
            "move one of them with .to(device)"
        )
    if isinstance(error, np.exceptions.AxisError) and error.ndim is not None:
        n = max(error.ndim, 1)
        return IndexError(
            f"{name}: Dimension out of range (expected to be in range of [{-n}, {n - 1}], "
            f"but got {error.axis})"
        )
    if isinstance(error, ValueError):
        return RuntimeError(_shapes(name, arrays, error))
    if isinstance(error, TypeError) and "numpy boolean" in str(error):
        operator = "Subtraction" if "subtract" in str(error) else "Negation"
        return RuntimeError(
            f"{operator}, the `-` operator, on a bool tensor (or between two bool tensors) is not "
            "supported. Use the `~` or `^` operator instead, or convert with .int()"
        )
    if isinstance(error, TypeError):
        kinds = ", ".join(_describe(x) for x in inputs)
        return TypeError(f"{name}: unsupported arguments ({kinds}): {error}")
    return error


def axis_index(axis: int, ndim: int) -> int:
    """`axis` counted from the front. Raises IndexError if there is no such axis."""
    n = max(ndim, 1)  # a 0-d tensor answers to the axes 0 and -1
    if not -n <= axis < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {axis})"
        )
    return axis % n


def _describe(x: Any) -> str:
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return f"{type(x).__name__} {x.dtype} {tuple(x.shape)}"
    return type(x).__name__


def _shapes(name: str, arrays: list[Any], error: Exception) -> str:
    shapes = [tuple(a.shape) for a in arrays]
    if len(shapes) == 2 and "broadcast" in str(error):
        a, b = shapes
        for i in range(1, min(len(a), len(b)) + 1):
            if a[-i] != b[-i] and 1 not in (a[-i], b[-i]):
                return (
                    f"{name}: The size of tensor a ({a[-i]}) must match the size of tensor b "
                    f"({b[-i]}) at non-singleton dimension {max(len(a), len(b)) - i}; "
                    f"shapes {a} and {b} do not broadcast"
                )
    listed = " and ".join(map(str, shapes))
    return f"{name}: {error} (input shapes: {listed})"
