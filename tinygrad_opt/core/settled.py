"""Results of another type than float32: those of NumPy's promotion, and float16.

What comes out of a pair is looked at here only if it is not a float32 array, so that work in that
type pays nothing. Complex results go on to `complexes.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .half import EXACT, HALF, fits_half, in_float32
from .promote import result_type, settle, settle_pair

__all__ = ["computes_wider", "in_float32", "settled", "settled_pair"]

_PROMOTED = (np.dtype("float64"), np.dtype("float16"))  # what NumPy may promote to by itself
_FLOAT32 = np.dtype("float32")
_SEQUENCES = (list, tuple)


finished_complex: Any = None  # `complexes.py`, which stands above


def settled(
    operation: Any, inputs: tuple[Any, ...], params: dict[str, Any], y: Any, output: Any
) -> tuple[Any, Any]:
    """What is not a float32 array: (the value as an array, the result in another type or None).

    NumPy hands out scalars for 0-d results. And a float64 or float16 is right only where a tensor
    of that type came in, or where it was asked for by name: else NumPy's promotion differs from
    PyTorch's, and the operation is done again on inputs of PyTorch's type.
    """
    if isinstance(y, np.generic):
        y = np.asarray(y)
        if y.dtype is _FLOAT32:
            return y, None
    if y.dtype.kind == "c":
        return y, finished_complex(operation, inputs, params, y, output)
    if y.dtype in _PROMOTED and "dtype" not in params:
        cast = settle(inputs, y.dtype)
        if cast is not inputs:
            return y, operation(*cast, **params)
        if y.dtype is HALF and computes_wider(operation, inputs):
            return y, in_float32(operation, inputs, params)
        if y.dtype is not HALF and result_type(inputs) is not y.dtype:  # a setting was of NumPy's
            settings = {k: v.item() if isinstance(v, np.generic) else v for k, v in params.items()}
            if any(settings[k] is not v for k, v in params.items()):
                return y, operation(*inputs, **settings)
    return y, None


def settled_pair(
    operation: Any, inputs: tuple[Any, ...], a: Any, b: Any, z: Any, output: Any
) -> tuple[Any, Any]:
    """Like `settled`, for an operation of two operands, whose arrays or numbers are a and b."""
    if isinstance(z, np.generic):
        z = np.asarray(z)
    if type(inputs[-1]) in _SEQUENCES or type(inputs[0]) in _SEQUENCES:  # NumPy made float64 of it
        kinds = " and ".join(f"'{type(x).__name__}'" for x in inputs)
        raise TypeError(
            f"{operation.__name__}: unsupported operand type(s): {kinds}; make a Tensor of it with "
            "tensor(...)"
        )
    made = z.dtype
    if getattr(a, "dtype", made) is not made or getattr(b, "dtype", made) is not made:
        cast = settle_pair(operation.__name__, inputs, made)
        if cast is not inputs:
            return z, operation(*cast)
    if made.kind == "c":
        return z, finished_complex(operation, inputs, {}, z, output)
    if made is HALF and computes_wider(operation, inputs):
        return z, in_float32(operation, inputs, {})
    return z, None


def computes_wider(operation: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether an operation on these float16 inputs is to be computed in float32."""
    if operation.__name__ in EXACT and all(map(fits_half, inputs)):
        return False
    return result_type(inputs) is HALF
