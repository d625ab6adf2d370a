"""What went wrong in an operation, said in terms of tensors.

Operations run unguarded; only when the array library raises does `explain` look at the inputs
and find the words. Errors that an op raises itself (RuntimeError, IndexError) pass unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.device import device_of
from ..arrays.quiet import busy, quiet

__all__ = ["again", "axis_index", "explain", "refuse_stretched"]


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
    if isinstance(error, ValueError) and "read-only" in str(error):
        return RuntimeError(f"{name}: {_read_only(arrays[0])}")
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


def again(
    error: Exception, pair: Callable[..., Any], inputs: tuple[Any, ...], raw: Any,
    params: dict[str, Any],
) -> Any:  # fmt: skip
    """The pair's output if it could not be called, else raises its error in terms of tensors."""
    if isinstance(error, (TypeError, ValueError)):
        raise explain(pair.__name__, inputs, error) from error
    if not isinstance(error, RuntimeError) or not busy(error):
        raise error
    try:
        return quiet(pair)(*raw, **params)
    except (TypeError, ValueError) as new:
        raise explain(pair.__name__, inputs, new) from new


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
        return f"{type(x).__name__} {getattr(x, 'array', x).dtype} {tuple(x.shape)}"
    return type(x).__name__


def _shapes(name: str, arrays: list[Any], error: Exception) -> str:
    shapes = [tuple(a.shape) for a in arrays]
    told = (
        _does_not_fit(shapes, str(error)) if name == "setitem" else _do_not_broadcast(shapes, error)
    )
    if told is None:
        listed = " and ".join(map(str, shapes))
        told = f"{error} (input shapes: {listed})"
    return f"{name}: {told}"


def _do_not_broadcast(shapes: list[tuple[int, ...]], error: Exception) -> str | None:
    if len(shapes) != 2 or "broadcast" not in str(error):
        return None
    a, b = shapes
    for i in range(1, min(len(a), len(b)) + 1):
        if a[-i] != b[-i] and 1 not in (a[-i], b[-i]):
            return (
                f"The size of tensor a ({a[-i]}) must match the size of tensor b ({b[-i]}) at "
                f"non-singleton dimension {max(len(a), len(b)) - i}; shapes {a} and {b} do not "
                "broadcast"
            )
    whole = list(np.broadcast_shapes(a, b))
    return f"output with shape {list(a)} doesn't match the broadcast shape {whole}"


def _does_not_fit(shapes: list[tuple[int, ...]], said: str) -> str | None:
    """What NumPy says of a value that does not fit where it is written to, in PyTorch's words."""
    named = [list(map(int, re.findall(r"\d+", shape))) for shape in _SHAPE.findall(said)]
    if "where the mask is true" in said and shapes:
        named = [list(shapes[-1]), [int(re.findall(r"\d+", said)[-1])]]
    elif len(named) != 2:
        return None
    value, place = named
    if "input array" not in said:
        return (
            f"shape mismatch: value tensor of shape {value} cannot be broadcast to indexing result "
            f"of shape {place}"
        )
    for i in range(1, min(len(value), len(place)) + 1):
        if value[-i] not in (1, place[-i]):
            return (
                f"The expanded size of the tensor ({place[-i]}) must match the existing size "
                f"({value[-i]}) at non-singleton dimension {len(place) - i}.  Target sizes: "
                f"{place}.  Tensor sizes: {value}"
            )
    return f"a tensor of shape {value} has more dimensions than its place, of shape {place}"


_SHAPE = re.compile(r"\(([\d, ]*)\)")


def refuse_stretched(name: str, array: Any) -> None:
    """Raise RuntimeError for an array that was stretched (`expand`): one place, several elements.

    NumPy marks such arrays read-only, CuPy does not.
    """
    if _is_stretched(array):
        raise RuntimeError(f"{name}: {_STRETCHED}")


def _read_only(array: Any) -> str:
    if _is_stretched(array):
        return _STRETCHED
    return "the memory of the tensor is that of a read-only array; write to a .clone()"


def _is_stretched(array: Any) -> bool:
    spread = zip(array.strides, array.shape, strict=True)
    return array.size > 0 and any(step == 0 and n > 1 for step, n in spread)


_STRETCHED = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    "memory location. Please clone() the tensor before performing the operation."
)
