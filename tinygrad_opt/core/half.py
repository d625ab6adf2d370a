"""float16: computed in float32 and rounded once.

float16 has three digits and ends at 65504, so a sum, a square or a product of several steps is
computed in float32, forwards and backwards, and the result alone is float16. The recorder does so
for single operations (`in_float32`), and public functions of several steps ask for it (`widened`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from ..arrays.xp import xp
from .node import Variable
from .promote import result_type

__all__ = ["EXACT", "HALF", "fits_half", "in_float32", "widened"]

F = TypeVar("F", bound=Callable[..., Any])

HALF = np.dtype("float16")
_WIDE = np.dtype("float32")
_LARGEST = 65504.0

# Operations that round at most once as they are, forwards and backwards: these stay in float16.
EXACT = frozenset({
    "abs", "add", "amax", "amin", "broadcast_to", "cast", "ceil", "clip", "clone", "concatenate",
    "copysign", "diagonal", "div", "flip", "floor", "getitem", "hardshrink", "maximum", "minimum",
    "mul", "nan_to_num", "neg", "pick", "put", "put_extremum", "relu", "reshape", "roll", "round",
    "scatter_add", "sign", "stack", "sub", "take_along_axis", "threshold", "to_device", "transpose",
    "trunc", "where", "windows",
})  # fmt: skip


def in_float32(
    function: Callable[..., Any], inputs: tuple[Any, ...], params: dict[str, Any]
) -> Any:
    """function(*inputs, **params), computed in float32; float32 results come back as float16."""
    wide = tuple(map(_widened, inputs))
    return _narrowed(function(*wide, **{name: _widened(x) for name, x in params.items()}))


def widened(function: F) -> F:
    """A public function whose float16 tensors are computed with in float32.

    The result is float16, unless a tensor of another float type makes it that type. The function
    runs one frame below its caller, which `stacklevel` of its warnings must count.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if isinstance(x, Variable) and x.array.dtype is HALF:
                break
        else:
            if not kwargs or not any(_is_half(x) for x in kwargs.values()):
                return function(*args, **kwargs)
        tensors = tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Variable))
        if result_type(tensors) is not HALF:
            return function(*args, **kwargs)
        wide = {name: _widened(x) for name, x in kwargs.items()}
        return _narrowed(function(*map(_widened, args), **wide))

    return cast(F, wrapper)


def fits_half(x: Any) -> bool:
    """Whether x is not a Python number that float16 would have to round: 0.1, or 100000."""
    if not isinstance(x, (int, float)) or x != x:
        return True
    return (abs(x) <= _LARGEST and float(np.float16(x)) == x) or abs(x) == math.inf


def _is_half(x: Any) -> bool:
    return getattr(x, "dtype", None) == HALF


def _widened(x: Any) -> Any:
    if not _is_half(x):
        return x
    return xp(x).cast(x, dtype=_WIDE)


def _narrowed(y: Any) -> Any:
    """float32 results as float16, also those of a (named) tuple."""
    if isinstance(y, tuple):
        parts = map(_narrowed, y)
        return type(y)(*parts) if hasattr(y, "_fields") else tuple(parts)
    if getattr(y, "dtype", None) != _WIDE:
        return y
    return xp(y).cast(y, dtype=HALF)
