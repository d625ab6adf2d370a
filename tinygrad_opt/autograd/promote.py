"""Type promotion where PyTorch's rules differ from NumPy's.

NumPy and PyTorch agree on most pairs of types. They part where a result would become float64
although no float64 tensor took part: `int / int`, `exp(int)`, `float32 tensor * int64 tensor`,
`float32 tensor * float64 0-d tensor`. There PyTorch stays with float32 (its default dtype), and
so do we. So it is with float16, which NumPy makes of `exp(uint8)`. Operations look here only
after a float64 or float16 came out, so float32 work pays nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes

__all__ = ["result_type", "settle"]

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}  # bool < integers < floats < complex
_SCALAR_TYPES = (bool, int, float, complex)


def result_type(inputs: tuple[Any, ...]) -> np.dtype[Any]:
    """PyTorch's `result_type`: dimensioned tensors decide, then 0-d tensors, then Python scalars.

    A lower-priority operand changes the type only if it is of a higher category
    (bool, integer, float), and then brings in its own type (Python floats: the default dtype).
    """
    decided: np.dtype[Any] | None = None
    for group in _by_priority(inputs):
        if not group:
            continue
        floats = [dtype for dtype in group if dtype.kind == "f"]
        candidate = np.result_type(*(floats or group))  # int64 never widens float32
        if decided is None or _RANK[candidate.kind] > _RANK[decided.kind]:
            decided = candidate
    return decided if decided is not None else dtypes.get_default_dtype()


def _by_priority(inputs: tuple[Any, ...]) -> tuple[list[Any], list[Any], list[Any]]:
    dimensioned: list[Any] = []
    zero_dim: list[Any] = []
    scalars: list[Any] = []
    for x in inputs:
        if isinstance(x, _SCALAR_TYPES):  # NumPy's float64 scalars are Python floats too
            scalars.append(dtypes.of_scalar(x))
        elif hasattr(x, "dtype"):
            (dimensioned if len(x.shape) else zero_dim).append(x.dtype)
    return dimensioned, zero_dim, scalars


def settle(operation: Any, inputs: tuple[Any, ...], made: np.dtype[Any]) -> tuple[Any, ...]:
    """The inputs, cast so that the operation computes in PyTorch's result type.

    Returns `inputs` itself where `made`, the type that NumPy chose, is the right answer.
    """
    default = dtypes.get_default_dtype()
    target = result_type(inputs)
    if target.kind != "f":
        target = default  # a float result of integers
    if target == made:
        return inputs
    from ..ops import cast

    settled = tuple(_cast_input(x, target, cast) for x in inputs)
    if operation.__name__ == "where":
        # The condition stays a mask; where(mask, 1.0, 0.0) has no array that decides the type.
        scalars = (isinstance(x, _SCALAR_TYPES) for x in inputs[1:])
        settled = (inputs[0], *(
            target.type(x) if scalar else x  # a NumPy scalar, which goes with CuPy arrays too
            for x, scalar in zip(settled[1:], scalars, strict=True)
        ))  # fmt: skip
    if all(a is b for a, b in zip(settled, inputs, strict=True)):
        return inputs  # nothing left to cast: the operation itself means to return float64
    return settled


def _cast_input(x: Any, target: np.dtype[Any], cast: Any) -> Any:
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, _SCALAR_TYPES) or not hasattr(x, "dtype") or x.dtype == target:
        return x
    return cast(x, dtype=target)
