"""Type promotion where PyTorch's rules differ from NumPy's.

NumPy and PyTorch agree where all operands are tensors of one type. They part in three places:

- a result would become float64 although no float64 tensor took part: `int / int`, `exp(int)`,
  `float32 tensor * int64 tensor`. PyTorch stays with float32, its default type, and so do we;
- a 0-d tensor counts as a whole operand in NumPy, in PyTorch only by its kind: `int8 vector +
  int64 0-d tensor` is int8, `float16 vector * float32 0-d tensor` float16;
- a Python integer that the type cannot hold is an error in NumPy; in PyTorch it wraps round, so
  that `uint8 tensor + (-1)` subtracts 1.

Operations look here only after a result of an unexpected type came out, so work in one type pays
nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import dtypes
from ..arrays.xp import xp

__all__ = ["fitted", "number_for", "promoted", "result_type", "settle", "settle_pair", "wrapped"]

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}  # bool < integers < floats < complex
_SCALAR_TYPES = (bool, int, float, complex)
_BOOL = np.dtype(bool)


def result_type(inputs: tuple[Any, ...]) -> np.dtype[Any]:
    """PyTorch's `result_type`: dimensioned tensors decide, then 0-d tensors, then Python scalars.

    A lower-priority operand changes the type only if it is of a higher category
    (bool, integer, float), and then brings in its own type (Python floats: the default dtype).
    """
    decided: np.dtype[Any] | None = None
    for group in _by_priority(inputs):
        if not group:
            continue
        floats = [dtype for dtype in group if dtype.kind in "fc"]
        candidate = np.result_type(*(floats or group))  # int64 never widens float32
        if decided is not None and candidate.kind == "c" and decided.kind == "f":
            candidate = np.result_type(decided, np.complex64)  # of the precision that counts
        if decided is None or _RANK[candidate.kind] > _RANK[decided.kind]:
            decided = candidate
    return decided if decided is not None else dtypes.get_default_dtype()


def _by_priority(inputs: tuple[Any, ...]) -> tuple[list[Any], list[Any], list[Any]]:
    dimensioned: list[Any] = []
    zero_dim: list[Any] = []
    scalars: list[Any] = []
    for x in inputs:
        if isinstance(x, (*_SCALAR_TYPES, np.generic)):  # NumPy's numbers count as Python's
            scalars.append(dtypes.of_scalar(x))
        elif hasattr(x, "dtype"):
            (dimensioned if len(x.shape) else zero_dim).append(x.dtype)
    return dimensioned, zero_dim, scalars


# Before an operation ------------------------------------------------------------------------------


def promoted(*inputs: Any) -> tuple[Any, ...]:
    """The Tensors and raw arrays among the inputs, cast to the result type of all of them.

    Numbers stay, but for integers that the type cannot hold, which wrap round. For functions that
    choose or join elements, where no result of another type would tell that something is to settle.
    """
    first = getattr(inputs[0], "dtype", None)
    if all(getattr(x, "dtype", None) is first for x in inputs) and first is not None:
        return inputs
    target = result_type(inputs)
    return tuple(_cast_input(x, target) for x in inputs)


def wrapped(value: Any, dtype: np.dtype[Any]) -> Any:
    """A Python integer modulo 2^bits where `dtype` cannot hold it; anything else as it is.

    Raises OverflowError beyond 64 bits.
    """
    if dtype.kind not in "iu" or type(value) is not int:
        return value
    limits = np.iinfo(dtype)
    if limits.min <= value <= limits.max:
        return value
    if not -(2**63) <= value < 2**64:
        raise OverflowError(f"int too big to convert: {value} has more than 64 bits")
    value %= 2**limits.bits
    return value - 2**limits.bits if value > limits.max else value


def fitted(value: Any, dtype: np.dtype[Any]) -> Any:
    """A number as it is stored in `dtype`; negative ones wrap round in unsigned types.

    Raises RuntimeError for one that the type cannot hold: 300 in int8, inf in int64.
    """
    if not isinstance(value, (int, float)) or dtype.kind in "bc":
        return value
    if dtype.kind == "f":
        if abs(value) <= float(np.finfo(dtype).max) or value in (_INF, -_INF) or value != value:
            return value
    elif value == value and abs(value) != _INF:
        limits = np.iinfo(dtype)
        value = int(value)
        if -limits.max * (dtype.kind == "u") + limits.min <= value <= limits.max:
            return wrapped(value, dtype)
    raise RuntimeError(
        f"value cannot be converted to type {_C_NAMES.get(dtype.name, dtype.name)} without "
        f"overflow: {value}"
    )


def number_for(value: Any, dtype: np.dtype[Any]) -> Any:
    """A Python number as `dtype` stores it: cut to an integer, or a bool; other things as they are.

    Raises RuntimeError as `fitted` does.
    """
    if not isinstance(value, _SCALAR_TYPES):
        return value
    return {"f": float, "b": bool, "c": complex}.get(dtype.kind, int)(fitted(value, dtype))


_INF = float("inf")
_C_NAMES = {
    "uint8": "uint8_t", "int8": "int8_t", "int16": "int16_t", "int32": "int", "int64": "int64_t",
    "float16": "c10::Half", "float32": "float", "float64": "double",
}  # fmt: skip


# After it -----------------------------------------------------------------------------------------


def settle(inputs: tuple[Any, ...], made: np.dtype[Any]) -> tuple[Any, ...]:
    """The inputs, cast so that an operation of floats computes in PyTorch's result type.

    Returns `inputs` itself where `made`, the type that NumPy chose, is the right answer.
    """
    target = _float_type(inputs)
    if target == made or target.kind == "c":  # the real result of complex numbers
        return inputs
    several = len(inputs) > 1  # then bools are masks: where(mask, x, y)
    settled = tuple(
        x if several and getattr(x, "dtype", None) == _BOOL else _cast_input(x, target)
        for x in inputs
    )
    return _unless_same(settled, inputs)


def settle_pair(name: str, inputs: tuple[Any, ...], made: np.dtype[Any] | None) -> tuple[Any, ...]:
    """Like `settle`, for element-wise operations of two operands, which have results of any type.

    `made`: None if NumPy refused a Python integer.  Raises RuntimeError for a difference of bools
    and NotImplementedError where NumPy makes int8 of bools, as PyTorch.
    """
    if name == "sub" and any(getattr(x, "dtype", None) == _BOOL for x in inputs):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    target = result_type(inputs)
    if target == made:
        return inputs
    if made is None and name == "pow":
        _check_exponent(inputs[1], target)
    if made is not None and made.kind == "f":
        target = _float_type(inputs)
    elif target.kind == "b":
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'")
    if target == made:
        return inputs
    return _unless_same(tuple(_cast_input(x, target) for x in inputs), inputs)


def _check_exponent(exponent: Any, target: np.dtype[Any]) -> None:
    if isinstance(exponent, int) and fitted(exponent, target) is not None and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")


def _float_type(inputs: tuple[Any, ...]) -> np.dtype[Any]:
    target = result_type(inputs)
    return target if target.kind in "fc" else dtypes.get_default_dtype()  # of integers


def _unless_same(settled: tuple[Any, ...], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """`settled`; or `inputs` if nothing was cast: the operation itself means to return its type."""
    return inputs if all(a is b for a, b in zip(settled, inputs, strict=True)) else settled


def _cast_input(x: Any, target: np.dtype[Any]) -> Any:
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, _SCALAR_TYPES):
        return wrapped(x, target)
    if not hasattr(x, "dtype") or x.dtype == target:
        return x
    return xp(x).cast(x, dtype=target)
