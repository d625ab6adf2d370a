"""States that have not their parameter's shape: means, matrices, histories; kept in `state` alone.

An optimizer names them in `free_states`. They may come from a file, from another device or from
PyTorch, so they are looked at before each use, which costs nothing where they are as they should.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor
from ..autograd.graph import wrap_plain
from ..backend import array_namespace, device_of, to_device
from .state import bind

__all__ = ["array_of", "fitted", "free_state"]


def array_of(value: Any) -> Any:
    """The array of a Tensor, also of PyTorch's, or of a number."""
    array = value.array if isinstance(value, Tensor) else value
    return np.asarray(array) if array_namespace(array) is array_namespace(0) else array


def fitted(value: Any, like: Any) -> Any:
    """The array of a Tensor, also of PyTorch's, in the dtype and on the device of `like`."""
    array = to_device(array_of(value), device_of(like))
    return array if array.dtype == like.dtype else array.astype(like.dtype)


def free_state(entry: Any, name: str, shape: tuple[int, ...], like: Any, t: int) -> Any:
    """The array of `entry[name]`, zeros of `shape` at step 1, fitted to the array `like`.

    Raises KeyError if it is missing at a later step, RuntimeError if it is of another shape.
    """
    held = entry.get(name)
    if held is not None and tuple(held.shape) != shape:
        raise RuntimeError(
            f"the state of a parameter: {name} must have shape {shape}, got {tuple(held.shape)}; "
            "clear its state to begin afresh: optimizer.state.pop(p, None)"
        )
    if held is None:
        if t > 1:
            raise KeyError(
                f"the state of a parameter has no {name}, only {', '.join(entry)}; to begin afresh "
                "clear all of it: optimizer.state.pop(p, None)"
            )
        array = array_namespace(like).zeros(shape, like.dtype)
    else:
        array = fitted(held, like)
        if isinstance(held, Tensor) and array is held.array:
            return array
    bind(entry, name, wrap_plain(array))
    return array
