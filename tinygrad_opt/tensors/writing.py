"""Writing to a tensor's memory: at once, or as part of the graph.

Outside the graph (data, buffers, gradients, and parameters under `no_grad()`) a write goes to the
memory and stamps it, so that backward notices if it needed the old values. Where the result depends
on something that requires a gradient, the write is recorded (`autograd/recorded_writes.py`).
As in PyTorch, a leaf that requires a gradient refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.quiet import SETTINGS, restore, silence
from ..arrays.xp import xp
from ..autograd import recorded_writes
from ..autograd.modes import no_grad
from ..autograd.regions import unlock
from ..core.errors import explain
from ..core.node import Variable
from ..core.promote import fitted
from ..core.record import mode
from ..core.versions import note_write

__all__ = ["cast_like", "change", "drawn", "must_record", "put"]


def must_record(tensor: Any, name: str, *others: Any) -> bool:
    """Whether the write has to be recorded. Raises RuntimeError for a leaf, which may not be."""
    if not mode.enabled:
        return False
    if tensor._requires_grad and tensor.node is None:
        raise RuntimeError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place operation. "
            "Do it under no_grad(), or write to a new tensor"
        )
    if tensor._requires_grad or (tensor._base is not None and tensor._base._requires_grad):
        return True
    if tensor.array.dtype.kind not in "fc":  # integers and bools have no history
        return False
    return any(isinstance(x, Variable) and x._requires_grad for x in others)


def change(
    tensor: Any, name: str, write: Callable[..., None], function: Callable[..., Any], *others: Any
) -> Any:
    """Write with `write(array, *raw others)`, or record that it becomes function(it, *others)."""
    if not must_record(tensor, name, *others):
        try:
            return write_now(tensor, name, write, *others)
        except (OverflowError, _Uncastable):  # for NumPy, not always for PyTorch
            with no_grad():
                result = cast_like(tensor, name, function(tensor, *others))
            return write_now(tensor, name, np.copyto, result)
    try:
        recorded_writes.update(
            tensor, name, lambda *xs: cast_like(tensor, name, function(*xs)), others
        )
    except ValueError as error:
        raise explain(name, (tensor, *others), error) from error
    return tensor


class _Uncastable(RuntimeError):
    """NumPy would not write the result to the tensor's type."""


def write_now(tensor: Any, name: str, write: Callable[..., None], *others: Any) -> Any:
    """Run `write(array, *raw others)`, which writes to the tensor's own array."""
    raw = [x.array if isinstance(x, Variable) else x for x in others]
    before = silence(SETTINGS)
    try:
        write(tensor.array, *raw)
    except (TypeError, ValueError) as error:
        if "same_kind" in str(error):
            raise _Uncastable from error
        if "read-only" in str(error) and unlock(tensor):
            return write_now(tensor, name, write, *others)
        raise explain(name, (tensor, *others), error) from error
    finally:
        restore(before)
    if not tensor._unversioned:
        note_write(tensor.array)
    return tensor


def put(tensor: Any, name: str, index: Any, value: Any, within: Any = ...) -> Any:
    """tensor[within][index] = value."""
    if must_record(tensor, name, value):
        before = silence(SETTINGS)
        try:
            recorded_writes.overwrite(tensor, name, index, value, within)
        except (TypeError, ValueError) as error:
            raise explain(name, (tensor, value), error) from error
        finally:
            restore(before)
        return tensor

    def write(a: Any, v: Any) -> None:
        a[within][index] = v if hasattr(v, "dtype") else fitted(v, a.dtype)

    return write_now(tensor, name, write, value)


def cast_like(tensor: Any, name: str, result: Any) -> Any:
    """`result` in the dtype of `tensor`. Raises RuntimeError if it does not fit there."""
    if result.array.shape != tensor.array.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(tensor.array.shape)} doesn't match the broadcast "
            f"shape {list(result.array.shape)}"
        )
    if result.array.dtype == tensor.array.dtype:
        return result
    if not dtypes.can_cast(result.array.dtype, tensor.array.dtype):
        raise _uncastable(tensor, name, result.array.dtype)
    return ops.cast(result, dtype=tensor.array.dtype)


def _uncastable(tensor: Any, name: str, dtype: Any) -> RuntimeError:
    return RuntimeError(
        f"{name}: result type {dtypes.name_of(dtype)} can't be cast to the desired output type "
        f"{dtypes.name_of(tensor.array.dtype)}"
    )


def drawn(tensor: Any, name: str, fill: Callable[[Any], None]) -> Any:
    """`tensor` filled with what `fill(array)` draws."""
    if not must_record(tensor, name):
        return write_now(tensor, name, fill)
    values = xp(tensor.array).empty_like(tensor.array)
    fill(values)
    return put(tensor, name, ..., values)
